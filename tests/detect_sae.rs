#![allow(
    clippy::unwrap_used,
    clippy::doc_markdown,
    clippy::too_many_lines,
    clippy::format_push_string,
    clippy::similar_names,
    clippy::needless_pass_by_value,
    reason = "tests may unwrap, compare exactly and list many cases"
)]
//! SAEs against what SAELens itself computes (`fixtures/detect/make_saelens.py`), and files that are not what they say.

use std::fs;
use std::path::{Path, PathBuf};

use candor::detect::Sae;
use candor::detect::sae::Normalization;
use candor::instrument::Activation;
use ndarray::{Array2, Axis, array, s};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/detect/saelens")
        .join(name)
}

fn matrix(folder: &Path, file: &str, name: &str) -> Array2<f32> {
    let bytes = fs::read(folder.join(file)).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    let values: Vec<f32> = tensor
        .data()
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()))
        .collect();
    Array2::from_shape_vec((tensor.shape()[0], tensor.shape()[1]), values).unwrap()
}

#[track_caller]
fn equal(found: &Array2<f32>, expected: &Array2<f32>) {
    assert_eq!(found.dim(), expected.dim());
    let largest = expected
        .iter()
        .fold(0.0_f32, |most, value| most.max(value.abs()));
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= 1e-5 * largest,
            "found {found}, expected {expected}"
        );
        assert_eq!(*found == 0.0, *expected == 0.0, "another feature fires");
    }
}

const CASES: [&str; 14] = [
    "standard",
    "standard_plain_input",
    "standard_layer_norm",
    "standard_constant_norm",
    "standard_bf16",
    "gated",
    "gated_layer_norm",
    "jumprelu",
    "jumprelu_f16",
    "topk",
    "topk_rescaled",
    "topk_unfolded",
    "abstopk",
    "flat_topk",
];

#[test]
fn every_architecture_equals_saelens() {
    for name in CASES {
        let folder = fixture(name);
        let sae = Sae::open(&folder).unwrap();
        let recorded = |tensor| matrix(&folder, "recorded.safetensors", tensor);
        let x = recorded("input");
        let forward = sae.forward(x.view()).unwrap();
        equal(&forward.feature_acts, &recorded("feature_acts"));
        equal(&forward.decoded, &recorded("decoded"));
        equal(&sae.error(x.view()).unwrap(), &recorded("error"));
        assert!(forward.feature_acts.iter().any(|act| *act != 0.0), "{name}");
        assert!(name.starts_with("abs") || forward.feature_acts.iter().all(|act| *act >= 0.0));
    }
}

/// The columns that go into the graph give the activations of the whole encoder.
#[test]
fn columns_of_features_equal_the_encoder() {
    let features = [3, 17, 0, 31];
    for name in ["standard", "standard_plain_input", "gated", "jumprelu"] {
        let folder = fixture(name);
        let sae = Sae::open(&folder).unwrap();
        let x = matrix(&folder, "recorded.safetensors", "input");
        let columns = sae.columns(&features).unwrap();
        let mut acts = x.dot(&columns.weight) + &columns.bias;
        for mut row in acts.rows_mut() {
            match &columns.activation {
                Activation::Linear | Activation::TopK(_) => {}
                Activation::Relu => row.mapv_inplace(|act| act.max(0.0)),
                Activation::JumpRelu(threshold) => row.zip_mut_with(threshold, |act, threshold| {
                    *act = if *act > *threshold { act.max(0.0) } else { 0.0 };
                }),
            }
        }
        let whole = sae.encode(x.view()).unwrap().select(Axis(1), &features);
        for (found, expected) in acts.iter().zip(&whole) {
            assert!(
                (found - expected).abs() < 1e-4,
                "{name}: {found} {expected}"
            );
        }
    }
    for (name, compete) in [("topk", true), ("abstopk", true), ("gated", false)] {
        let sae = Sae::open(&fixture(name)).unwrap();
        assert_eq!(sae.features_compete(), compete, "{name}");
        let columns = sae.columns(&features).unwrap();
        let width = if compete { sae.d_sae() } else { features.len() };
        assert_eq!(columns.weight.ncols(), width, "{name}");
    }
    for (name, why) in [
        (
            "saelens/matching_pursuit",
            "features that are chosen one after the other",
        ),
        (
            "formats/sparsify_groupmax",
            "a maximum over each group of features",
        ),
    ] {
        let sae = Sae::open(&fixture("..").join(name)).unwrap();
        assert!(sae.features_compete(), "{name}");
        assert_eq!(sae.columns(&features).unwrap_err().found, why);
    }
    let sae = Sae::open(&fixture("standard")).unwrap();
    assert!(
        sae.columns(&[32])
            .unwrap_err()
            .expected
            .contains("below d_sae = 32")
    );
}

/// Old configs say by the hook's name alone that heads are laid side by side.
#[test]
fn heads_are_read_side_by_side() {
    let flat = Copy::of("flat_topk");
    assert!(!Sae::open(flat.0.path()).unwrap().config().flattens_heads);
    flat.set("hook_point", json!("blocks.0.attn.hook_z"));
    assert!(Sae::open(flat.0.path()).unwrap().config().flattens_heads);
    let new = Copy::of("topk");
    new.set("reshape_activations", json!("hook_z"));
    assert!(Sae::open(new.0.path()).unwrap().config().flattens_heads);
}

/// Ablating every feature leaves what a reconstruction from nothing leaves, plus the error term.
#[test]
fn contributions_of_all_features_make_the_reconstruction() {
    for name in CASES {
        let folder = fixture(name);
        let sae = Sae::open(&folder).unwrap();
        let x = matrix(&folder, "recorded.safetensors", "input");
        let forward = sae.forward(x.view()).unwrap();
        let all: Vec<usize> = (0..sae.d_sae()).collect();
        let part = sae
            .contribution(forward.feature_acts.view(), x.view(), &all)
            .unwrap();
        let none = Array2::zeros(forward.feature_acts.raw_dim());
        let nothing = sae.decode(none.view(), x.view()).unwrap();
        for (sum, decoded) in (&part + &nothing).iter().zip(&forward.decoded) {
            assert!((sum - decoded).abs() < 2e-4, "{name}: {sum} {decoded}");
        }
    }
}

#[test]
fn a_feature_s_direction_is_what_one_unit_adds() {
    let sae = Sae::open(&fixture("topk_rescaled")).unwrap();
    let x = Array2::ones((1, sae.d_in()));
    let mut acts = Array2::zeros((1, sae.d_sae()));
    let nothing = sae.decode(acts.view(), x.view()).unwrap();
    acts[[0, 5]] = 1.0;
    let one = sae.decode(acts.view(), x.view()).unwrap();
    let direction = sae.feature_direction(5).unwrap();
    for (found, expected) in direction.iter().zip((&one - &nothing).row(0)) {
        assert!((found - expected).abs() < 1e-6);
    }
    assert!(
        (direction.dot(&direction) - 1.0).abs() < 1e-5,
        "rescaled to norm 1"
    );
    assert!(sae.feature_direction(32).is_none());
}

#[test]
fn l0_and_explained_variance_are_measured() {
    let folder = fixture("topk");
    let sae = Sae::open(&folder).unwrap();
    let x = matrix(&folder, "recorded.safetensors", "input");
    let measured = sae.measure(x.view()).unwrap();
    assert_eq!((measured.l0, measured.n), (4.0, 9));
    let decoded = matrix(&folder, "recorded.safetensors", "decoded");
    let mean = x.mean_axis(Axis(0)).unwrap();
    let expected = 1.0 - (&x - &decoded).mapv(|v| v * v).sum() / (&x - &mean).mapv(|v| v * v).sum();
    assert!((measured.explained_variance - f64::from(expected)).abs() < 1e-4);
    let same = x.slice(s![..1, ..]);
    assert!(
        sae.measure(same)
            .unwrap_err()
            .found
            .contains("1 rows without variance")
    );
}

#[test]
fn bad_activations_are_refused() {
    let sae = Sae::open(&fixture("standard_constant_norm")).unwrap();
    let mut x = Array2::<f32>::ones((2, 12));
    x[[1, 3]] = f32::NAN;
    let fault = sae.encode(x.view()).unwrap_err();
    assert_eq!(fault.found, "the activation NaN in row 1, column 3");
    let zero = sae.encode(Array2::zeros((1, 12)).view()).unwrap_err();
    assert_eq!(zero.found, "row 0 is zero");
    let narrow = sae.encode(Array2::zeros((1, 11)).view()).unwrap_err();
    assert_eq!(narrow.expected, "width 12");
    let huge = Sae::open(&fixture("standard")).unwrap();
    let fault = huge
        .encode(Array2::from_elem((1, 12), f32::MAX).view())
        .unwrap_err();
    assert!(fault.found.contains("not finite"));
    let acts = array![[1.0_f32]];
    assert!(
        huge.decode(acts.view(), Array2::ones((1, 12)).view())
            .is_err()
    );
}

/// A copy of a fixture that a test may damage.
struct Copy(tempfile::TempDir);

impl Copy {
    fn of(name: &str) -> Self {
        let copy = tempfile::tempdir().unwrap();
        for file in ["cfg.json", "sae_weights.safetensors"] {
            fs::copy(fixture(name).join(file), copy.path().join(file)).unwrap();
        }
        Self(copy)
    }

    fn set(&self, field: &str, value: Value) -> &Self {
        let path = self.0.path().join("cfg.json");
        let mut cfg: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        match field.split_once('.') {
            Some((outer, inner)) => cfg[outer][inner] = value,
            None => cfg[field] = value,
        }
        fs::write(path, cfg.to_string()).unwrap();
        self
    }

    fn remove(&self, field: &str) -> &Self {
        let path = self.0.path().join("cfg.json");
        let mut cfg: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        cfg.as_object_mut().unwrap().remove(field);
        fs::write(path, cfg.to_string()).unwrap();
        self
    }

    fn weights(&self, bytes: &[u8]) -> &Self {
        fs::write(self.0.path().join("sae_weights.safetensors"), bytes).unwrap();
        self
    }

    /// Rewrites the weights with one tensor changed; `None` removes it.
    fn tensor(&self, name: &str, change: Option<(Dtype, Vec<usize>, Vec<u8>)>) -> &Self {
        let path = self.0.path().join("sae_weights.safetensors");
        let bytes = fs::read(&path).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors: Vec<(String, TensorView<'_>)> = file
            .tensors()
            .into_iter()
            .filter(|(other, _)| other != name)
            .collect();
        if let Some((dtype, shape, data)) = &change {
            let view = TensorView::new(*dtype, shape.clone(), data).unwrap();
            tensors.push((name.to_owned(), view));
        }
        let changed = safetensors::serialize(tensors, None).unwrap();
        self.weights(&changed)
    }

    /// The message, without the folder.
    #[track_caller]
    fn message(&self) -> String {
        let fault = Sae::open(self.0.path()).unwrap_err();
        let folder = self.0.path().display().to_string();
        fault.to_string().replace(&folder, "FOLDER")
    }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

#[test]
fn messages_for_bad_sae_folders() {
    let mut all = String::new();
    let mut say = |case: &str, copy: &Copy| {
        let message = copy.message();
        all += &format!("## {case}\n{message}\n\n");
    };
    let copy = || Copy::of("standard");
    say(
        "an unknown architecture",
        copy().set("architecture", json!("temporal")),
    );
    say(
        "no architecture in a nested config",
        copy().remove("architecture"),
    );
    say(
        "an architecture of another type",
        copy().set("architecture", json!(3)),
    );
    say(
        "a training checkpoint without its threshold",
        copy().set("architecture", json!("batchtopk")),
    );
    say(
        "an unknown normalisation",
        copy().set("normalize_activations", json!("covariance_whitening")),
    );
    say(
        "an unfolded scaling",
        copy().set("normalize_activations", json!("expected_average_only_in")),
    );
    say(
        "an unfolded scaling in an old config",
        Copy::of("flat_topk").set("normalize_activations", json!(true)),
    );
    say(
        "heads laid out in another way",
        copy().set("reshape_activations", json!("hook_q")),
    );
    say("one head", copy().set("metadata.hook_head_index", json!(2)));
    say("an output of another width", copy().set("d_out", json!(24)));
    let transcoder = || Copy::of("skip_transcoder");
    say(
        "a transcoder without its output",
        transcoder().remove("d_out"),
    );
    say(
        "a transcoder's output unlike its tensors",
        transcoder().set("d_out", json!(11)),
    );
    say(
        "a transcoder that subtracts",
        transcoder().set("apply_b_dec_to_input", json!(true)),
    );
    say("no skip connection", transcoder().tensor("W_skip", None));
    say(
        "an element type that is none",
        copy().set("dtype", json!("int4")),
    );
    say(
        "a residual that is negative",
        Copy::of("matching_pursuit").set("residual_threshold", json!(-1)),
    );
    say(
        "another activation function",
        Copy::of("flat_topk").set("activation_fn_str", json!("tanh-relu")),
    );
    say("k of nothing", Copy::of("topk").set("k", json!(0)));
    say(
        "k beyond the features",
        Copy::of("topk").set("k", json!(33)),
    );
    say("no k", Copy::of("topk").remove("k"));
    say("a negative width", copy().set("d_in", json!(-12)));
    say("a huge width", copy().set("d_in", json!(u64::MAX)));
    say("a width unlike the tensors", copy().set("d_in", json!(13)));
    say(
        "features unlike the tensors",
        copy().set("d_sae", json!(31)),
    );
    say(
        "an architecture unlike the tensors",
        copy().set("architecture", json!("jumprelu")),
    );
    say(
        "more tensors than the architecture has",
        Copy::of("jumprelu").set("architecture", json!("standard")),
    );
    say("a missing tensor", copy().tensor("b_dec", None));
    say(
        "a transposed tensor",
        copy().tensor(
            "W_dec",
            Some((Dtype::F32, vec![12, 32], floats(&[0.0; 384]))),
        ),
    );
    let mut weights = [0.0; 12];
    weights[7] = f32::NAN;
    say(
        "a NaN",
        copy().tensor("b_dec", Some((Dtype::F32, vec![12], floats(&weights)))),
    );
    weights[7] = f32::NEG_INFINITY;
    say(
        "an infinity",
        copy().tensor("b_dec", Some((Dtype::F32, vec![12], floats(&weights)))),
    );
    say(
        "whole numbers",
        copy().tensor("b_dec", Some((Dtype::I64, vec![12], vec![0; 96]))),
    );
    say(
        "a decoder norm of 0",
        Copy::of("topk_rescaled").tensor(
            "W_dec",
            Some((Dtype::F32, vec![32, 12], floats(&[0.0; 384]))),
        ),
    );
    say("an empty file", copy().weights(b""));
    say(
        "a truncated file",
        copy().weights(&fs::read(fixture("standard/sae_weights.safetensors")).unwrap()[..2000]),
    );
    say(
        "a PyTorch zip",
        copy().weights(b"PK\x03\x04\x00\x00\x08\x08archive/data.pkl"),
    );
    say("a bare pickle", copy().weights(b"\x80\x02}q\x00."));
    let no_cfg = copy();
    fs::remove_file(no_cfg.0.path().join("cfg.json")).unwrap();
    say("no cfg.json", &no_cfg);
    let no_weights = copy();
    fs::remove_file(no_weights.0.path().join("sae_weights.safetensors")).unwrap();
    say("no weights", &no_weights);
    fs::write(
        no_weights.0.path().join("sae_weights.pt"),
        b"PK\x03\x04pickle",
    )
    .unwrap();
    say("only a pickle", &no_weights);
    let bad_json = copy();
    fs::write(bad_json.0.path().join("cfg.json"), "{\"d_in\": 12,").unwrap();
    say("truncated JSON", &bad_json);
    fs::write(bad_json.0.path().join("cfg.json"), "[]").unwrap();
    say("JSON of another shape", &bad_json);
    insta::assert_snapshot!(all);
}

#[test]
fn a_scaling_that_is_no_number_is_refused() {
    for text in [
        "{",
        "{}",
        "{\"scaling_factor\": null}",
        "{\"scaling_factor\": -1}",
        "{\"scaling_factor\": 1e999}",
    ] {
        let copy = Copy::of("topk_unfolded");
        fs::write(copy.0.path().join("activation_scaler.json"), text).unwrap();
        assert!(copy.message().contains("activation_scaler.json"), "{text}");
    }
}

#[test]
fn a_legacy_scaling_factor_belongs_to_the_decoder() {
    let copy = Copy::of("standard");
    let plain = Sae::open(copy.0.path()).unwrap();
    copy.tensor(
        "scaling_factor",
        Some((Dtype::F32, vec![32], floats(&[2.0; 32]))),
    );
    let scaled = Sae::open(copy.0.path()).unwrap();
    let x = matrix(&fixture("standard"), "recorded.safetensors", "input");
    let acts = plain.encode(x.view()).unwrap();
    assert_eq!(acts, scaled.encode(x.view()).unwrap());
    let doubled = plain.decode((&acts * 2.0).view(), x.view()).unwrap();
    equal(&scaled.decode(acts.view(), x.view()).unwrap(), &doubled);
}

#[test]
fn the_config_is_what_the_file_says() {
    let sae = Sae::open(&fixture("gated_layer_norm")).unwrap();
    let config = sae.config();
    assert_eq!(
        (config.architecture, config.d_in, config.d_sae),
        ("gated", 12, 32)
    );
    assert_eq!(config.normalization, Normalization::LayerNorm);
    assert_eq!(
        config.hook_name.as_deref(),
        Some("blocks.1.hook_resid_post")
    );
    let flat = Sae::open(&fixture("flat_topk")).unwrap();
    assert_eq!(
        (flat.config().architecture, flat.config().k),
        ("topk", Some(3))
    );
    assert_eq!(
        flat.config().hook_name.as_deref(),
        Some("blocks.1.hook_resid_post")
    );
}
