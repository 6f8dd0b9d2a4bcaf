//! Losses with a reconstruction spliced in, against whole forwards in PyTorch with hooks (`tests/fixtures/causal/make_splice.py`).
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::path::{Path, PathBuf};

use candor::detect::Sae;
use candor::lab::{SpliceLoss, splice_loss};
use candor::model::{Architecture, Model, SiteName};
use candor::run::{Runtime, RuntimeOptions};
use ndarray::{Array2, ArrayView2};
use serde_json::Value;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/causal")
}

fn reference() -> Value {
    serde_json::from_str(&fs::read_to_string(folder().join("splice.json")).unwrap()).unwrap()
}

fn runtime() -> Runtime {
    Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap()
}

fn open(name: &str) -> (Model, Architecture) {
    let model = Model::open(&folder().join(name).join("model.onnx")).unwrap();
    let arch = Architecture::find(&model).unwrap();
    (model, arch)
}

fn matrix(value: &Value) -> Array2<f32> {
    let rows: Vec<Vec<f32>> = serde_json::from_value(value.clone()).unwrap();
    let width = rows[0].len();
    Array2::from_shape_vec((rows.len(), width), rows.concat()).unwrap()
}

fn prompts(reference: &Value) -> (Vec<Vec<i64>>, Vec<Vec<bool>>) {
    let of = |key: &str| reference[key].clone();
    (
        serde_json::from_value(of("prompts")).unwrap(),
        serde_json::from_value(of("keep")).unwrap(),
    )
}

fn site(case: &Value, key: &str) -> SiteName {
    case[key].as_str().unwrap().parse().unwrap()
}

#[test]
fn losses_are_those_of_whole_forwards_with_hooks() {
    let reference = reference();
    let (prompts, keep) = prompts(&reference);
    let (first, second) = (matrix(&reference["first"]), matrix(&reference["second"]));
    let runtime = runtime();
    let mut cases = 0;
    for (name, of_model) in reference["models"].as_object().unwrap() {
        let (model, arch) = open(name);
        for case in of_model.as_array().unwrap() {
            let by = case["by"].as_str().unwrap();
            let sae = (by != "map").then(|| Sae::open(&folder().join("saes").join(by)).unwrap());
            let mut reconstruct = |x: ArrayView2<f32>| match &sae {
                Some(sae) => Ok(sae.forward(x)?.decoded),
                None => Ok(x.dot(&first).mapv(|value| value.max(0.0)).dot(&second)),
            };
            let loss = splice_loss(
                &runtime,
                &model,
                &arch,
                site(case, "in"),
                site(case, "out"),
                &prompts,
                &mut reconstruct,
                &keep,
            )
            .unwrap();
            let expected = |key: &str| case[key].as_f64().unwrap();
            assert_eq!(loss.tokens as u64, case["tokens"].as_u64().unwrap());
            for (key, found) in [
                ("clean", loss.clean),
                ("spliced", loss.spliced),
                ("zero", loss.zero),
                ("mean", loss.mean),
            ] {
                let off = (found - expected(key)).abs();
                assert!(off <= 1e-5, "{name}, {case}: {key} is {found}");
            }
            cases += 1;
        }
    }
    assert_eq!(cases, 18);
}

#[test]
fn a_perfect_reconstruction_costs_nothing() {
    let (prompts, keep) = prompts(&reference());
    let (model, arch) = open("neox");
    let site = "blocks.1.hook_resid_post".parse().unwrap();
    let loss = splice_loss(
        &runtime(),
        &model,
        &arch,
        site,
        site,
        &prompts,
        &mut |x| Ok(x.to_owned()),
        &keep,
    )
    .unwrap();
    assert!((loss.spliced - loss.clean).abs() < 1e-6, "{loss:?}");
    assert!((loss.recovered().unwrap() - 1.0).abs() < 1e-5);
}

#[test]
fn nothing_is_recovered_where_zeros_cost_nothing() {
    let loss = SpliceLoss {
        clean: 2.0,
        spliced: 2.5,
        zero: 2.0,
        mean: 2.0,
        tokens: 3,
    };
    assert_eq!(loss.recovered(), None);
}

#[test]
fn what_cannot_be_spliced_is_refused() {
    let (model, arch) = open("gpt2");
    let runtime = runtime();
    let site: SiteName = "blocks.1.hook_resid_post".parse().unwrap();
    let pattern: SiteName = "blocks.1.attn.hook_pattern".parse().unwrap();
    let refused = |site, prompts: &[Vec<i64>], keep: &[Vec<bool>], narrow: bool| {
        let mut reconstruct = |x: ArrayView2<f32>| {
            let width = x.ncols() - usize::from(narrow);
            Ok(Array2::zeros((x.nrows(), width)))
        };
        splice_loss(
            &runtime,
            &model,
            &arch,
            site,
            site,
            prompts,
            &mut reconstruct,
            keep,
        )
        .unwrap_err()
        .to_string()
    };
    let ids = vec![vec![1, 2, 3]];
    let all = vec![vec![true; 3]];
    let messages = [
        refused(site, &ids, &[vec![true; 2]], false),
        refused(site, &ids, &[vec![false, false, true]], false),
        refused(site, &[vec![1, 2, 99]], &all, false),
        refused(site, &ids, &all, true),
        refused(pattern, &ids, &all, false),
    ];
    insta::assert_snapshot!(messages.join("\n\n"));
}
