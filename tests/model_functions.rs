//! Functions that a model defines: put in place they compute what others compute with the functions themselves, and what
//! cannot be put in place is refused.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use candor::fault::Fault;
use candor::instrument::{Plan, instrument};
use candor::model::onnx::{
    AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto,
    TensorProto, ValueInfoProto,
};
use candor::model::{Architecture, Model, Point, SiteName, encode};
use candor::run::{Feed, Runtime, RuntimeOptions, Session};
use ndarray::{Array2, ArrayD, IxDyn};
use serde_json::Value;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/functions")
        .join(name)
}

fn recorded(reference: &Value, name: &str) -> ArrayD<f32> {
    let list = |key: &str| reference[name][key].as_array().unwrap().iter();
    let shape: Vec<usize> = list("shape")
        .map(|size| usize::try_from(size.as_u64().unwrap()).unwrap())
        .collect();
    #[allow(clippy::cast_possible_truncation, reason = "they were float32")]
    let values = list("values").map(|value| value.as_f64().unwrap() as f32);
    ArrayD::from_shape_vec(IxDyn(&shape), values.collect()).unwrap()
}

#[test]
fn a_decoder_made_of_functions_is_found_and_runs_as_it_did() {
    let model = Model::open(&fixture("decoder.onnx")).unwrap();
    assert!(model.proto().functions.is_empty());
    let ops = model.graph().node.iter().map(NodeProto::op_type);
    let count = |wanted: &str| ops.clone().filter(|op| *op == wanted).count();
    assert_eq!(count("LayerNormalization"), 5);
    assert_eq!(count("If"), 1);
    let arch = Architecture::find(&model).unwrap();
    assert_eq!(
        (arch.n_layers, arch.d_model, arch.n_heads),
        (2, 16, Some(2))
    );

    let text = std::fs::read(fixture("reference.json")).unwrap();
    let reference: Value = serde_json::from_slice(&text).unwrap();
    let ids = reference["ids"].as_array().unwrap();
    let ids: Vec<i64> = ids
        .iter()
        .flat_map(|row| row.as_array().unwrap())
        .map(|id| id.as_i64().unwrap())
        .collect();
    let ids = Array2::from_shape_vec((2, 5), ids).unwrap();
    let sites = [
        ("x0", SiteName::block(0, Point::ResidPre)),
        ("x1", SiteName::block(0, Point::ResidPost)),
        ("x2", SiteName::block(1, Point::ResidPost)),
    ];
    let plan = Plan {
        taps: sites.iter().map(|(_, site)| *site).collect(),
        ..Plan::default()
    };
    let rewritten = instrument(&model, &arch, &plan).unwrap();
    let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| {}).unwrap();
    let session = Session::open(&runtime, &rewritten.bytes, &rewritten.folder, &arch).unwrap();
    let taps = &rewritten.manifest.taps;
    let mut wanted = vec!["logits"];
    wanted.extend(taps.iter().map(|(_, output)| output.as_str()));
    let outputs = session.run(&Feed::unpadded(ids), &wanted).unwrap();
    let names = ["logits"].into_iter().chain(sites.map(|(name, _)| name));
    for (output, name) in wanted.iter().zip(names) {
        let (ours, theirs) = (&outputs[*output], recorded(&reference, name));
        let most = theirs
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        let apart = (ours - &theirs)
            .iter()
            .fold(0.0_f32, |most, value| most.max(value.abs()));
        assert!(apart <= 1e-5 * most.max(1.0), "{name}: {apart}");
    }
    let digest = candor::digest::sha256_of(&std::fs::read(fixture("decoder.onnx")).unwrap());
    assert_eq!(model.digests().unwrap()[0].sha256, digest);
}

fn node(op: &str, inputs: &[&str], outputs: &[&str]) -> NodeProto {
    NodeProto {
        op_type: Some(op.into()),
        domain: Some(if op.starts_with('F') { "local" } else { "" }.into()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: outputs.iter().map(ToString::to_string).collect(),
        ..NodeProto::default()
    }
}

fn import(domain: &str, version: i64) -> OperatorSetIdProto {
    OperatorSetIdProto {
        domain: Some(domain.into()),
        version: Some(version),
    }
}

fn function(name: &str, inputs: &[&str], outputs: &[&str], nodes: Vec<NodeProto>) -> FunctionProto {
    FunctionProto {
        name: Some(name.into()),
        domain: Some("local".into()),
        input: inputs.iter().map(ToString::to_string).collect(),
        output: outputs.iter().map(ToString::to_string).collect(),
        node: nodes,
        opset_import: vec![import("", 18), import("local", 1)],
        ..FunctionProto::default()
    }
}

fn with_branch(mut node: NodeProto, name: &str, nodes: Vec<NodeProto>, output: &str) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.into()),
        r#type: Some(5),
        g: Some(Box::new(GraphProto {
            node: nodes,
            output: vec![info(output)],
            ..GraphProto::default()
        })),
        ..AttributeProto::default()
    });
    node
}

fn info(name: &str) -> ValueInfoProto {
    ValueInfoProto {
        name: Some(name.into()),
        ..ValueInfoProto::default()
    }
}

fn model(nodes: Vec<NodeProto>, functions: Vec<FunctionProto>) -> ModelProto {
    ModelProto {
        ir_version: Some(10),
        opset_import: vec![import("", 18), import("local", 1)],
        graph: Some(GraphProto {
            node: nodes,
            input: vec![info("x")],
            output: vec![info("y")],
            ..GraphProto::default()
        }),
        functions,
        ..ModelProto::default()
    }
}

fn open(proto: &ModelProto) -> Result<Model, Fault> {
    Model::from_bytes(encode(proto).into(), Path::new("functions.onnx"))
}

/// A reference to an attribute of the function.
fn refers(mut node: NodeProto, name: &str, outer: &str) -> NodeProto {
    node.attribute.push(AttributeProto {
        name: Some(name.into()),
        ref_attr_name: Some(outer.into()),
        r#type: Some(1),
        ..AttributeProto::default()
    });
    node
}

fn listed(model: &Model) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut open: Vec<(usize, &NodeProto)> = model.graph().node.iter().map(|n| (0, n)).collect();
    open.reverse();
    while let Some((depth, node)) = open.pop() {
        let attributes: Vec<String> = node
            .attribute
            .iter()
            .map(|a| format!(" {}={:?}", a.name(), a.f.or(a.i.map(|_| f32::NAN))))
            .collect();
        lines.push(format!(
            "{}{:?} = {}{}({:?})",
            "  ".repeat(depth),
            node.output,
            node.op_type(),
            attributes.concat(),
            node.input
        ));
        let graphs = node.attribute.iter().filter_map(|a| a.g.as_deref());
        let inner: Vec<_> = graphs
            .flat_map(|g| &g.node)
            .map(|n| (depth + 1, n))
            .collect();
        open.extend(inner.into_iter().rev());
    }
    lines.join("\n")
}

#[test]
fn names_attributes_and_what_is_left_out() {
    let mut leak = function(
        "FLeak",
        &["a", "unused"],
        &["b"],
        vec![
            refers(node("LeakyRelu", &["a"], &["t"]), "alpha", "slope"),
            refers(node("Elu", &["t"], &["b"]), "alpha", "left_out"),
        ],
    );
    leak.attribute = vec!["left_out".into()];
    leak.attribute_proto = vec![AttributeProto {
        name: Some("slope".into()),
        f: Some(0.5),
        r#type: Some(1),
        ..AttributeProto::default()
    }];
    let through = function(
        "FThrough",
        &["a"],
        &["a"],
        vec![node("Neg", &["a"], &["t"])],
    );
    // The branch makes a value of a name that the function has too, and reads one of the function's.
    let inner = vec![node("Neg", &["a"], &["t"]), node("FLeak", &["t"], &["u"])];
    let choose = function(
        "FChoose",
        &["a", "c"],
        &["b"],
        vec![
            node("Abs", &["a"], &["t2"]),
            with_branch(node("If", &["c"], &["b"]), "then_branch", inner, "u"),
            node("Clip", &["t2", "", "c"], &["t"]),
        ],
    );
    let mut sloped = node("FLeak", &["x"], &["p"]);
    sloped.attribute.push(AttributeProto {
        name: Some("slope".into()),
        f: Some(0.25),
        r#type: Some(1),
        ..AttributeProto::default()
    });
    sloped.name = Some("named".into());
    let nodes = vec![
        sloped,
        node("Relu", &["p"], &["named/t"]),
        node("FThrough", &["named/t"], &["q"]),
        node("FChoose", &["q"], &["y"]),
        with_branch(
            node("If", &["x"], &["z"]),
            "then_branch",
            vec![node("FThrough", &["y"], &["w"])],
            "w",
        ),
    ];
    let opened = open(&model(nodes, vec![leak, through, choose])).unwrap();
    insta::assert_snapshot!(listed(&opened));
    candor::model::GraphIndex::new(opened.graph()).unwrap();
}

#[test]
fn functions_that_cannot_be_put_in_place() {
    let call = || vec![node("F", &["x"], &["y"])];
    let neg = || vec![node("Neg", &["a"], &["b"])];
    let good = || function("F", &["a"], &["b"], neg());
    let mut shadow = good();
    shadow.domain = Some("com.microsoft".into());
    shadow.name = Some("Gelu".into());
    let mut shadowed = node("Gelu", &["x"], &["y"]);
    shadowed.domain = Some("com.microsoft".into());
    let mut older = good();
    older.opset_import = vec![import("ai.onnx", 11)];
    let again = vec![node("F2", &["a"], &["b"])];
    let back = vec![node("F", &["a"], &["b"])];
    let loose = vec![node("Neg", &["x"], &["b"])];
    let mut nested = node("F0", &["x"], &["y"]);
    let mut chain = Vec::new();
    for at in 0..40 {
        let (name, next) = (format!("F{at}"), format!("F{}", at + 1));
        chain.push(function(
            &name,
            &["a"],
            &["b"],
            vec![node(&next, &["a"], &["b"])],
        ));
    }
    chain.push(function("F40", &["a"], &["b"], neg()));
    // Each branch calls a function with a branch: deeper than any file can nest them.
    let deep = |at: usize| {
        let call = vec![node(&format!("F{}", at + 1), &["a"], &["b"])];
        let inner = with_branch(node("If", &["a"], &["b"]), "then_branch", call, "b");
        let outer = with_branch(node("If", &["a"], &["b"]), "then_branch", vec![inner], "b");
        function(&format!("F{at}"), &["a"], &["b"], vec![outer])
    };
    let mut branches: Vec<FunctionProto> = (0..20).map(deep).collect();
    branches.push(function("F20", &["a"], &["b"], neg()));
    // Each function calls the next one a thousand times.
    let bomb = |at: usize| {
        let call = |_| node(&format!("F{}", at + 1), &["a"], &[]);
        function(
            &format!("F{at}"),
            &["a"],
            &[],
            (0..1000).map(call).collect(),
        )
    };
    let mut bombs: Vec<FunctionProto> = (0..8).map(bomb).collect();
    bombs.push(function("F8", &["a"], &["b"], neg()));
    nested.output = vec![];
    let cases = [
        model(call(), vec![good(), good()]),
        model(vec![shadowed], vec![shadow]),
        model(call(), vec![older]),
        model(
            call(),
            vec![
                function("F", &["a"], &["b"], again),
                function("F2", &["a"], &["b"], back),
            ],
        ),
        model(call(), vec![function("F", &["a"], &["b"], loose)]),
        model(call(), vec![function("F", &[], &["b"], neg())]),
        model(call(), vec![function("F", &["a", "a"], &["b"], neg())]),
        model(call(), vec![function("F", &["a"], &["b", "b"], neg())]),
        model(call(), vec![function("F", &["a", "b"], &["b"], neg())]),
        model(
            vec![refers(node("Neg", &["x"], &["y"]), "alpha", "slope")],
            vec![good()],
        ),
        model(vec![node("F0", &["x"], &["y"])], chain),
        model(vec![node("F0", &["x"], &["y"])], branches),
        model(vec![nested], bombs),
    ];
    let faults = cases.iter().map(|case| open(case).unwrap_err().to_string());
    insta::assert_snapshot!(faults.collect::<Vec<_>>().join("\n\n"));
}

/// Operators of another version that no function uses are no conflict, and what the functions need is imported.
#[test]
fn operator_sets_come_together() {
    let mut idle = function("F", &["a"], &["b"], vec![node("F2", &["a"], &["b"])]);
    idle.opset_import = vec![import("", 11), import("local", 1)];
    let mut custom = node("Special", &["a"], &["b"]);
    custom.domain = Some("elsewhere".into());
    let mut other = function("F2", &["a"], &["b"], vec![custom]);
    other.opset_import = vec![import("elsewhere", 3)];
    let opened = open(&model(vec![node("F", &["x"], &["y"])], vec![idle, other])).unwrap();
    let imports = opened.proto().opset_import.iter();
    let imports: Vec<_> = imports.map(|one| (one.domain(), one.version())).collect();
    assert_eq!(imports, [("", 18), ("elsewhere", 3)]);
}

/// Copies of typed data and of long names are counted before they are made.
#[test]
fn large_constants_in_functions_are_bounded() {
    let mut constant = node("Constant", &[], &["b"]);
    constant.attribute.push(AttributeProto {
        name: Some("value".into()),
        t: Some(Box::new(TensorProto {
            dims: vec![1 << 18],
            data_type: Some(1),
            float_data: vec![0.0; 1 << 18],
            ..TensorProto::default()
        })),
        ..AttributeProto::default()
    });
    let calls = (0..20_000).map(|at| node("F", &["x"], &[&format!("y{at}")]));
    let nodes: Vec<NodeProto> = calls.chain([node("Neg", &["y0"], &["y"])]).collect();
    let bomb = model(nodes, vec![function("F", &["a"], &["b"], vec![constant])]);
    let fault = open(&bomb).unwrap_err();
    assert!(fault.found.contains("once they are in place"), "{fault}");
}
