//! What `detectors check` measures, against numpy and scipy on PyTorch's activations (`tests/fixtures/detect/check/make.py`).
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candor::detect::card::{Interval, MadeOn};
use candor::detect::sae::{Asked, Measured, Measuring};
use candor::detect::{
    Aggregation, Calibration, Card, Detector, DetectorKind, FalsePositives, Flags, Loaded, Probe,
    Sae, Span,
};
use candor::lab::{
    Candidate, CheckRequest, Checked, Conclusion, Flips, Reference, Silent, Texts, check,
};
use candor::model::{Architecture, Model};
use candor::run::{Runtime, RuntimeOptions};
use candor::tokens::Encoded;
use ndarray::{Array1, Array2, Axis, s};
use serde_json::Value;

const SAES: [&str; 3] = ["standard", "layer_norm", "topk"];

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn expected() -> Value {
    let path = fixtures().join("detect/check/expected.json");
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn number(value: &Value, key: &str) -> f64 {
    value[key].as_f64().unwrap()
}

fn close(found: f64, expected: f64, within: f64, what: &str) {
    assert!(
        (found - expected).abs() <= within * expected.abs().max(1.0),
        "{what}: {found} is not {expected}"
    );
}

fn measured(found: &Measured, expected: &Value, within: f64) {
    assert_eq!(found.n as u64, expected["tokens"].as_u64().unwrap());
    let dead = expected["dead_features"].as_u64().unwrap();
    assert_eq!(found.silent_features as u64, dead);
    for (key, found) in [
        ("l0", found.l0),
        ("explained_variance", found.explained_variance),
        ("cosine", found.cosine),
        ("relative_error", found.relative_error),
    ] {
        close(found, number(expected, key), within, key);
    }
}

fn probe(expected: &Value) -> Detector {
    let weight: Vec<f32> = serde_json::from_value(expected["weight"].clone()).unwrap();
    let rate = FalsePositives {
        corpus_digest: "0".repeat(64),
        n: 95,
        rate: 0.3,
        interval: Interval {
            low: 0.2,
            high: 0.4,
        },
    };
    Detector {
        card: Card {
            id: "probe".into(),
            role: "truth".into(),
            kind: DetectorKind::named("difference_of_means").unwrap(),
            site: expected["site"].as_str().unwrap().parse().unwrap(),
            module: None,
            d_in: weight.len(),
            weights: "probe.safetensors".into(),
            weights_sha256: BTreeMap::new(),
            span: Span::All,
            aggregation: Aggregation::Mean,
            positive: "more of it".into(),
            model: MadeOn {
                name: "llama".into(),
                sha256: "0".repeat(64),
            },
            calibration: Some(Calibration {
                threshold: number(expected, "threshold"),
                flags: Flags::Below,
                target: 0.3,
                control: rate,
                matched_honest: None,
            }),
            trained_on: None,
            declares: None,
            features: vec![],
            baselines: None,
            limits: vec![],
            source: None,
        },
        folder: PathBuf::new(),
        weights: Loaded::Probe(Probe::linear(Array1::from_vec(weight), 0.25)),
        digests: vec![],
    }
}

fn candidates(expected: &Value) -> Vec<Candidate> {
    let paths: Vec<PathBuf> = SAES
        .iter()
        .map(|name| fixtures().join("causal/saes").join(name))
        .collect();
    let mut all = Candidate::open_all(&paths, &Asked::default()).unwrap();
    all.push(Candidate::of(probe(&expected["probe"])).unwrap());
    all
}

fn checked(
    model: &str,
    candidates: &[Candidate],
    texts: Option<&Texts<'_>>,
    reference: bool,
) -> Vec<Checked> {
    let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap();
    let model = Model::open(&fixtures().join(model)).unwrap();
    let arch = Architecture::find(&model).unwrap();
    let path = fixtures().join("detect/check/reference.safetensors");
    let reference = reference.then(|| Reference::open(&path, &arch).unwrap());
    let request = CheckRequest {
        runtime: &runtime,
        model: &model,
        arch: &arch,
        sha256: "0",
        tokenizer: None,
        candidates,
        texts,
        reference: reference.as_ref(),
    };
    check(&request, &Silent).unwrap()
}

fn flips(found: Option<Flips>, expected: &Value) {
    let found = found.unwrap();
    assert_eq!(found.on as u64, expected["on"].as_u64().unwrap());
    assert_eq!(found.off as u64, expected["off"].as_u64().unwrap());
    let share: Vec<f64> = serde_json::from_value(expected["share"].clone()).unwrap();
    for (found, expected) in [found.share.point, found.share.low, found.share.high]
        .into_iter()
        .zip(share)
    {
        close(found, expected, 1e-9, "share of flips");
    }
}

#[test]
fn dictionaries_do_on_texts_what_numpy_says() {
    let expected = expected();
    let prompts: Vec<Vec<i64>> = serde_json::from_value(expected["prompts"].clone()).unwrap();
    let texts = prompts.into_iter().map(|ids| Encoded {
        tokens: ids.iter().map(ToString::to_string).collect(),
        special: (0..ids.len()).map(|at| at == 0).collect(),
        response_start: ids.len(),
        ids,
    });
    let texts = Texts::of_prompts(texts.collect());
    let mut all = candidates(&expected);
    let transcoder = fixtures().join("detect/check/transcoder");
    all.extend(Candidate::open_all(&[transcoder], &Asked::default()).unwrap());
    let found = checked("causal/llama/model.onnx", &all, Some(&texts), false);
    let named = SAES.iter().zip(&found).chain([(&"transcoder", &found[4])]);
    for (name, found) in named {
        let sae = found.sae.unwrap();
        measured(
            &sae.measured,
            &expected["dictionaries"][name]["texts"],
            1e-5,
        );
        assert_eq!(sae.loss.unwrap().tokens, 87 - 8);
    }
    // Top-k says itself how many features are active.
    assert_eq!(found[2].agreements.len(), 1);
    assert_eq!(found[2].conclusion(), Conclusion::Fits);
    assert_eq!(found[0].conclusion(), Conclusion::Untold);
    let flagged = found[3].suites[0].flagged.unwrap();
    assert_eq!(flagged.n, 8);
}

#[test]
fn a_quantised_export_is_compared_with_pytorch_as_scipy_does() {
    let expected = expected();
    let all = candidates(&expected);
    let found = checked("detect/check/int8.onnx", &all, None, true);
    for (name, found) in SAES.iter().zip(&found) {
        let expected = &expected["dictionaries"][name];
        let transfer = found.transfer.as_ref().unwrap();
        let both = transfer.dictionaries.unwrap();
        measured(&both.reference, &expected["reference"], 1e-5);
        measured(&both.here, &expected["here"], 1e-4);
        close(both.jaccard, number(expected, "jaccard"), 1e-6, "jaccard");
        assert!(transfer.scores.is_empty());
        assert_eq!(found.conclusion(), Conclusion::Fits);
    }
    let probe = &expected["probe"];
    let transfer = found[3].transfer.as_ref().unwrap();
    assert_eq!(transfer.tokens as u64, probe["tokens"].as_u64().unwrap());
    let scores = &transfer.scores[0];
    for (key, found) in [
        ("cosine", transfer.cosine),
        ("relative_difference", transfer.relative_difference),
        ("pearson", scores.pearson.unwrap()),
        ("spearman", scores.spearman.unwrap()),
        ("mean_difference", scores.mean_difference),
        ("largest_difference", scores.largest_difference),
    ] {
        close(found, number(probe, key), 1e-5, key);
    }
    flips(scores.token_flips, &probe["token_flips"]);
    flips(scores.text_flips, &probe["text_flips"]);
    let crossed = scores.token_flips.unwrap();
    assert!(crossed.on > 0 && crossed.off > 0, "{crossed:?}");
    assert_eq!(transfer.agreements[0].what, "flips beside false alarms");
}

#[test]
fn the_same_model_loses_nothing() {
    let all = candidates(&expected());
    for found in checked("causal/llama/model.onnx", &all, None, true) {
        let transfer = found.transfer.unwrap();
        assert!(transfer.relative_difference < 1e-5);
        for scores in &transfer.scores {
            assert!(scores.pearson.unwrap() > 1.0 - 1e-9);
            assert_eq!(scores.token_flips.unwrap().on, 0);
            assert_eq!(scores.token_flips.unwrap().off, 0);
        }
        assert!(
            transfer
                .dictionaries
                .is_none_or(|both| both.jaccard > 0.999)
        );
    }
}

#[test]
fn rows_that_come_in_batches_measure_what_all_at_once_do() {
    let sae = Sae::open(&fixtures().join("causal/saes/topk")).unwrap();
    let x = Array2::from_shape_fn((57, 16), |(row, column)| {
        let at = f32::from(u16::try_from(row * 16 + column).unwrap());
        (at * 0.7).sin() * 3.0 + f32::from(u8::try_from(column).unwrap())
    });
    let whole = sae.measure(x.view()).unwrap();
    let mut measuring = Measuring::new(&sae);
    for rows in x.axis_chunks_iter(Axis(0), 10) {
        measuring.add(rows, rows).unwrap();
    }
    measuring
        .add(x.slice(s![..0, ..]), x.slice(s![..0, ..]))
        .unwrap();
    let pieces = measuring.finish().unwrap();
    for (a, b) in [
        (whole.l0, pieces.l0),
        (whole.explained_variance, pieces.explained_variance),
        (whole.cosine, pieces.cosine),
        (whole.relative_error, pieces.relative_error),
    ] {
        close(b, a, 1e-12, "in batches");
    }
    assert_eq!(whole.silent_features, pieces.silent_features);
    assert_eq!(whole.n, pieces.n);
    assert!(Measuring::new(&sae).finish().is_err());
}
