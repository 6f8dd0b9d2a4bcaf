//! Small valid decoders in several forms, and changes to them.

use libfuzzer_sys::arbitrary::{Result, Unstructured};

use crate::model::onnx::tensor_shape_proto::{Dimension, dimension};
use crate::model::onnx::type_proto::{Tensor, Value};
use crate::model::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
};

/// How many forms there are.
pub const FORMS: u8 = 6;

/// More changes only make a graph that nothing is found in.
const MOST: usize = 64;
const WIDTH: i64 = 8;
const VOCAB: i64 = 16;
/// Operators that a node may be turned into: those that the finder knows, and some that it does not.
const OPERATORS: [&str; 44] = [
    "Add",
    "Mul",
    "Sub",
    "Div",
    "Sum",
    "MatMul",
    "Gemm",
    "Softmax",
    "Reshape",
    "Transpose",
    "Identity",
    "Cast",
    "Gather",
    "Where",
    "Concat",
    "Split",
    "Slice",
    "Shape",
    "Size",
    "Unsqueeze",
    "Squeeze",
    "LayerNormalization",
    "RMSNormalization",
    "SimplifiedLayerNormalization",
    "SkipLayerNormalization",
    "SkipSimplifiedLayerNormalization",
    "EmbedLayerNormalization",
    "Attention",
    "GroupQueryAttention",
    "MultiHeadAttention",
    "RotaryEmbedding",
    "MatMulNBits",
    "QuantizeLinear",
    "DequantizeLinear",
    "DynamicQuantizeLinear",
    "MatMulInteger",
    "Pow",
    "ReduceMean",
    "Sqrt",
    "Reciprocal",
    "Constant",
    "If",
    "Loop",
    "Conv",
];

struct Sketch {
    graph: GraphProto,
    functions: Vec<FunctionProto>,
}

impl Sketch {
    fn node(&mut self, op: &str, inputs: &[&str], output: &str) {
        self.graph.node.push(node(op, inputs, output));
    }

    fn weight(&mut self, name: &str, dims: &[i64]) {
        let count = dims.iter().product::<i64>() as usize;
        self.graph.initializer.push(TensorProto {
            name: Some(name.into()),
            dims: dims.to_vec(),
            data_type: Some(1),
            raw_data: Some(vec![0_u8; 4 * count].into()),
            ..TensorProto::default()
        });
    }

    fn ints(&mut self, name: &str, values: &[i64]) {
        self.graph.initializer.push(TensorProto {
            name: Some(name.into()),
            dims: vec![values.len() as i64],
            data_type: Some(7),
            int64_data: values.to_vec(),
            ..TensorProto::default()
        });
    }

    fn rms(&mut self, from: &str, to: &str) {
        let part = |name: &str| format!("{to}.{name}");
        self.node("Pow", &[from, "scalar"], &part("square"));
        self.node("ReduceMean", &[&part("square")], &part("mean"));
        self.node("Add", &[&part("mean"), "scalar"], &part("safe"));
        self.node("Sqrt", &[&part("safe")], &part("root"));
        self.node("Reciprocal", &[&part("root")], &part("factor"));
        self.node("Mul", &[from, &part("factor")], &part("core"));
        self.node("Mul", &["gain", &part("core")], to);
    }

    fn attention(&mut self, from: &str, to: &str) {
        let part = |name: &str| format!("{to}.{name}");
        for one in ["q", "k", "v"] {
            self.node("MatMul", &[from, "w"], &part(one));
            self.node("Reshape", &[&part(one), "heads"], &part(&format!("{one}1")));
            self.node(
                "Transpose",
                &[&part(&format!("{one}1"))],
                &part(&format!("{one}2")),
            );
        }
        self.node("MatMul", &[&part("q2"), &part("k2")], &part("scores"));
        self.node(
            "Where",
            &["mask.bool", &part("scores"), "scalar"],
            &part("masked"),
        );
        self.node("Softmax", &[&part("masked")], &part("pattern"));
        self.node("MatMul", &[&part("pattern"), &part("v2")], &part("z"));
        self.node("Transpose", &[&part("z")], &part("z1"));
        self.node("Reshape", &[&part("z1"), "joined"], &part("z2"));
        self.node("MatMul", &[&part("z2"), "w"], to);
    }

    fn mlp(&mut self, from: &str, to: &str) {
        self.node("Gemm", &[from, "w"], &format!("{to}.up"));
        self.node("Relu", &[&format!("{to}.up")], &format!("{to}.act"));
        self.node("MatMul", &[&format!("{to}.act"), "w"], to);
    }
}

/// A decoder of two layers in one of the forms.
pub fn valid(form: u8) -> ModelProto {
    let mut sketch = Sketch {
        graph: GraphProto::default(),
        functions: Vec::new(),
    };
    let s = &mut sketch;
    s.graph.input = vec![info("ids", 7, &[0, 0]), info("mask", 7, &[0, 0])];
    s.weight("table", &[VOCAB, WIDTH]);
    s.weight("w", &[WIDTH, WIDTH]);
    s.weight("gain", &[WIDTH]);
    s.weight("head", &[WIDTH, VOCAB]);
    s.weight("scalar", &[]);
    s.ints("heads", &[0, 0, 2, 4]);
    s.ints("joined", &[0, 0, WIDTH]);
    s.node("Gather", &["table", "ids"], "x");
    s.node("Cast", &["mask"], "mask.bool");
    let mut at = "x".to_owned();
    for layer in 0..2 {
        let name = |part: &str| format!("{layer}.{part}");
        let (norm, attn, mid) = (name("norm"), name("attn"), name("mid"));
        let (norm2, mlp, post) = (name("norm2"), name("mlp"), name("post"));
        match form {
            // Fused norms that add.
            1 => {
                s.node("LayerNormalization", &[&at, "gain"], &norm);
                s.attention(&norm, &attn);
                s.node("SkipLayerNormalization", &[&at, &attn, "gain"], &norm2);
                let sum = s.graph.node.last_mut().map(|node| &mut node.output);
                sum.into_iter()
                    .for_each(|outputs| outputs.extend(["".into(), "".into(), mid.clone()]));
                s.mlp(&norm2, &mlp);
                s.node("Add", &[&mid, &mlp], &post);
            }
            // Parallel.
            2 => {
                s.rms(&at, &norm);
                s.attention(&norm, &attn);
                s.mlp(&norm, &mlp);
                s.node("Add", &[&attn, &mlp], &mid);
                s.node("Add", &[&at, &mid], &post);
            }
            // A fused attention with caches.
            3 => {
                s.node("SimplifiedLayerNormalization", &[&at, "gain"], &norm);
                let [key, value] = ["key", "value"].map(|part| format!("past.{layer}.{part}"));
                for cache in [&key, &value] {
                    s.graph.input.push(info(cache, 1, &[0, 2, 0, 4]));
                }
                s.node("MatMul", &[&norm, "w"], &name("q"));
                let q = name("q");
                s.node("GroupQueryAttention", &[&q, &q, &q, &key, &value], &attn);
                let heads = ["num_heads", "kv_num_heads"].map(|name| int(name, 2));
                let last = s.graph.node.last_mut();
                last.into_iter()
                    .for_each(|node| node.attribute.extend(heads.clone()));
                s.node("Add", &[&at, &attn], &mid);
                s.rms(&mid, &norm2);
                s.mlp(&norm2, &mlp);
                s.node("Add", &[&mid, &mlp], &post);
            }
            // Post-norm.
            4 => {
                s.attention(&at, &attn);
                s.node("Add", &[&at, &attn], &mid);
                s.node("LayerNormalization", &[&mid, "gain"], &norm);
                s.mlp(&norm, &mlp);
                s.node("Add", &[&norm, &mlp], &norm2);
                s.node("LayerNormalization", &[&norm2, "gain"], &post);
            }
            _ => {
                s.rms(&at, &norm);
                s.attention(&norm, &attn);
                s.node("Add", &[&at, &attn], &mid);
                s.rms(&mid, &norm2);
                s.mlp(&norm2, &mlp);
                s.node("Add", &[&mid, &mlp], &post);
            }
        }
        at = post;
    }
    s.node("LayerNormalization", &[&at, "gain"], "last");
    s.node("MatMul", &["last", "head"], "logits");
    s.graph.output.push(info("logits", 1, &[0, 0, VOCAB]));
    if form == 5 {
        into_functions(s);
    }
    ModelProto {
        ir_version: Some(10),
        opset_import: vec![import("", 18), import("local", 1)],
        graph: Some(sketch.graph),
        functions: sketch.functions,
        ..ModelProto::default()
    }
}

/// Makes every product a call of a function.
fn into_functions(sketch: &mut Sketch) {
    sketch.functions.push(FunctionProto {
        name: Some("Product".into()),
        domain: Some("local".into()),
        input: vec!["a".into(), "b".into()],
        output: vec!["c".into()],
        node: vec![node("MatMul", &["a", "b"], "c")],
        opset_import: vec![import("", 18)],
        ..FunctionProto::default()
    });
    for node in &mut sketch.graph.node {
        if node.op_type() == "MatMul" {
            node.op_type = Some("Product".into());
            node.domain = Some("local".into());
        }
    }
}

/// One of the decoders with as many changes as there are choices.
pub fn changed(choices: &mut Unstructured<'_>) -> Result<ModelProto> {
    let mut model = valid(choices.arbitrary::<u8>()? % FORMS);
    for _ in 0..MOST {
        if choices.is_empty() {
            break;
        }
        change(&mut model, choices)?;
    }
    Ok(model)
}

fn change(model: &mut ModelProto, choices: &mut Unstructured<'_>) -> Result<()> {
    let ModelProto {
        graph,
        functions,
        opset_import,
        ..
    } = model;
    let Some(graph) = graph else { return Ok(()) };
    let names: Vec<String> = graph
        .node
        .iter()
        .flat_map(|node| node.output.clone())
        .chain(graph.input.iter().map(|one| one.name().to_owned()))
        .chain(graph.initializer.iter().map(|one| one.name().to_owned()))
        .collect();
    if graph.node.is_empty() || names.is_empty() {
        return Ok(());
    }
    let at = choices.choose_index(graph.node.len())?;
    let name = names[choices.choose_index(names.len())?].clone();
    match choices.arbitrary::<u8>()? % 18 {
        0 => replace(&mut graph.node[at].input, name, choices)?,
        1 => replace(&mut graph.node[at].output, name, choices)?,
        2 => graph.node[at].op_type = Some((*choices.choose(&OPERATORS)?).into()),
        3 => drop(graph.node.remove(at)),
        4 => {
            let mut copy = graph.node[at].clone();
            let number = graph.node.len();
            copy.output
                .iter_mut()
                .for_each(|one| one.push_str(&format!("'{number}")));
            graph.node.insert(at, copy);
        }
        5 => graph.node[at].input.push(name),
        6 => drop(graph.node[at].input.pop()),
        7 => graph.node[at].output.push(format!("{name}'")),
        8 => {
            let other = choices.choose_index(graph.node.len())?;
            graph.node.swap(at, other);
        }
        9 => {
            let keys = [
                "axis",
                "perm",
                "num_heads",
                "kv_num_heads",
                "transB",
                "N",
                "K",
                "bits",
                "to",
                "epsilon",
                "value_int",
            ];
            let key = choices.choose(&keys)?;
            graph.node[at]
                .attribute
                .push(int(key, choices.arbitrary()?));
        }
        10 => {
            let dims = (0..choices.arbitrary::<u8>()? % 5).map(|_| choices.arbitrary());
            let dims = dims.collect::<Result<Vec<i64>>>()?;
            let kind = [1, 7, 9, 10, 16, choices.arbitrary()?];
            graph
                .value_info
                .push(info(&name, *choices.choose(&kind)?, &dims));
        }
        11 => {
            let count = graph.initializer.len();
            if count > 0 {
                graph.initializer[choices.choose_index(count)?]
                    .dims
                    .push(choices.arbitrary()?);
            }
        }
        12 => {
            let values = (0..choices.arbitrary::<u8>()? % 6)
                .map(|_| choices.arbitrary::<i8>().map(i64::from));
            let values = values.collect::<Result<Vec<i64>>>()?;
            let count = graph.initializer.len();
            if count > 0 {
                let tensor = &mut graph.initializer[choices.choose_index(count)?];
                tensor.dims = vec![values.len() as i64];
                tensor.data_type = Some(7);
                tensor.raw_data = None;
                tensor.int64_data = values;
            }
        }
        13 => {
            let mut branch = AttributeProto {
                name: Some(
                    ["then_branch", "else_branch", "body"]
                        [usize::from(choices.arbitrary::<u8>()? % 3)]
                    .into(),
                ),
                ..AttributeProto::default()
            };
            let moved = graph.node[at].clone();
            graph.node[at].attribute.clear();
            branch.g = Some(Box::new(GraphProto {
                output: moved.output.iter().map(|one| info(one, 1, &[])).collect(),
                node: vec![moved],
                ..GraphProto::default()
            }));
            graph.node[at].op_type = Some("If".into());
            graph.node[at].attribute.push(branch);
        }
        14 => {
            let dims = [
                choices.int_in_range(-1..=9)?,
                choices.int_in_range(-1..=9)?,
                choices.arbitrary()?,
            ];
            let kind = [1, 6, 7, 8, 9, 10, 11, 16];
            graph
                .input
                .push(info(&format!("{name}'in"), *choices.choose(&kind)?, &dims));
            replace(&mut graph.node[at].input, format!("{name}'in"), choices)?;
        }
        15 => graph
            .output
            .push(info(&name, 1, &[0, 0, choices.arbitrary()?])),
        16 => {
            // A stretch of nodes becomes a function that is called once.
            let stretch = graph.node[at].clone();
            let called = format!("F{}", functions.len());
            functions.push(FunctionProto {
                name: Some(called.clone()),
                domain: Some("local".into()),
                input: stretch.input.clone(),
                output: stretch.output.clone(),
                node: vec![stretch],
                opset_import: vec![
                    import("", choices.int_in_range(17..=19)?),
                    import("local", 1),
                ],
                ..FunctionProto::default()
            });
            graph.node[at].op_type = Some(called);
            graph.node[at].domain = Some("local".into());
            graph.node[at].attribute.clear();
        }
        _ => opset_import.push(import(
            ["", "local", "com.microsoft"][usize::from(choices.arbitrary::<u8>()? % 3)],
            choices.arbitrary()?,
        )),
    }
    Ok(())
}

fn replace(names: &mut [String], name: String, choices: &mut Unstructured<'_>) -> Result<()> {
    if !names.is_empty() {
        let at = choices.choose_index(names.len())?;
        names[at] = if choices.ratio(1, 8)? {
            String::new()
        } else {
            name
        };
    }
    Ok(())
}

fn node(op: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        input: inputs.iter().map(|one| (*one).to_owned()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn int(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: Some(name.into()),
        i: Some(value),
        r#type: Some(2),
        ..AttributeProto::default()
    }
}

fn import(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto {
        domain: Some(domain.into()),
        version: Some(version),
    }
}

/// A value of that type; 0 is a dimension that is a symbol.
fn info(name: &str, kind: i32, dims: &[i64]) -> ValueInfoProto {
    let dim = |(at, &size): (usize, &i64)| Dimension {
        denotation: None,
        value: Some(match size {
            0 => dimension::Value::DimParam(format!("d{at}")),
            size => dimension::Value::DimValue(size),
        }),
    };
    ValueInfoProto {
        name: Some(name.into()),
        r#type: Some(TypeProto {
            denotation: None,
            value: Some(Value::TensorType(Tensor {
                elem_type: Some(kind),
                shape: Some(TensorShapeProto {
                    dim: dims.iter().enumerate().map(dim).collect(),
                }),
            })),
        }),
        ..ValueInfoProto::default()
    }
}
