//! The architecture finder on small graphs built here, one for each way of building a block, and on graphs that are none.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::Path;

use candor::model::onnx::tensor_shape_proto::{Dimension, dimension};
use candor::model::onnx::type_proto::{Tensor, Value};
use candor::model::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto,
};
use candor::model::{
    Architecture, GraphIndex, InputRole, Model, Point, SiteName, SiteTensor, encode,
};

const FLOAT: i32 = 1;
const INT64: i32 = 7;
const BOOL: i32 = 9;
const WIDTH: i64 = 8;
const VOCAB: i64 = 32;

/// A graph in the making.
#[derive(Default)]
struct Sketch {
    graph: GraphProto,
}

impl Sketch {
    /// Token ids, a mask, and an embedding `x`.
    fn decoder() -> Self {
        let mut sketch = Self::default();
        sketch.input("ids", INT64, &["batch", "seq"]);
        sketch.input("mask", INT64, &["batch", "seq"]);
        sketch.weights();
        sketch.node("Gather", &["table", "ids"], "x");
        sketch.node("Cast", &["mask"], "mask_bool");
        sketch
    }

    fn weights(&mut self) {
        self.weight("table", &[VOCAB, WIDTH]);
        self.weight("w", &[WIDTH, WIDTH]);
        self.weight("gain", &[WIDTH]);
        self.weight("offset", &[WIDTH]);
        self.weight("head", &[WIDTH, VOCAB]);
        self.weight("scalar", &[]);
    }

    fn input(&mut self, name: &str, kind: i32, dims: &[&str]) {
        self.graph.input.push(info(name, kind, dims));
    }

    fn weight(&mut self, name: &str, dims: &[i64]) {
        let count = usize::try_from(dims.iter().product::<i64>()).unwrap();
        self.graph.initializer.push(TensorProto {
            name: Some(name.into()),
            dims: dims.to_vec(),
            data_type: Some(FLOAT),
            float_data: vec![0.5; count],
            ..TensorProto::default()
        });
    }

    /// A node; several outputs are parted by blanks, `-` is one that is left out.
    fn node(&mut self, op: &str, inputs: &[&str], outputs: &str) {
        self.graph.node.push(NodeProto {
            op_type: Some(op.into()),
            input: inputs.iter().map(ToString::to_string).collect(),
            output: outputs
                .split(' ')
                .map(|name| name.replace('-', ""))
                .collect(),
            ..NodeProto::default()
        });
    }

    fn norm(&mut self, from: &str, to: &str) {
        self.node("LayerNormalization", &[from, "gain"], to);
    }

    /// An RMS norm as arithmetic.
    fn rms(&mut self, from: &str, to: &str) {
        let name = |part: &str| format!("{to}_{part}");
        self.node("Pow", &[from, "scalar"], &name("square"));
        self.node("ReduceMean", &[&name("square")], &name("mean"));
        self.node("Add", &[&name("mean"), "scalar"], &name("safe"));
        self.node("Sqrt", &[&name("safe")], &name("root"));
        self.node("Reciprocal", &[&name("root")], &name("factor"));
        self.node("Mul", &[from, &name("factor")], &name("core"));
        self.node("Mul", &["gain", &name("core")], to);
    }

    /// Scores, softmax and values over `from`.
    fn attention(&mut self, from: &str, to: &str) {
        let name = |part: &str| format!("{to}_{part}");
        self.node("MatMul", &[from, "w"], &name("q"));
        self.node("MatMul", &[from, "w"], &name("k"));
        self.node("Transpose", &[&name("k")], &name("kt"));
        self.node("MatMul", &[&name("q"), &name("kt")], &name("qk"));
        let masked = ["mask_bool", &name("qk"), "scalar"];
        self.node("Where", &masked, &name("masked"));
        self.node("Softmax", &[&name("masked")], &name("pattern"));
        self.node("MatMul", &[&name("pattern"), from], &name("z"));
        self.node("MatMul", &[&name("z"), "w"], to);
    }

    fn mlp(&mut self, from: &str, to: &str) {
        let name = |part: &str| format!("{to}_{part}");
        self.node("MatMul", &[from, "w"], &name("in"));
        self.node("Relu", &[&name("in")], &name("hidden"));
        self.node("MatMul", &[&name("hidden"), "w"], to);
    }

    /// Two experts behind a router with a softmax of its own.
    fn experts(&mut self, from: &str, to: &str) {
        let name = |part: &str| format!("{to}_{part}");
        self.node("MatMul", &[from, "w"], &name("router"));
        self.node("Softmax", &[&name("router")], &name("weights"));
        self.mlp(from, &name("a"));
        self.mlp(from, &name("b"));
        self.node("Mul", &[&name("a"), &name("weights")], &name("wa"));
        self.node("Mul", &[&name("b"), &name("weights")], &name("wb"));
        self.node("Add", &[&name("wa"), &name("wb")], to);
    }

    fn add(&mut self, a: &str, b: &str, to: &str) {
        self.node("Add", &[a, b], to);
    }

    /// The last norm, the unembedding and the output.
    fn finish(mut self, stream: &str) -> Model {
        self.norm(stream, "last");
        self.head("last")
    }

    fn head(mut self, from: &str) -> Model {
        self.node("MatMul", &[from, "head"], "logits");
        self.open()
    }

    fn open(mut self) -> Model {
        let logits = info("logits", FLOAT, &["batch", "seq", "32"]);
        self.graph.output.push(logits);
        let proto = ModelProto {
            graph: Some(self.graph),
            ..ModelProto::default()
        };
        Model::from_bytes(encode(&proto).into(), Path::new("sketch.onnx")).unwrap()
    }
}

fn info(name: &str, kind: i32, dims: &[&str]) -> ValueInfoProto {
    let dim = dims.iter().map(|dim| Dimension {
        value: Some(match dim.parse() {
            Ok(size) => dimension::Value::DimValue(size),
            Err(_) => dimension::Value::DimParam((*dim).into()),
        }),
        ..Dimension::default()
    });
    let shape = TensorShapeProto { dim: dim.collect() };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            value: Some(Value::TensorType(Tensor {
                elem_type: Some(kind),
                shape: Some(shape),
            })),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

/// `[pre, attn_out, mid, mlp_out, post]` of a layer, `-` where there is none.
fn layer(found: &Architecture, layer: usize) -> [String; 5] {
    [
        Point::ResidPre,
        Point::AttnOut,
        Point::ResidMid,
        Point::MlpOut,
        Point::ResidPost,
    ]
    .map(|point| {
        let site = found.site(SiteName::block(layer, point));
        site.map_or("-".into(), |site| site.tensor.name().into())
    })
}

fn find(model: &Model) -> Architecture {
    Architecture::find(model).unwrap()
}

fn refused(model: &Model) -> String {
    Architecture::find(model).unwrap_err().to_string()
}

#[test]
fn sequential_blocks() {
    let mut sketch = Sketch::decoder();
    let mut stream = "x".to_string();
    for number in 0..2 {
        let name = |part: &str| format!("{part}{number}");
        sketch.norm(&stream, &name("ln1_"));
        sketch.attention(&name("ln1_"), &name("attn"));
        sketch.add(&name("attn"), &stream, &name("mid"));
        sketch.norm(&name("mid"), &name("ln2_"));
        sketch.mlp(&name("ln2_"), &name("mlp"));
        sketch.add(&name("mid"), &name("mlp"), &name("post"));
        stream = name("post");
    }
    let found = find(&sketch.finish(&stream));
    assert_eq!(layer(&found, 0), ["x", "attn0", "mid0", "mlp0", "post0"]);
    let second = ["post0", "attn1", "mid1", "mlp1", "post1"];
    assert_eq!(layer(&found, 1), second);
    let sizes = (found.n_layers, found.d_model, found.vocab_size);
    assert_eq!(sizes, (2, 8, 32));
    assert_eq!(found.inputs[0].role, InputRole::TokenIds);
    assert_eq!(found.inputs[1].role, InputRole::AttentionMask);
    let last = found.site(SiteName::outside(Point::LnFinal)).unwrap();
    assert_eq!(last.tensor, SiteTensor::Named("last".into()));
}

/// Parallel branches are summed in whatever order the exporter left.
#[test]
fn parallel_blocks_in_every_order() {
    let orders = [
        ["attn", "mlp", "x"],
        ["x", "attn", "mlp"],
        ["mlp", "x", "attn"],
    ];
    for [first, second, third] in orders {
        let mut sketch = Sketch::decoder();
        sketch.norm("x", "ln1");
        sketch.norm("x", "ln2");
        sketch.attention("ln1", "attn");
        sketch.mlp("ln2", "mlp");
        sketch.add(first, second, "sum");
        sketch.add("sum", third, "post");
        let found = find(&sketch.finish("post"));
        assert_eq!(layer(&found, 0), ["x", "attn", "-", "mlp", "post"]);
        assert!(found.blocks[0].parallel);
    }
}

#[test]
fn a_router_of_experts_is_no_attention() {
    let mut sketch = Sketch::decoder();
    sketch.attention("x", "attn");
    sketch.add("x", "attn", "mid");
    sketch.norm("mid", "ln");
    sketch.experts("ln", "mlp");
    sketch.add("mid", "mlp", "post");
    let found = find(&sketch.finish("post"));
    assert_eq!(layer(&found, 0), ["x", "attn", "mid", "mlp", "post"]);
}

#[test]
fn post_norm_blocks_put_out_their_norm() {
    let mut sketch = Sketch::decoder();
    sketch.attention("x", "attn");
    sketch.add("x", "attn", "sum1");
    sketch.norm("sum1", "mid");
    sketch.mlp("mid", "mlp");
    sketch.add("mid", "mlp", "sum2");
    sketch.norm("sum2", "post");
    let found = find(&sketch.head("post"));
    assert_eq!(layer(&found, 0), ["x", "attn", "mid", "mlp", "post"]);
    assert_eq!(found.site(SiteName::outside(Point::LnFinal)), None);
}

/// Another norm behind the last block's own is the model's.
#[test]
fn post_norm_blocks_may_be_followed_by_a_last_norm() {
    let mut sketch = Sketch::decoder();
    sketch.attention("x", "attn");
    sketch.add("x", "attn", "sum1");
    sketch.norm("sum1", "mid");
    sketch.mlp("mid", "mlp");
    sketch.add("mid", "mlp", "sum2");
    sketch.norm("sum2", "post");
    let found = find(&sketch.finish("post"));
    assert_eq!(layer(&found, 0), ["x", "attn", "mid", "mlp", "post"]);
    let last = found.site(SiteName::outside(Point::LnFinal)).unwrap();
    assert_eq!(last.tensor.name(), "last");
}

/// The start of the stream mixed in again after a layer: the layer would count as one branch, the stream in it included.
#[test]
fn a_stream_that_is_added_again_is_refused() {
    let mut sketch = Sketch::decoder();
    sketch.attention("x", "attn0");
    sketch.add("x", "attn0", "post0");
    sketch.node("Mul", &["post0", "scalar"], "less");
    sketch.add("less", "x", "mixed");
    sketch.attention("mixed", "attn1");
    sketch.add("mixed", "attn1", "post1");
    let message = refused(&sketch.finish("post1"));
    assert!(
        message.contains("is a sum of it and of a branch already"),
        "{message}"
    );
}

/// A head on an early layer puts out logits too, and may come first.
#[test]
fn logits_of_the_deepest_head() {
    for order in [["early", "logits"], ["logits", "early"]] {
        let mut sketch = Sketch::decoder();
        sketch.attention("x", "attn0");
        sketch.add("x", "attn0", "post0");
        sketch.norm("post0", "ln0");
        sketch.node("MatMul", &["ln0", "head"], "early");
        sketch.attention("post0", "attn1");
        sketch.add("post0", "attn1", "post1");
        sketch.norm("post1", "last");
        sketch.node("MatMul", &["last", "head"], "logits");
        for name in order {
            let output = info(name, FLOAT, &["batch", "seq", "32"]);
            sketch.graph.output.push(output);
        }
        let model = Model::from_bytes(
            encode(&ModelProto {
                graph: Some(sketch.graph),
                ..ModelProto::default()
            })
            .into(),
            Path::new("sketch.onnx"),
        );
        let found = find(&model.unwrap());
        assert_eq!((found.n_layers, found.logits.as_str()), (2, "logits"));
    }
}

/// A position embedding and an embedding scale at the bottom, norms on branches, a multiplier, casts and a soft cap.
#[test]
fn arithmetic_around_the_stream() {
    let mut sketch = Sketch::decoder();
    sketch.input("places", INT64, &["batch", "seq"]);
    sketch.weight("place_table", &[4 * VOCAB, WIDTH]);
    sketch.node("Gather", &["place_table", "places"], "place");
    sketch.node("Mul", &["x", "scalar"], "scaled");
    sketch.add("place", "scaled", "embed");
    sketch.rms("embed", "ln1");
    sketch.attention("ln1", "proj");
    sketch.rms("proj", "attn");
    sketch.node("Cast", &["embed"], "wide");
    sketch.add("wide", "attn", "mid");
    sketch.rms("mid", "ln2");
    sketch.mlp("ln2", "down");
    sketch.node("Mul", &["down", "scalar"], "mlp");
    sketch.add("mlp", "mid", "post");
    sketch.rms("post", "last");
    sketch.node("MatMul", &["last", "head"], "raw");
    sketch.node("Div", &["raw", "scalar"], "small");
    sketch.node("Tanh", &["small"], "capped");
    sketch.node("Mul", &["capped", "scalar"], "logits");
    let found = find(&sketch.open());
    assert_eq!(layer(&found, 0), ["embed", "attn", "mid", "mlp", "post"]);
    let last = found.site(SiteName::outside(Point::LnFinal)).unwrap();
    assert_eq!(last.tensor.name(), "last");
    let roles: Vec<_> = found
        .inputs
        .into_iter()
        .map(|input| (input.name, input.role))
        .collect();
    let expected = [
        ("ids".to_string(), InputRole::TokenIds),
        ("mask".to_string(), InputRole::AttentionMask),
        ("places".to_string(), InputRole::PositionIds),
    ];
    assert_eq!(roles, expected);
}

#[test]
fn sums_inside_fused_norms() {
    let mut sketch = Sketch::decoder();
    sketch.norm("x", "ln1");
    sketch.attention("ln1", "attn");
    let fused = "SkipSimplifiedLayerNormalization";
    sketch.node(fused, &["x", "attn", "gain"], "ln2 - - mid");
    sketch.mlp("ln2", "mlp");
    sketch.node(fused, &["mid", "mlp", "gain"], "last");
    let last = sketch.graph.node.len() - 1;
    let found = find(&sketch.head("last"));
    let post = found.site(SiteName::block(0, Point::ResidPost)).unwrap();
    assert!(matches!(&post.tensor, SiteTensor::SkipSum { node, .. } if *node == last));
    assert_eq!(layer(&found, 0)[..4], ["x", "attn", "mid", "mlp"]);
}

/// A bias inside the fused addition belongs to the branch, and no tensor holds branch and bias together.
#[test]
fn a_fused_bias_is_part_of_the_branch() {
    let mut sketch = Sketch::decoder();
    sketch.attention("x", "attn");
    let inputs = ["x", "attn", "gain", "gain", "offset"];
    sketch.node("SkipLayerNormalization", &inputs, "ln2 - - mid");
    sketch.mlp("ln2", "mlp");
    sketch.add("mid", "mlp", "post");
    let found = find(&sketch.finish("post"));
    assert_eq!(layer(&found, 0), ["x", "attn", "mid", "mlp", "post"]);
    let site = found.site(SiteName::block(0, Point::AttnOut)).unwrap();
    let parts = ["attn", "offset"].map(str::to_owned).to_vec();
    assert_eq!(site.tensor, SiteTensor::Sum(parts));
}

/// The keys and values of an earlier layer serve a later one.
#[test]
fn shared_keys_and_values() {
    let mut sketch = Sketch::decoder();
    sketch.attention("x", "attn0");
    sketch.add("x", "attn0", "mid0");
    sketch.mlp("mid0", "mlp0");
    sketch.add("mid0", "mlp0", "post0");
    sketch.node("MatMul", &["post0", "w"], "q1");
    sketch.node("MatMul", &["q1", "attn0_kt"], "qk1");
    sketch.node("Softmax", &["qk1"], "pattern1");
    sketch.node("MatMul", &["pattern1", "x"], "z1");
    sketch.node("MatMul", &["z1", "w"], "attn1");
    sketch.add("post0", "attn1", "mid1");
    sketch.mlp("mid1", "mlp1");
    sketch.add("mid1", "mlp1", "post1");
    let found = find(&sketch.finish("post1"));
    assert_eq!(
        layer(&found, 1),
        ["post0", "attn1", "mid1", "mlp1", "post1"]
    );
}

/// A bridge from an early to a late place of the stream makes of the layers between a single branch.
#[test]
fn a_bridge_over_layers_is_refused() {
    let mut sketch = Sketch::decoder();
    sketch.attention("x", "attn0");
    sketch.add("x", "attn0", "mid0");
    sketch.mlp("mid0", "mlp0");
    sketch.add("mid0", "mlp0", "post0");
    sketch.attention("post0", "attn1");
    sketch.add("post0", "attn1", "mid1");
    sketch.mlp("mid1", "mlp1");
    sketch.add("mid1", "mlp1", "post1");
    sketch.node("Mul", &["x", "scalar"], "early");
    sketch.add("post1", "early", "late");
    let model = sketch.finish("late");
    let fault = Architecture::find(&model).unwrap_err();
    insta::assert_snapshot!(fault);
}

#[test]
fn attention_alone() {
    let mut sketch = Sketch::decoder();
    sketch.attention("x", "attn0");
    sketch.add("x", "attn0", "post0");
    sketch.attention("post0", "attn1");
    sketch.add("post0", "attn1", "post1");
    let found = find(&sketch.head("post1"));
    assert_eq!(layer(&found, 0), ["x", "attn0", "-", "-", "post0"]);
    assert_eq!(layer(&found, 1), ["post0", "attn1", "-", "-", "post1"]);
}

#[test]
fn what_is_no_decoder_is_refused_with_the_place() {
    let mut convolution = Sketch::default();
    convolution.input("pixels", FLOAT, &["batch", "3", "8", "8"]);
    convolution.weight("kernel", &[4, 3, 3, 3]);
    convolution.weight("head", &[4, VOCAB]);
    convolution.node("Conv", &["pixels", "kernel"], "features");
    convolution.node("Relu", &["features"], "active");
    convolution.node("Flatten", &["active"], "flat");

    let mut two_attentions = Sketch::decoder();
    two_attentions.attention("x", "own");
    two_attentions.add("x", "own", "a");
    two_attentions.attention("a", "cross");
    two_attentions.add("a", "cross", "b");
    two_attentions.mlp("b", "mlp");
    two_attentions.add("b", "mlp", "c");

    let mut gated_stream = Sketch::decoder();
    gated_stream.attention("x", "attn");
    gated_stream.node("Mul", &["x", "attn"], "gated");
    gated_stream.mlp("gated", "mlp");
    gated_stream.add("gated", "mlp", "post");

    let mut embeddings = Sketch::default();
    embeddings.input("x", FLOAT, &["batch", "seq", "8"]);
    embeddings.input("mask_bool", BOOL, &["batch", "seq"]);
    embeddings.weights();
    embeddings.attention("x", "attn");
    embeddings.add("x", "attn", "mid");
    embeddings.mlp("mid", "mlp");
    embeddings.add("mid", "mlp", "post");

    let mut unknown_input = Sketch::decoder();
    unknown_input.input("temperature", FLOAT, &["batch"]);
    unknown_input.attention("x", "attn");
    unknown_input.add("x", "attn", "mid");

    let messages = [
        refused(&convolution.head("flat")),
        refused(&two_attentions.finish("c")),
        refused(&gated_stream.finish("post")),
        refused(&embeddings.finish("post")),
        refused(&unknown_input.finish("mid")),
        refused(&Sketch::decoder().finish("x")),
    ];
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn damaged_graphs_are_refused() {
    let node = |inputs: &[&str], output: &str| NodeProto {
        op_type: Some("Add".into()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    };
    let graph = |nodes: Vec<NodeProto>| GraphProto {
        node: nodes,
        input: vec![info("in", FLOAT, &["n"])],
        output: vec![info("b", FLOAT, &["n"])],
        ..GraphProto::default()
    };
    let graphs = [
        graph(vec![node(&["in", "b"], "a"), node(&["a", "in"], "b")]),
        graph(vec![node(&["b", "in"], "b")]),
        graph(vec![node(&["in", "in"], "b"), node(&["in", "in"], "b")]),
        graph(vec![node(&["in", "nowhere"], "b")]),
        graph(vec![node(&["in", "in"], "a")]),
        graph(vec![node(&["in", "in"], "b"), node(&["in", "b"], "in")]),
    ];
    let messages: Vec<String> = graphs
        .iter()
        .map(|graph| GraphIndex::new(graph).unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!(messages.join("\n\n"));
}

/// Files need not be sorted, and sums of sums of sums … neither overflow the stack nor branch without end.
#[test]
fn long_and_unsorted_graphs_are_indexed() {
    let mut sketch = Sketch::decoder();
    let mut at = "x".to_string();
    for number in 0..20_000 {
        let next = format!("s{number}");
        sketch.add(&at, &at, &next);
        at = next;
    }
    sketch.graph.node.reverse();
    let index = GraphIndex::new(&sketch.graph).unwrap();
    assert_eq!(index.consumers("x").len(), 2);
    let (sum, _) = index.producer("s0").unwrap();
    let (embedding, _) = index.producer("x").unwrap();
    assert!(index.rank(embedding) < index.rank(sum));
    assert!(Architecture::find(&sketch.finish(&at)).is_err());
}

#[test]
fn constants_are_reached_through_identity_and_cast() {
    let mut sketch = Sketch::decoder();
    let five = TensorProto {
        dims: vec![1],
        data_type: Some(INT64),
        int64_data: vec![5],
        ..TensorProto::default()
    };
    sketch.graph.node.push(NodeProto {
        op_type: Some("Constant".into()),
        output: vec!["five".into()],
        attribute: vec![AttributeProto {
            name: Some("value".into()),
            t: Some(Box::new(five)),
            ..AttributeProto::default()
        }],
        ..NodeProto::default()
    });
    sketch.node("Identity", &["five"], "same");
    sketch.node("Cast", &["same"], "cast");
    let index = GraphIndex::new(&sketch.graph).unwrap();
    assert_eq!(index.integers("cast"), Some(vec![5]));
    assert_eq!(index.integers("x"), None);
}
