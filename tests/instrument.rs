//! The instrumented graph's structure, on tiny graphs and without a session.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

#[path = "instrument/tiny.rs"]
mod tiny;

use candor::instrument::{Activation, ExtraInput, Head, Normalization, Plan, Write, rewrite};
use candor::model::onnx::{ModelProto, NodeProto, ValueInfoProto};
use candor::model::{Layout, Point, SiteName, SiteTensor};

use ndarray::{Array1, Array2, array};
use proptest::prelude::*;
use tiny::{BF16, F16, F32, Tiny, WIDTH, assert_sound, graph, node_making, readers};

const STREAM: Layout = Layout::Token { width: WIDTH };

const POST_0: SiteName = SiteName::block(0, Point::ResidPost);
const PRE_1: SiteName = SiteName::block(1, Point::ResidPre);
const MID_0: SiteName = SiteName::block(0, Point::ResidMid);

fn replace(site: SiteName, value: &str) -> Write {
    Write::Replace {
        site,
        value: value.into(),
    }
}

fn project(site: SiteName, direction: &str, target: &str) -> Write {
    Write::Project {
        site,
        direction: direction.into(),
        target: target.into(),
    }
}

fn head(id: &str, site: SiteName, columns: usize, activation: Activation) -> Head {
    Head {
        id: id.into(),
        site,
        normalization: Normalization::None,
        weight: Array2::from_elem((tiny::WIDTH, columns), 0.5),
        bias: Array1::zeros(columns),
        activation,
    }
}

fn taps(sites: &[SiteName]) -> Plan {
    Plan {
        taps: sites.to_vec(),
        ..Plan::default()
    }
}

fn writes(writes: Vec<Write>) -> Plan {
    Plan {
        writes,
        ..Plan::default()
    }
}

fn rewritten(tiny: &Tiny, plan: &Plan) -> (ModelProto, candor::instrument::Manifest) {
    let done = rewrite(&tiny.model, &tiny.arch, plan).unwrap();
    assert_sound(&done.0);
    done
}

fn refused(tiny: &Tiny, plan: &Plan) -> String {
    let fault = rewrite(&tiny.model, &tiny.arch, plan).unwrap_err();
    assert_eq!(fault.kind, candor::fault::Kind::Usage);
    fault.to_string()
}

fn attribute(node: &NodeProto, name: &str) -> i64 {
    node.attribute
        .iter()
        .find(|attribute| attribute.name() == name)
        .unwrap()
        .i()
}

#[test]
fn an_empty_plan_gives_an_equal_model() {
    let tiny = Tiny::plain(F32, 20);
    assert_eq!(rewritten(&tiny, &Plan::default()).0, tiny.model);
}

#[test]
fn taps_add_outputs_and_leave_every_node_as_it_was() {
    let tiny = Tiny::plain(F32, 20);
    let (model, manifest) = rewritten(&tiny, &taps(&[POST_0, PRE_1, POST_0]));
    let post = "candor.tap.blocks.0.hook_resid_post";
    let pre = "candor.tap.blocks.1.hook_resid_pre";
    let expected = [(POST_0, post), (PRE_1, pre), (POST_0, post)];
    assert_eq!(
        manifest.taps,
        expected.map(|(site, name)| (site, name.to_owned()))
    );
    for name in [post, pre] {
        let node = node_making(&model, name);
        assert_eq!(
            (node.op_type(), node.input[0].as_str()),
            ("Identity", "post0")
        );
    }
    let kept: Vec<_> = graph(&model)
        .node
        .iter()
        .filter(|node| !node.output[0].starts_with("candor"))
        .collect();
    assert_eq!(kept, graph(&tiny.model).node.iter().collect::<Vec<_>>());
    let outputs: Vec<_> = graph(&model)
        .output
        .iter()
        .map(ValueInfoProto::name)
        .collect();
    assert_eq!(outputs, ["logits", "post0", post, pre]);
}

#[test]
fn taps_and_heads_of_half_precision_streams_are_cast_to_float32() {
    for element in [F16, BF16] {
        let tiny = Tiny::plain(element, 20);
        let plan = Plan {
            heads: vec![
                head("a", POST_0, 2, Activation::Linear),
                head("b", POST_0, 1, Activation::Relu),
            ],
            ..taps(&[POST_0])
        };
        let (model, _) = rewritten(&tiny, &plan);
        let tap = node_making(&model, "candor.tap.blocks.0.hook_resid_post");
        assert_eq!(
            (tap.op_type(), attribute(tap, "to")),
            ("Cast", i64::from(F32))
        );
        let casts: Vec<_> = readers(&model, "candor.float")
            .iter()
            .map(|node| node.op_type().to_owned())
            .collect();
        assert_eq!(casts, ["MatMul", "MatMul"], "both heads share one cast");
    }
}

#[test]
fn heads_are_affine_maps_with_their_activation() {
    let tiny = Tiny::plain(F32, 20);
    let plan = Plan {
        heads: vec![
            head("linear", POST_0, 3, Activation::Linear),
            head("relu", POST_0, 2, Activation::Relu),
            head("jump", POST_0, 2, Activation::JumpRelu(array![0.25, -1.0])),
        ],
        ..Plan::default()
    };
    let (model, manifest) = rewritten(&tiny, &plan);
    let ids = ["linear", "relu", "jump"].map(|id| (id.to_owned(), format!("candor.head.{id}")));
    assert_eq!(manifest.heads, ids);
    let last = ["linear", "relu", "jump"].map(|id| {
        node_making(&model, &format!("candor.head.{id}"))
            .op_type()
            .to_owned()
    });
    assert_eq!(last, ["Add", "Relu", "Mul"]);
    let thresholds = graph(&model)
        .initializer
        .iter()
        .find(|tensor| tensor.name() == "candor.head.jump.threshold");
    let expected: Vec<u8> = [0.25_f32, 0.0]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    assert_eq!(
        thresholds.unwrap().raw_data(),
        expected,
        "h > 0 holds as well as h > θ"
    );
}

#[test]
fn a_sum_inside_a_fused_norm_is_declared_as_its_fourth_output() {
    let tiny = Tiny::fused(true, false);
    let (model, _) = rewritten(&tiny, &taps(&[MID_0]));
    let fused = node_making(&model, "normed");
    assert_eq!(fused.output, ["normed", "", "", "mid0"]);
    assert_eq!(
        node_making(&model, "candor.tap.blocks.0.hook_resid_mid").input,
        ["mid0"]
    );
}

#[test]
fn a_write_leaves_the_raw_tensor_to_the_edit_alone() {
    let tiny = Tiny::plain(F32, 20);
    let (model, manifest) = rewritten(&tiny, &writes(vec![replace(POST_0, "clean")]));
    let raw = "candor.raw.blocks.0.hook_resid_post";
    let readers_of_raw: Vec<_> = readers(&model, raw)
        .iter()
        .map(|node| node.output[0].clone())
        .collect();
    assert_eq!(readers_of_raw, ["post0"]);
    let edit = node_making(&model, "post0");
    assert_eq!(edit.op_type(), "Where");
    assert_eq!(
        edit.input,
        [
            "candor.mask.blocks.0.hook_resid_post.0",
            "candor.in.clean",
            raw
        ]
    );
    let before = readers(&tiny.model, "post0").len();
    assert_eq!(
        readers(&model, "post0").len(),
        before,
        "nodes and subgraphs read the edited value under its old name"
    );
    assert!(
        graph(&model)
            .output
            .iter()
            .any(|output| output.name() == "post0")
    );
    assert_eq!(
        manifest.masks,
        [(POST_0, "candor.mask.blocks.0.hook_resid_post.0".to_owned())]
    );
    assert_eq!(
        manifest.inputs,
        [("candor.in.clean".to_owned(), ExtraInput::Value(STREAM))]
    );
}

#[test]
fn writes_at_two_names_of_one_tensor_chain_in_the_order_of_the_plan() {
    let tiny = Tiny::plain(F32, 20);
    let plan = Plan {
        writes: vec![
            replace(PRE_1, "v"),
            project(POST_0, "d", "c"),
            replace(POST_0, "v"),
        ],
        ..taps(&[POST_0, PRE_1])
    };
    let (model, manifest) = rewritten(&tiny, &plan);
    let masks: Vec<_> = manifest
        .masks
        .iter()
        .map(|(_, mask)| mask.as_str())
        .collect();
    let mut name = "post0".to_owned();
    for mask in masks.iter().rev() {
        let edit = node_making(&model, &name);
        assert_eq!((edit.op_type(), edit.input[0].as_str()), ("Where", *mask));
        name = edit.input[2].clone();
    }
    assert_eq!(
        node_making(&model, &name).op_type(),
        "Add",
        "the model's own node"
    );
    let kinds: Vec<_> = manifest
        .inputs
        .iter()
        .map(|(name, kind)| (name.as_str(), *kind))
        .collect();
    let expected = [
        ("candor.in.v", ExtraInput::Value(STREAM)),
        ("candor.in.d", ExtraInput::Direction),
        ("candor.in.c", ExtraInput::Target),
    ];
    assert_eq!(kinds, expected, "inputs are shared by name");
    for (_, tap) in &manifest.taps {
        assert_eq!(
            node_making(&model, tap).input,
            ["post0"],
            "taps read the edited value"
        );
    }
}

#[test]
fn a_copy_of_the_stream_is_written_at_its_source() {
    let mut tiny = Tiny::plain(F32, 20);
    tiny.copy("post0", "copied", PRE_1);
    let plan = Plan {
        writes: vec![replace(PRE_1, "v"), replace(POST_0, "v")],
        ..taps(&[PRE_1])
    };
    let (model, _) = rewritten(&tiny, &plan);
    assert_eq!(
        readers(&model, "post0").len(),
        readers(&tiny.model, "post0").len() + 1
    );
    assert_eq!(
        node_making(&model, "candor.tap.blocks.1.hook_resid_pre").input,
        ["post0"]
    );
    assert_eq!(node_making(&model, "copied").input, ["post0"]);
}

#[test]
fn a_write_takes_the_sum_out_of_a_fused_norm() {
    for (simplified, biased) in [(true, false), (true, true), (false, false), (false, true)] {
        let tiny = Tiny::fused(simplified, biased);
        let (model, _) = rewritten(&tiny, &writes(vec![replace(MID_0, "v")]));
        let edit = node_making(&model, "mid0");
        assert_eq!(edit.op_type(), "Where");
        let mut sum = node_making(&model, &edit.input[2]);
        if biased {
            assert_eq!((sum.op_type(), sum.input[1].as_str()), ("Add", "bias"));
            sum = node_making(&model, &sum.input[0]);
        }
        assert_eq!(
            (sum.op_type(), &sum.input[..]),
            ("Add", &["x0".to_owned(), "branch".to_owned()][..])
        );
        let norm = node_making(&model, "normed");
        let original = node_making(&tiny.model, "normed");
        assert_eq!(
            (norm.op_type(), &norm.attribute),
            (original.op_type(), &original.attribute)
        );
        assert_eq!(norm.output, original.output);
        let zero = node_making(&model, &norm.input[1]);
        assert_eq!(
            (zero.op_type(), &zero.input[..]),
            ("Sub", &["mid0".to_owned(), "mid0".to_owned()][..])
        );
        assert_eq!(norm.input[0], "mid0");
        let rest = norm.input[2..]
            .iter()
            .map(String::as_str)
            .filter(|name| !name.is_empty());
        let expected: &[&str] = if simplified {
            &["gamma"]
        } else {
            &["gamma", "beta"]
        };
        assert_eq!(rest.collect::<Vec<_>>(), expected, "the bias is in the sum");
    }
}

#[test]
fn half_precision_streams_are_edited_in_float32_and_cast_back() {
    let tiny = Tiny::plain(F16, 20);
    let (model, _) = rewritten(&tiny, &writes(vec![project(POST_0, "d", "c")]));
    let back = node_making(&model, "post0");
    assert_eq!(
        (back.op_type(), attribute(back, "to")),
        ("Cast", i64::from(F16))
    );
    let edit = node_making(&model, &back.input[0]);
    let up = node_making(&model, &edit.input[2]);
    assert_eq!(
        (up.op_type(), attribute(up, "to")),
        ("Cast", i64::from(F32))
    );
    let raw = graph(&model)
        .value_info
        .iter()
        .find(|value| value.name() == up.input[0]);
    assert_eq!(raw.map(tiny::element), Some(F16));
}

#[test]
fn an_undeclared_element_type_is_restored_from_the_value_itself() {
    let mut tiny = Tiny::plain(F16, 20);
    tiny.forget_types();
    let (model, _) = rewritten(&tiny, &writes(vec![replace(POST_0, "v")]));
    assert_eq!(node_making(&model, "post0").op_type(), "CastLike");

    let mut older = Tiny::plain(F16, 13);
    older.forget_types();
    insta::assert_snapshot!(refused(&older, &writes(vec![replace(POST_0, "v")])));
}

#[test]
fn older_operator_sets_take_the_axes_of_unsqueeze_as_an_attribute() {
    let plan = writes(vec![project(POST_0, "d", "c")]);
    let axes = |opset: i64| {
        let (model, _) = rewritten(&Tiny::plain(F32, opset), &plan);
        let nodes = graph(&model)
            .node
            .iter()
            .filter(|node| node.op_type() == "Unsqueeze");
        nodes
            .map(|node| (node.input.len(), node.attribute.len()))
            .collect::<Vec<_>>()
    };
    assert_eq!(axes(12), [(1, 1); 3]);
    assert_eq!(axes(13), [(2, 0); 3]);
    insta::assert_snapshot!(refused(&Tiny::plain(F32, 8), &plan));
}

#[test]
fn a_model_that_was_instrumented_before_gets_other_names() {
    let mut tiny = Tiny::plain(F32, 20);
    let plan = Plan {
        heads: vec![head("h", POST_0, 1, Activation::Linear)],
        writes: vec![replace(POST_0, "v")],
        ..taps(&[POST_0])
    };
    let (once, first) = rewritten(&tiny, &plan);
    tiny.model = once;
    let (_, second) = rewritten(&tiny, &plan);
    assert_eq!(second.taps[0].1, format!("{}.1", first.taps[0].1));
    assert_eq!(second.heads[0].1, "candor.head.h.1");
    assert_eq!(second.masks[0].1, format!("{}.1", first.masks[0].1));
    assert_eq!(second.inputs[0].0, "candor.in.v.1");
}

#[test]
fn additions_speak_of_the_models_own_batch_and_length() {
    let tiny = Tiny::plain(F32, 20);
    let plan = Plan {
        writes: vec![project(POST_0, "d", "c"), replace(POST_0, "v")],
        ..taps(&[POST_0])
    };
    let (model, manifest) = rewritten(&tiny, &plan);
    let shape = |name: &str| tiny::shape(&model, name);
    assert_eq!(shape(&manifest.taps[0].1), ["N", "T", "4"]);
    assert_eq!(shape(&manifest.masks[0].1), ["N", "T", "1"]);
    assert_eq!(shape("candor.in.d"), ["N", "4"]);
    assert_eq!(shape("candor.in.c"), ["N"]);
    assert_eq!(shape("candor.in.v"), ["N", "T", "4"]);
}

#[test]
fn what_cannot_be_planned_is_refused_with_the_reason() {
    let tiny = Tiny::plain(F32, 20);
    let with = |head: Head| Plan {
        heads: vec![head],
        ..Plan::default()
    };
    let linear = || head("h", POST_0, 2, Activation::Linear);
    let mut messages = vec![
        refused(&tiny, &taps(&[SiteName::block(7, Point::ResidPost)])),
        refused(
            &tiny,
            &with(Head {
                weight: Array2::zeros((5, 2)),
                ..linear()
            }),
        ),
        refused(
            &tiny,
            &with(Head {
                weight: Array2::zeros((4, 0)),
                bias: Array1::zeros(0),
                ..linear()
            }),
        ),
        refused(
            &tiny,
            &with(Head {
                bias: Array1::zeros(3),
                ..linear()
            }),
        ),
        refused(
            &tiny,
            &with(Head {
                weight: Array2::from_elem((4, 2), f32::NAN),
                ..linear()
            }),
        ),
        refused(
            &tiny,
            &with(Head {
                activation: Activation::JumpRelu(array![f32::NAN, 0.0]),
                ..linear()
            }),
        ),
        refused(
            &tiny,
            &with(Head {
                activation: Activation::JumpRelu(array![0.0]),
                ..linear()
            }),
        ),
        refused(
            &tiny,
            &Plan {
                heads: vec![linear(), linear()],
                ..Plan::default()
            },
        ),
        refused(
            &tiny,
            &writes(vec![project(SiteName::outside(Point::Logits), "v", "c")]),
        ),
        refused(
            &tiny,
            &writes(vec![replace(POST_0, "v"), project(POST_0, "v", "c")]),
        ),
    ];
    let mut fed = Tiny::plain(F32, 20);
    fed.place(MID_0, SiteTensor::Named("w".into()));
    messages.push(refused(&fed, &writes(vec![replace(MID_0, "v")])));
    fed.place(MID_0, SiteTensor::Named("nowhere".into()));
    messages.push(refused(&fed, &taps(&[MID_0])));
    fed.place(
        MID_0,
        SiteTensor::SkipSum {
            node: 99,
            name: "sum".into(),
        },
    );
    messages.push(refused(&fed, &taps(&[MID_0])));
    let fused = Tiny::fused_embedding();
    messages.push(refused(
        &fused,
        &writes(vec![replace(SiteName::outside(Point::Embed), "v")]),
    ));
    messages.push(refused(
        &Tiny::plain(tiny::F64, 20),
        &writes(vec![replace(POST_0, "v")]),
    ));
    insta::assert_snapshot!(messages.join("\n\n"));
}

#[test]
fn a_cycle_of_copies_is_refused() {
    let mut tiny = Tiny::plain(F32, 20);
    tiny.copy("ring_b", "ring_a", MID_0);
    tiny.copy("ring_a", "ring_b", MID_0);
    assert!(refused(&tiny, &taps(&[MID_0])).contains("cycle"));
}

fn any_site() -> impl Strategy<Value = SiteName> {
    let outside = [Point::Embed, Point::LnFinal].map(SiteName::outside);
    prop::sample::select([outside.as_slice(), &[POST_0, PRE_1, MID_0]].concat())
}

proptest! {
    /// Whatever the plan, the result is a well-formed graph that keeps the model's interface.
    #[test]
    fn any_plan_gives_a_sound_graph(
        element in prop::sample::select(vec![F32, F16]),
        fused in any::<bool>(),
        seed in prop::collection::vec((any_site(), 0..4_usize), 0..12),
    ) {
        let tiny = if fused { Tiny::fused(true, true) } else { Tiny::plain(element, 20) };
        let mut plan = Plan::default();
        for (index, (site, kind)) in seed.into_iter().enumerate() {
            if tiny.arch.site(site).is_none() {
                continue;
            }
            match kind {
                0 => plan.taps.push(site),
                1 => plan.heads.push(head(&index.to_string(), site, 1 + index, Activation::Relu)),
                2 => plan.writes.push(replace(site, "v")),
                _ => plan.writes.push(project(site, "d", "c")),
            }
        }
        let (model, manifest) = rewritten(&tiny, &plan);
        prop_assert_eq!(manifest.taps.len(), plan.taps.len());
        prop_assert_eq!(manifest.heads.len(), plan.heads.len());
        prop_assert_eq!(manifest.masks.len(), plan.writes.len());
        let outputs = graph(&tiny.model).output.len();
        prop_assert_eq!(&graph(&model).output[..outputs], &graph(&tiny.model).output[..]);
        prop_assert_eq!(&graph(&model).input[..1], &graph(&tiny.model).input[..]);
        let sites: Vec<_> = plan.writes.iter().map(Write::site).collect();
        prop_assert_eq!(manifest.masks.iter().map(|(site, _)| *site).collect::<Vec<_>>(), sites);
    }
}
