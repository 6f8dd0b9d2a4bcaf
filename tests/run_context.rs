//! Exports that say less than they should: of the last token alone, or nothing of what came before it.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::path::{Path, PathBuf};

use candor::causal::{Blockwise, Change, DEFAULT_BUDGET, Engine, Row, Runs as _, To};
use candor::lab::capture;
use candor::model::onnx::tensor_proto::DataType;
use candor::model::onnx::{NodeProto, TensorProto};
use candor::model::{Architecture, Model, Point, SiteName, encode};
use candor::run::{Blocks, Runtime, RuntimeOptions, Session, greedy, last_logits};
use ndarray::{Array1, s};

fn runtime() -> Runtime {
    Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap()
}

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/organisms/liar/model.onnx")
}

fn whole() -> Model {
    Model::open(&path()).unwrap()
}

fn edited(edit: impl FnOnce(&Architecture, &mut candor::model::onnx::GraphProto)) -> Model {
    let model = whole();
    let arch = Architecture::find(&model).unwrap();
    let mut proto = model.proto().clone();
    edit(&arch, proto.graph.as_mut().unwrap());
    Model::from_bytes(encode(&proto).into(), &path()).unwrap()
}

fn session(model: &Model) -> (Session, Architecture) {
    let arch = Architecture::find(model).unwrap();
    let bytes = encode(model.proto());
    let session = Session::open(&runtime(), &bytes, model.folder(), &arch).unwrap();
    (session, arch)
}

/// What the output projections of all blocks read is multiplied with 0, so that each token hears of itself alone.
fn deaf() -> Model {
    edited(|arch, graph| {
        for layer in 0..arch.n_layers {
            let z = arch.site(SiteName::block(layer, Point::HookZ)).unwrap();
            let name = z.tensor.name().to_owned();
            let reader = graph.node.iter().find(|node| node.input.contains(&name));
            let weight = reader.unwrap().input[1].clone();
            let mut weights = graph.initializer.iter_mut();
            let weight = weights.find(|tensor| tensor.name() == weight).unwrap();
            let length = weight.raw_data.take().unwrap().len();
            weight.raw_data = Some(vec![0; length].into());
        }
    })
}

/// The last norm is cut to the last token before it is multiplied with the unembedding, as some builders do.
fn terse() -> Model {
    edited(|arch, graph| {
        let norm = arch.site(SiteName::outside(Point::LnFinal)).unwrap();
        let name = norm.tensor.name().to_owned();
        for node in &mut graph.node {
            for input in node.input.iter_mut().filter(|input| **input == name) {
                "cut".clone_into(input);
            }
        }
        let made = |node: &NodeProto| node.output.contains(&name);
        let at = graph.node.iter().position(made).unwrap();
        let inputs = [name.as_str(), "cut.start", "cut.end", "cut.axis"];
        graph.node.insert(
            at + 1,
            NodeProto {
                op_type: Some("Slice".into()),
                input: inputs.map(str::to_owned).to_vec(),
                output: vec!["cut".into()],
                ..NodeProto::default()
            },
        );
        let ends = [("cut.start", -1), ("cut.end", i64::MAX), ("cut.axis", 1)];
        graph
            .initializer
            .extend(ends.map(|(name, value)| TensorProto {
                name: Some(name.into()),
                dims: vec![1],
                data_type: Some(DataType::Int64.into()),
                int64_data: vec![value],
                ..TensorProto::default()
            }));
        let logits = graph
            .output
            .iter_mut()
            .find(|output| output.name() == arch.logits);
        logits.unwrap().r#type = None;
    })
}

#[test]
fn a_model_that_does_not_hear_what_came_before_is_refused() {
    let model = deaf();
    let (session, arch) = session(&model);
    let prompts = [vec![5, 9, 4]];
    let fault = last_logits(&session, &arch, &prompts).unwrap_err();
    insta::assert_snapshot!(fault);
    let stop = greedy(&session, &prompts, 2, &[]).unwrap_err();
    assert_eq!(stop.found, fault.found);
    let engine = Engine::open(&runtime(), &model, &arch, &[], &[], Vec::new());
    assert_eq!(engine.err().unwrap().found, fault.found);
    let blocks = Blocks::open(&runtime(), &model, &arch);
    assert_eq!(blocks.err().unwrap().found, fault.found);
}

/// The model with the mask of its last attention taken away: there, and there alone, tokens hear later ones.
fn late_ears() -> Model {
    edited(|_, graph| {
        let node = |graph: &candor::model::onnx::GraphProto, op: &str, made: Option<&str>| {
            let mut nodes = graph.node.iter().enumerate().rev();
            let found = nodes.find(|(_, node)| {
                let makes = made.is_none_or(|made| node.output.iter().any(|name| name == made));
                node.op_type() == op && makes
            });
            found.map(|(at, _)| at).unwrap()
        };
        let softmax = node(graph, "Softmax", None);
        let masked = graph.node[softmax].input[0].clone();
        let mask = node(graph, "Add", Some(&masked));
        let scores = graph.node[mask].input[0].clone();
        graph.node[softmax].input[0] = scores;
    })
}

#[test]
fn one_block_that_hears_later_tokens_is_enough_to_run_whole_rows() {
    let (model, runtime) = (late_ears(), runtime());
    let arch = Architecture::find(&model).unwrap();
    let plain = Architecture::find(&whole()).unwrap();
    assert!(Blocks::open(&runtime, &whole(), &plain).unwrap().causal());
    let blocks = Blockwise::open(&runtime, &model, &arch, DEFAULT_BUDGET).unwrap();
    assert!(!blocks.blocks().causal());

    let sites: Vec<SiteName> = (0..arch.n_layers)
        .map(|layer| SiteName::block(layer, Point::ResidPre))
        .collect();
    let engine = Engine::open(&runtime, &model, &arch, &sites, &sites, Vec::new()).unwrap();
    let ids = [5, 9, 4, 7, 8];
    let rows: Vec<Row<'_>> = sites
        .iter()
        .map(|&site| {
            let push = To::Add(Array1::from_elem(arch.d_model, 0.5));
            // A later token is changed, and an earlier one read.
            Row::with(&ids, Change::at(site, 3, push), 1)
        })
        .collect();
    let (found, expected) = (blocks.logits(&rows).unwrap(), engine.logits(&rows).unwrap());
    let untouched = engine
        .logits(&[Row {
            read: vec![1],
            ..Row::plain(&ids)
        }])
        .unwrap();
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).iter().all(|x| x.abs() <= 1e-4));
        assert!(
            (expected - &untouched[0]).iter().any(|x| x.abs() > 1e-3),
            "it is heard"
        );
    }
}

#[test]
fn logits_of_the_last_token_are_enough() {
    let (terse, full) = (terse(), whole());
    let prompts = [vec![5, 9, 4, 7], vec![8, 3], vec![11, 2, 6, 1]];
    let ((short, arch), (long, full_arch)) = (session(&terse), session(&full));
    let last = last_logits(&short, &arch, &prompts).unwrap();
    let expected = last_logits(&long, &full_arch, &prompts).unwrap();
    let off = (&last - &expected)
        .iter()
        .fold(0.0_f32, |most, x| most.max(x.abs()));
    assert!(off <= 1e-5, "{off:e}");
    assert_eq!(
        greedy(&short, &prompts, 3, &[]).unwrap(),
        greedy(&long, &prompts, 3, &[]).unwrap()
    );

    let engine = Engine::open(&runtime(), &terse, &arch, &[], &[], Vec::new()).unwrap();
    let row = Row::plain(&prompts[0]);
    let read = engine.logits(std::slice::from_ref(&row)).unwrap();
    assert!(
        (&read[0] - &expected.row(0))
            .iter()
            .all(|x| x.abs() <= 1e-5)
    );
    let fault = engine
        .logits(&[Row {
            read: vec![1],
            ..row
        }])
        .unwrap_err();
    insta::assert_snapshot!(fault);

    let sites = [SiteName::block(1, Point::ResidPost)];
    let runtime = runtime();
    let captured = |model, arch| capture(&runtime, model, arch, &prompts, &sites).unwrap();
    let (short, long) = (captured(&terse, &arch), captured(&full, &full_arch));
    assert_eq!(short.tensors[0], long.tensors[0]);
    let (_, logits) = &short.tensors[1];
    assert_eq!(logits.shape(), [3, 1, arch.vocab_size]);
    let off = logits.slice(s![0, 0, ..]).to_owned() - expected.row(0);
    assert!(off.iter().all(|x| x.abs() <= 1e-5));
}
