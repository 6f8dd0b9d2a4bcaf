//! SAEs inside exported graphs: against detect's own arithmetic on the tapped activations, and against what SAELens
//! recorded on the activations of PyTorch (`fixtures/detect/make_graph.py`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candor::detect::Sae;
use candor::instrument::{
    Activation, Head, Normalization, Plan, Ranking, Scores, TopK, Write, instrument, rewrite,
};
use candor::model::onnx::ModelProto;
use candor::model::{Architecture, Model, SiteName};
use candor::run::{Feed, Runtime, RuntimeOptions, Session, Tensor};
use ndarray::{Array1, Array2, Array3, ArrayD, ArrayView1, Axis, s};
use ndarray_npy::NpzReader;
use proptest::prelude::*;

const CASES: [&str; 9] = [
    "standard_layer_norm",
    "gated_constant_norm",
    "jumprelu",
    "topk",
    "topk_rescaled",
    "topk_layer_norm",
    "topk_hook_z",
    "abstopk",
    "batchtopk",
];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn opened(name: &str) -> (Model, Architecture) {
    let path = fixtures().join("export/models").join(name);
    let model = Model::open(&path.join("model.onnx")).unwrap();
    let arch = Architecture::find(&model).unwrap();
    (model, arch)
}

fn ids(architecture: &str) -> Array2<i64> {
    let path = fixtures().join(format!("export/models/references/{architecture}.npz"));
    let mut file = NpzReader::new(fs::File::open(path).unwrap()).unwrap();
    file.by_name("input_ids").unwrap()
}

fn recorded(case: &str, architecture: &str) -> Array2<f32> {
    let path = fixtures().join(format!("detect/graph/{case}/recorded.safetensors"));
    let bytes = fs::read(path).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = file.tensor(architecture).unwrap();
    let values = tensor
        .data()
        .chunks_exact(4)
        .map(|four| f32::from_le_bytes(four.try_into().unwrap()));
    Array2::from_shape_vec((tensor.shape()[0], tensor.shape()[1]), values.collect()).unwrap()
}

fn sae(case: &str) -> (Sae, SiteName) {
    let sae = Sae::open(&fixtures().join("detect/graph").join(case)).unwrap();
    let site = sae.config().hook_name.as_deref().unwrap().parse().unwrap();
    (sae, site)
}

fn head(id: &str, sae: &Sae, site: SiteName, features: &[usize]) -> Head {
    let columns = sae.columns(features).unwrap();
    Head {
        id: id.into(),
        site,
        normalization: sae.config().normalization,
        weight: columns.weight,
        bias: columns.bias,
        activation: columns.activation,
    }
}

/// What heads read: on the CPU the runtime keeps float16 sums in float32 until something else reads them, such as a tap.
fn unchanged(id: &str, site: SiteName, width: usize) -> Head {
    Head {
        id: id.into(),
        site,
        normalization: Normalization::None,
        weight: Array2::eye(width),
        bias: Array1::zeros(width),
        activation: Activation::Linear,
    }
}

fn run(
    model: &Model,
    arch: &Architecture,
    plan: &Plan,
    feed: &Feed,
    wanted: &dyn Fn(&candor::instrument::Manifest) -> Vec<String>,
) -> BTreeMap<String, ArrayD<f32>> {
    let made = instrument(model, arch, plan).unwrap();
    let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap();
    let session = Session::open(&runtime, &made.bytes, &made.folder, arch).unwrap();
    let wanted = wanted(&made.manifest);
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    session.run(feed, &wanted).unwrap()
}

/// One row for each token, whatever lies behind the second axis side by side.
fn rows(values: &ArrayD<f32>) -> Array2<f32> {
    let tokens = values.shape()[0] * values.shape()[1];
    let all: Vec<f32> = values.iter().copied().collect();
    Array2::from_shape_vec((tokens, all.len() / tokens), all).unwrap()
}

#[track_caller]
fn close(found: &Array2<f32>, expected: &Array2<f32>, tolerance: f32, what: &str) {
    assert_eq!(found.dim(), expected.dim(), "{what}");
    let largest = expected.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    assert!(largest > 0.1, "{what}: nothing fires");
    for (found, expected) in found.iter().zip(expected) {
        let off = (found - expected).abs() / largest;
        assert!(
            off <= tolerance,
            "{what}: found {found}, expected {expected}"
        );
    }
}

/// The exports: plain, with offsets into external files, fused by the runtime's optimiser, quantised, and in float16.
#[test]
fn scores_in_the_graph_are_those_of_saelens() {
    let exports = [
        ("gpt2.external-offsets", "gpt2", Some(1e-4)),
        ("gpt2.fused", "gpt2", Some(1e-4)),
        ("gpt2.cache-in", "gpt2", Some(1e-4)),
        ("gpt2.qdq", "gpt2", None),
        ("gpt2.fp16-converted-io", "gpt2", None),
        ("llama.fp16", "llama", None),
        ("llama.positions-23", "llama", Some(1e-4)),
    ];
    for (export, architecture, of_pytorch) in exports {
        let half = export.contains("fp16");
        let (model, arch) = opened(export);
        let feed = Feed::unpadded(ids(architecture));
        for case in CASES {
            let (sae, site) = sae(case);
            if arch.site(site).is_none() {
                continue;
            }
            let all: Vec<usize> = (0..sae.d_sae()).collect();
            let few = [31, 2, 17, 0, 47];
            let plan = Plan {
                taps: vec![site],
                heads: vec![
                    head("all", &sae, site, &all),
                    head("few", &sae, site, &few),
                    unchanged("x", site, sae.d_in()),
                ],
                ..Plan::default()
            };
            let names = ["candor.head.all", "candor.head.few"];
            let outputs = run(&model, &arch, &plan, &feed, &|manifest| {
                let heads = manifest.heads.iter().map(|(_, output)| output.clone());
                heads.chain([manifest.taps[0].1.clone()]).collect()
            });
            let x = rows(&outputs["candor.head.x"]);
            let tap = rows(&outputs[&format!("candor.tap.{site}")]);
            close(&x, &tap, if half { 1e-3 } else { 0.0 }, export);
            let expected = sae.encode(x.view()).unwrap();
            let what = format!("{export} {case}");
            let found = rows(&outputs[names[0]]);
            close(&found, &expected, 1e-5, &what);
            let active = |acts: &Array2<f32>| acts.mapv(|act| act != 0.0);
            assert_eq!(
                active(&found),
                active(&expected),
                "{what}: other features fire"
            );
            assert_eq!(
                rows(&outputs[names[1]]),
                found.select(Axis(1), &few),
                "{what}"
            );
            if let Some(tolerance) = of_pytorch {
                close(&found, &recorded(case, architecture), tolerance, &what);
            }
        }
    }
}

fn products(model: &ModelProto) -> (usize, usize) {
    let graph = model.graph.as_ref().unwrap();
    let count = |op: &str| {
        let added = graph.node.iter().filter(|node| node.op_type() == op);
        added
            .filter(|node| node.output.iter().any(|name| name.starts_with("candor")))
            .count()
    };
    (count("MatMul"), count("TopK"))
}

#[test]
fn heads_that_share_an_encoder_share_its_product_and_its_threshold() {
    let (model, arch) = opened("gpt2.fused");
    let (one, site) = sae("topk");
    let (other, _) = sae("topk_rescaled");
    let mut wider = head("d", &one, site, &[1]);
    if let Activation::TopK(top) = &mut wider.activation {
        top.k = 9;
    }
    let plan = Plan {
        heads: vec![
            head("a", &one, site, &[3, 4]),
            head("b", &one, site, &[4, 30]),
            head("c", &other, site, &[4]),
            wider,
        ],
        ..Plan::default()
    };
    let (proto, _) = rewrite(model.proto(), &arch, &plan).unwrap();
    assert_eq!(products(&proto), (2, 3));
}

/// All heads in one output, each column with its factor.
#[test]
fn heads_leave_side_by_side() {
    let (model, arch) = opened("gpt2.fused");
    let feed = Feed::unpadded(ids("gpt2"));
    let ((top, stream), (z, heads)) = (sae("topk"), sae("topk_hook_z"));
    let plan = Plan {
        heads: vec![
            head("top", &top, stream, &[3, 40]),
            head("z", &z, heads, &[7]),
        ],
        ..Plan::default()
    };
    let apart = run(&model, &arch, &plan, &feed, &|manifest| {
        manifest
            .heads
            .iter()
            .map(|(_, output)| output.clone())
            .collect()
    });
    for factors in [vec![1.0, 1.0, 1.0], vec![1.0, -1.0, 2.0]] {
        let plan = Plan {
            scores: Some(Scores {
                output: "candor.scores".into(),
                factors: factors.clone(),
            }),
            ..plan.clone()
        };
        let made = instrument(&model, &arch, &plan).unwrap();
        assert_eq!(made.manifest.heads, []);
        let joined = run(&model, &arch, &plan, &feed, &|manifest| {
            manifest.scores.iter().cloned().collect()
        });
        let found = &joined["candor.scores"];
        assert_eq!(found.shape(), [2, 6, 3]);
        let one = rows(&apart["candor.head.top"]);
        let two = rows(&apart["candor.head.z"]);
        let expected = ndarray::concatenate(Axis(1), &[one.view(), two.view()]).unwrap();
        assert_eq!(rows(found), expected * &Array1::from(factors));
    }
}

/// A layer of one tiny graph whose site is written with chosen values: `h` is then what the test says, to the last bit.
fn chosen(h: &Array2<f32>, top: TopK) -> Array2<f32> {
    let (model, arch) = opened("gpt2.external-offsets");
    let (d, n) = (arch.d_model, h.ncols());
    let site = SiteName::block(0, candor::model::Point::ResidPost);
    let plan = Plan {
        heads: vec![Head {
            id: "top".into(),
            site,
            normalization: Normalization::None,
            weight: Array2::from_shape_fn((d, n), |(row, column)| f32::from(row == column)),
            bias: Array1::zeros(n),
            activation: Activation::TopK(top),
        }],
        writes: vec![Write::Replace {
            site,
            value: "h".into(),
        }],
        ..Plan::default()
    };
    let (tokens, _) = h.dim();
    let mut x = Array3::zeros((1, tokens, d));
    x.slice_mut(s![0, .., ..n]).assign(h);
    let all = Tensor::Bool(ArrayD::from_elem(vec![1, tokens, 1], true));
    let feed = Feed::unpadded(Array2::ones((1, tokens)))
        .with("candor.in.h", Tensor::F32(x.into_dyn()))
        .with(format!("candor.mask.{site}.0"), all);
    let outputs = run(&model, &arch, &plan, &feed, &|_| {
        vec!["candor.head.top".into()]
    });
    rows(&outputs["candor.head.top"])
}

/// Ranks by sorting: the `k` best, of equals the lower index.
fn by_sorting(h: ArrayView1<f32>, top: &TopK) -> Vec<f32> {
    let key = |value: f32| match top.ranking {
        Ranking::Largest => value,
        Ranking::Magnitude => value.abs(),
    };
    let mut order: Vec<usize> = (0..h.len()).collect();
    order.sort_by(|&a, &b| key(h[b]).partial_cmp(&key(h[a])).unwrap().then(a.cmp(&b)));
    let kept = &order[..top.k];
    let columns = top.columns.iter().map(|column| {
        let value = if kept.contains(column) {
            h[*column]
        } else {
            0.0
        };
        match top.ranking {
            Ranking::Largest => value.max(0.0),
            Ranking::Magnitude => value,
        }
    });
    columns.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]
    /// Few distinct values, so that most rows have ties at the threshold.
    #[test]
    fn of_equals_the_lower_index_is_kept(
        values in prop::collection::vec(-2_i8..3, 5 * 9),
        k in 1_usize..10,
        magnitude: bool,
        columns in prop::collection::vec(0_usize..9, 1..6),
    ) {
        let h = Array2::from_shape_vec((5, 9), values).unwrap().mapv(f32::from);
        let ranking = if magnitude { Ranking::Magnitude } else { Ranking::Largest };
        let top = TopK { k, ranking, columns };
        let found = chosen(&h, top.clone());
        for (found, h) in found.outer_iter().zip(h.outer_iter()) {
            let expected = by_sorting(h, &top);
            prop_assert_eq!(found.to_vec(), expected);
        }
    }
}

#[test]
fn what_cannot_be_ranked_is_refused() {
    let (model, arch) = opened("gpt2.fused");
    let (sae, site) = sae("topk");
    let refused = |change: &dyn Fn(&mut Plan)| {
        let mut plan = Plan {
            heads: vec![head("top", &sae, site, &[1, 2])],
            ..Plan::default()
        };
        change(&mut plan);
        rewrite(model.proto(), &arch, &plan)
            .unwrap_err()
            .to_string()
    };
    let top = |k: usize, columns: &[usize]| {
        let columns = columns.to_vec();
        move |plan: &mut Plan| {
            plan.heads[0].activation = Activation::TopK(TopK {
                k,
                ranking: Ranking::Largest,
                columns: columns.clone(),
            });
        }
    };
    let joined = |factors: Vec<f32>| {
        move |plan: &mut Plan| {
            plan.scores = Some(Scores {
                output: "candor.scores".into(),
                factors: factors.clone(),
            });
        }
    };
    let messages = [
        refused(&top(0, &[1])),
        refused(&top(49, &[1])),
        refused(&top(3, &[48])),
        refused(&top(3, &[])),
        refused(&joined(vec![1.0])),
        refused(&joined(vec![1.0, f32::NAN])),
        refused(&|plan| {
            plan.heads.clear();
            joined(vec![])(plan);
        }),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

/// detect refuses a row of zeros, which has no norm; in the graph it gives no number, which a run refuses.
#[test]
fn a_row_without_a_norm_is_refused() {
    let (sae, site) = sae("gated_constant_norm");
    let zero = Array2::<f32>::zeros((1, sae.d_in()));
    assert!(sae.encode(zero.view()).is_err());
    let (model, arch) = opened("gpt2.external-offsets");
    let plan = Plan {
        heads: vec![head("h", &sae, site, &[0, 1, 2, 3])],
        writes: vec![Write::Replace {
            site,
            value: "x".into(),
        }],
        ..Plan::default()
    };
    let made = instrument(&model, &arch, &plan).unwrap();
    let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap();
    let session = Session::open(&runtime, &made.bytes, &made.folder, &arch).unwrap();
    let zeros = ArrayD::zeros(vec![1, 1, sae.d_in()]);
    let everywhere = Tensor::Bool(ArrayD::from_elem(vec![1, 1, 1], true));
    let feed = Feed::unpadded(Array2::ones((1, 1)))
        .with("candor.in.x", Tensor::F32(zeros))
        .with(&made.manifest.masks[0].1, everywhere);
    let fault = session.run(&feed, &["candor.head.h"]).unwrap_err();
    assert!(fault.to_string().contains("NaN"), "{fault}");
}
