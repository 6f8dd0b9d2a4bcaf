//! Steering against PyTorch's own: hooks that add the vector, and whole runs for each token (`fixtures/steer/make.py`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so")]

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use candor::detect::{Aggregation, Card, Detector, Direction, Loaded, Probe, Span, card};
use candor::instrument::{Plan, Write, instrument};
use candor::lab::{At, Push, Steered, Unit, steer};
use candor::model::{Architecture, Model, Point, SiteName};
use candor::run::{Feed, Generation, Runtime, RuntimeOptions, Sampling, Session, Tensor};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis};
use ndarray_npy::NpzReader;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn opened(path: &str) -> (Model, Architecture) {
    let model = Model::open(&fixtures().join(path)).unwrap();
    let arch = Architecture::find(&model).unwrap();
    (model, arch)
}

fn recorded(name: &str) -> NpzReader<File> {
    NpzReader::new(File::open(fixtures().join("steer").join(name)).unwrap()).unwrap()
}

fn runtime() -> Runtime {
    Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap()
}

fn largest(values: &ArrayD<f32>) -> f32 {
    values.iter().fold(0.0, |most, value| most.max(value.abs()))
}

const PRE: fn(usize) -> SiteName = |layer| SiteName::block(layer, Point::ResidPre);

/// Logits while `vectors` `[rows, d]` are added at `sites` to the tokens from `start` on.
struct Added {
    session: Session,
    masks: Vec<String>,
    logits: String,
}

impl Added {
    fn at(model: &Model, arch: &Architecture, sites: &[SiteName]) -> Self {
        let writes = sites.iter().map(|&site| Write::Add {
            site,
            vector: "v".into(),
        });
        let plan = Plan {
            writes: writes.collect(),
            ..Plan::default()
        };
        let made = instrument(model, arch, &plan).unwrap();
        Self {
            session: Session::open(&runtime(), &made.bytes, &made.folder, arch).unwrap(),
            masks: made
                .manifest
                .masks
                .into_iter()
                .map(|(_, mask)| mask)
                .collect(),
            logits: arch.logits.clone(),
        }
    }

    fn run(&self, ids: &Array2<i64>, vectors: &Array2<f32>, from: Option<usize>) -> ArrayD<f32> {
        let (rows, tokens) = ids.dim();
        let on = |(_, token, _): (usize, usize, usize)| from.is_some_and(|from| token >= from);
        let mask = Array3::from_shape_fn((rows, tokens, 1), on).into_dyn();
        let mut feed = Feed::unpadded(ids.clone());
        if !self.masks.is_empty() {
            feed = feed.with("candor.in.v", Tensor::F32(vectors.clone().into_dyn()));
        }
        for name in &self.masks {
            feed = feed.with(name, Tensor::Bool(mask.clone()));
        }
        let mut outputs = self.session.run(&feed, &[&self.logits]).unwrap();
        outputs.remove(&self.logits).unwrap()
    }
}

#[test]
fn logits_under_a_push_are_those_of_pytorch() {
    let mut file = recorded("gpt2.npz");
    let vector: Array1<f32> = file.by_name("vector").unwrap();
    let scales: Array1<f32> = file.by_name("scales").unwrap();
    let ids: Array2<i64> = file.by_name("input_ids").unwrap();
    let vectors = Array2::from_shape_fn((2, vector.len()), |(row, x)| scales[row] * vector[x]);
    let cases = [
        ("resid_pre", vec![PRE(1)], 0),
        ("attn_out", vec![SiteName::block(0, Point::AttnOut)], 0),
        ("mlp_out", vec![SiteName::block(0, Point::MlpOut)], 0),
        ("two_layers", vec![PRE(0), PRE(1)], 0),
        ("from_token_3", vec![PRE(1)], 3),
    ];
    for (export, tolerance) in [
        ("gpt2.external-offsets", 1e-5),
        ("gpt2.fused", 1e-5),
        ("gpt2.cache-in", 1e-5),
        ("gpt2.fp16-converted-io", 5e-3),
    ] {
        let (model, arch) = opened(&format!("export/models/{export}/model.onnx"));
        for (name, sites, from) in &cases {
            let expected: ArrayD<f32> = file.by_name(&format!("logits.{name}")).unwrap();
            let found = Added::at(&model, &arch, sites).run(&ids, &vectors, Some(*from));
            let off = largest(&(&found - &expected)) / largest(&expected);
            assert!(off <= tolerance, "{export} {name}: {off:e}");
        }
    }
}

/// Every bit of them: nothing added, at no token and at all of them.
#[test]
fn nothing_added_leaves_the_logits_their_bits() {
    let bits = |logits: ArrayD<f32>| logits.mapv(f32::to_bits);
    for path in [
        "export/models/gpt2.external-offsets/model.onnx",
        "export/models/gpt2.fused/model.onnx",
        "export/models/llama.positions-23/model.onnx",
        "run/kv_rotary.onnx",
        "run/kv_learned.onnx",
    ] {
        let (model, arch) = opened(path);
        let ids =
            Array2::from_shape_fn((2, 5), |(row, token)| [3, 9, 20, 31, 44][(token + row) % 5]);
        let plain = Added::at(&model, &arch, &[]);
        let sites = [PRE(0), SiteName::block(0, Point::AttnOut), PRE(1)];
        let added = Added::at(&model, &arch, &sites);
        let ones = Array2::ones((2, arch.d_model));
        let expected = bits(plain.run(&ids, &ones, None));
        assert_eq!(
            bits(added.run(&ids, &ones, None)),
            expected,
            "{path}: no token"
        );
        assert_ne!(
            bits(added.run(&ids, &ones, Some(0))),
            expected,
            "{path}: it works"
        );
        let zeros = Array2::zeros((2, arch.d_model));
        assert_eq!(
            bits(added.run(&ids, &zeros, Some(0))),
            expected,
            "{path}: zeros"
        );
    }
}

/// A probe that reads where it pushes.
fn probe(site: SiteName, weight: Array1<f32>) -> Detector {
    Detector {
        card: Card {
            id: "probe".into(),
            role: "condition".into(),
            kind: card::DetectorKind::named("difference_of_means").unwrap(),
            site,
            module: None,
            d_in: weight.len(),
            weights: "probe.safetensors".into(),
            weights_sha256: BTreeMap::new(),
            span: Span::Response,
            aggregation: Aggregation::Mean,
            positive: "more of it".into(),
            model: card::MadeOn {
                name: "model".into(),
                sha256: "0".repeat(64),
            },
            calibration: None,
            trained_on: None,
            declares: None,
            features: vec![],
            baselines: None,
            limits: Vec::new(),
            source: None,
        },
        folder: PathBuf::new(),
        weights: Loaded::Probe(Probe::linear(weight, 0.5)),
        digests: vec![],
    }
}

struct Bench {
    model: Model,
    arch: Architecture,
    detector: Detector,
    prompt: Vec<i64>,
    scales: Vec<f32>,
}

impl Bench {
    fn new() -> Self {
        let mut file = recorded("kv_rotary.npz");
        let vector: Array1<f32> = file.by_name("vector").unwrap();
        let prompt: Array1<i64> = file.by_name("prompt").unwrap();
        let scales: Array1<f32> = file.by_name("scales").unwrap();
        let (model, arch) = opened("run/kv_rotary.onnx");
        Self {
            model,
            arch,
            // Three times as long: the direction of a probe is a unit vector.
            detector: probe(PRE(1), vector * 3.0),
            prompt: prompt.to_vec(),
            scales: scales.to_vec(),
        }
    }

    fn push(&self) -> Push {
        Push {
            direction: self.detector.direction(None).unwrap(),
            sites: vec![PRE(1)],
            scales: self.scales.clone(),
            unit: Unit::Raw,
            at: At::All,
        }
    }

    fn steer(&self, push: Push, how: &Generation<'_>) -> Steered {
        let Self { model, arch, .. } = self;
        steer(
            &runtime(),
            model,
            arch,
            &self.detector,
            push,
            &self.prompt,
            how,
        )
        .unwrap()
    }
}

const EIGHT: Generation<'static> = Generation {
    max_new_tokens: 8,
    stop: &[],
    sampling: None,
    same_draws: false,
    cache: true,
    outputs: &[],
    budget: candor::run::Budget {
        batch: 64 << 20,
        run: 2 << 30,
    },
    extra: None,
};

#[test]
fn steered_texts_are_those_that_pytorch_writes() {
    let bench = Bench::new();
    let mut file = recorded("kv_rotary.npz");
    for (name, at) in [("all", At::All), ("response", At::Response)] {
        let written: Array2<i64> = file.by_name(&format!("written.{name}")).unwrap();
        let under: Array1<f64> = file.by_name(&format!("plain_under.{name}")).unwrap();
        let push = Push { at, ..bench.push() };
        for cache in [true, false] {
            let how = Generation { cache, ..EIGHT };
            let steered = bench.steer(push.clone(), &how);
            assert_eq!(
                steered.texts.len(),
                bench.scales.len(),
                "scale 0 is the plain text"
            );
            for (row, text) in steered.texts.iter().enumerate() {
                let what = format!("{name} {}", text.scale);
                assert_eq!(
                    text.scale.total_cmp(&bench.scales[row]),
                    std::cmp::Ordering::Equal
                );
                assert_eq!(text.ids, written.row(row).to_vec(), "{what}");
                let found = text.on_unsteered.log_probability.unwrap();
                let off = (found - under[row]).abs();
                assert!(
                    off <= 1e-5 * under[row].abs(),
                    "{what}: {found} {}",
                    under[row]
                );
                assert_eq!(text.on_unsteered.tokens, 8);
            }
        }
    }
}

/// Pushed at its own site a probe's score moves by the push times the length of its weights, which says that the head reads
/// what was written; what it reads without the push is the probe on the tapped stream.
#[test]
fn scores_are_those_of_the_detector() {
    let bench = Bench::new();
    for at in [At::All, At::Response] {
        let push = Push { at, ..bench.push() };
        let steered = bench.steer(push, &EIGHT);
        for text in &steered.texts {
            let whole = [&bench.prompt[..], &text.ids].concat();
            let plan = Plan {
                taps: vec![PRE(1)],
                ..Plan::default()
            };
            let made = instrument(&bench.model, &bench.arch, &plan).unwrap();
            let session =
                Session::open(&runtime(), &made.bytes, &made.folder, &bench.arch).unwrap();
            let ids = Array1::from(whole.clone()).insert_axis(Axis(0));
            let tap = made.manifest.taps[0].1.as_str();
            let read = session.run(&Feed::unpadded(ids), &[tap]).unwrap();
            let stream = read[tap]
                .to_shape((whole.len(), bench.arch.d_model))
                .unwrap();
            let expected = bench.detector.token_scores(stream.view()).unwrap();
            assert_eq!(text.scores.len(), whole.len());
            for (position, expected) in expected.iter().enumerate() {
                let plain = text.scores_unsteered[position];
                assert!((plain - expected).abs() <= 2e-5, "{plain} {expected}");
                let pushed = at == At::All || position >= bench.prompt.len();
                let moved = if pushed { 3.0 * text.scale } else { 0.0 };
                let score = text.scores[position];
                // Only where the push itself is read: below it nothing of the stream has changed.
                assert!(
                    (score - expected - moved).abs() <= 1e-4,
                    "{score} {expected} {moved}"
                );
            }
            let response = &text.scores[bench.prompt.len()..];
            let mean = response.iter().map(|&score| f64::from(score)).sum::<f64>() / 8.0;
            assert!((text.mean_score.unwrap() - mean).abs() < 1e-6);
        }
        let plain = &steered.texts[0];
        // Read from the cache and at once.
        for (one, other) in plain.scores.iter().zip(&plain.scores_unsteered) {
            assert!((one - other).abs() <= 1e-5, "{one} {other}");
        }
    }
}

#[test]
fn a_unit_is_stated_and_kept() {
    let bench = Bench::new();
    let raw = bench.steer(bench.push(), &EIGHT);
    assert!((raw.along[0].unit - 1.0).abs() < 1e-6);
    let typical = raw.along[0].typical;
    assert!(typical > 0.1);
    #[allow(
        clippy::cast_possible_truncation,
        reason = "activations are in single precision"
    )]
    let per_unit = |scale: &f32| scale / typical as f32;
    let push = Push {
        unit: Unit::Norm,
        scales: bench.scales.iter().map(per_unit).collect(),
        ..bench.push()
    };
    let norm = bench.steer(push, &EIGHT);
    assert_eq!(
        norm.along[0].unit.total_cmp(&typical),
        std::cmp::Ordering::Equal
    );
    for (one, other) in raw.texts.iter().zip(&norm.texts) {
        assert_eq!(one.ids, other.ids);
        for (a, b) in one.scores.iter().zip(&other.scores) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }
}

/// Drawn texts differ by the push alone: a push that is next to nothing changes nothing, another prompt index would.
#[test]
fn all_texts_are_drawn_with_the_same_numbers() {
    let bench = Bench::new();
    let push = Push {
        scales: vec![1e-30, -1e-30],
        ..bench.push()
    };
    let sampling = Sampling {
        temperature: 3.0,
        top_k: None,
        top_p: None,
        seed: 4,
    };
    for cache in [true, false] {
        let how = Generation {
            sampling: Some(sampling),
            cache,
            ..EIGHT
        };
        let steered = bench.steer(push.clone(), &how);
        let texts: Vec<_> = steered.texts.iter().map(|text| &text.ids).collect();
        assert_eq!(texts.len(), 3);
        assert!(texts.iter().all(|ids| *ids == texts[0]), "{texts:?}");
    }
}

#[test]
fn what_cannot_be_pushed_is_refused() {
    let bench = Bench::new();
    let refused = |change: &dyn Fn(&mut Push)| {
        let mut push = bench.push();
        change(&mut push);
        let how = EIGHT;
        let Bench { model, arch, .. } = &bench;
        steer(
            &runtime(),
            model,
            arch,
            &bench.detector,
            push,
            &bench.prompt,
            &how,
        )
        .unwrap_err()
        .to_string()
    };
    let messages = [
        refused(&|push| push.sites.clear()),
        refused(&|push| push.scales.clear()),
        refused(&|push| push.scales.push(f32::INFINITY)),
        refused(&|push| push.scales.push(f32::MAX)),
        refused(&|push| push.sites = vec![SiteName::block(0, Point::HookZ)]),
        refused(&|push| push.sites = vec![SiteName::block(9, Point::ResidPre)]),
        refused(&|push| push.direction.vector = Array1::ones(7)),
        refused(&|push| push.direction.normalized = true),
    ];
    insta::assert_snapshot!(messages.join("\n"));
}

/// Features come from the decoder, in units of their activation.
#[test]
fn directions_of_features() {
    let folder = fixtures().join("detect/graph/topk_rescaled");
    let sae = candor::detect::Sae::open(&folder).unwrap();
    let expected = sae.feature_direction(5).unwrap();
    let mut detector = probe(SiteName::block(1, Point::ResidPost), Array1::zeros(32));
    let none = detector.direction(None).unwrap_err().to_string();
    let of_a_probe = detector.direction(Some(3)).unwrap_err().to_string();
    detector.weights = Loaded::Sae(Box::new(sae));
    let direction = detector.direction(Some(5)).unwrap();
    assert_eq!(
        direction,
        Direction {
            vector: expected,
            feature: Some(5),
            normalized: false
        }
    );
    let unnamed = detector.direction(None).unwrap_err().to_string();
    let unknown = detector.direction(Some(48)).unwrap_err().to_string();
    insta::assert_snapshot!([none, of_a_probe, unnamed, unknown].join("\n"));
}
