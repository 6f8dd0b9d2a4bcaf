//! The architecture finder on exported models of many kinds. They lie outside the project; without them the test says so.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use std::path::PathBuf;

use candor::model::{Architecture, InputRole, Model, Point, SiteName, SiteTensor};

struct Expected {
    path: &'static str,
    layers: usize,
    heads: usize,
    parallel: bool,
    attention: &'static str,
    caches: usize,
    last_is_skip_sum: bool,
}

const fn plain(path: &'static str) -> Expected {
    Expected {
        path,
        layers: 3,
        heads: 4,
        parallel: false,
        attention: "Softmax",
        caches: 0,
        last_is_skip_sum: false,
    }
}

const fn genai(path: &'static str) -> Expected {
    Expected {
        attention: "GroupQueryAttention",
        caches: 6,
        last_is_skip_sum: true,
        ..plain(path)
    }
}

const MODELS: [Expected; 10] = [
    plain("zoo/gpt2"),
    plain("zoo/llama"),
    plain("zoo/llama_ts"),
    plain("zoo/llama_kv"),
    plain("zoo/llama_ext"),
    Expected {
        parallel: true,
        ..plain("zoo/neox")
    },
    plain("zoo/gemma2"),
    genai("zoo/genai_llama_fp32"),
    genai("zoo/genai_llama_int4"),
    Expected {
        layers: 5,
        heads: 8,
        ..plain("data/stories260k")
    },
];

fn shared() -> Option<PathBuf> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let found = std::env::var_os("CANDOR_SHARED").map_or(beside, PathBuf::from);
    if found.join("zoo").is_dir() {
        return Some(found);
    }
    println!("skipped: ../shared is not here");
    None
}

#[test]
fn finds_every_model_of_the_zoo() {
    let Some(shared) = shared() else { return };
    for expected in MODELS {
        let path = expected.path;
        let model = Model::open(&shared.join(path).join("model.onnx")).unwrap();
        model.check_finite().unwrap();
        let found = Architecture::find(&model).unwrap();
        assert_eq!(found.n_layers, expected.layers, "{path}");
        assert_eq!(found.d_model, 64, "{path}");
        assert_eq!(found.n_heads, Some(expected.heads), "{path}");
        assert_eq!(found.vocab_size, 512, "{path}");
        assert_eq!(found.logits, "logits", "{path}");
        assert_eq!(found.blocks.len(), expected.layers, "{path}");
        for block in &found.blocks {
            assert_eq!(block.parallel, expected.parallel, "{path}");
            assert_eq!(block.attention, expected.attention, "{path}");
        }
        check_sites(&found, &expected);
        check_inputs(&found, &expected);
    }
}

fn check_sites(found: &Architecture, expected: &Expected) {
    let path = expected.path;
    let tensor = |layer, point| {
        found
            .site(SiteName::block(layer, point))
            .map(|site| &site.tensor)
    };
    let embed = found.site(SiteName::outside(Point::Embed)).unwrap();
    let first = tensor(0, Point::ResidPre);
    let learned_positions = path.ends_with("gpt2");
    let is_first = Some(&embed.tensor) == first;
    assert_eq!(is_first, !learned_positions, "{path}");
    let last_norm = found.site(SiteName::outside(Point::LnFinal));
    assert!(last_norm.is_some(), "{path}");
    for layer in 0..expected.layers {
        for point in [
            Point::ResidPre,
            Point::AttnOut,
            Point::MlpOut,
            Point::ResidPost,
        ] {
            assert!(tensor(layer, point).is_some(), "{path} {layer} {point:?}");
        }
        let mid = tensor(layer, Point::ResidMid);
        assert_eq!(mid.is_some(), !expected.parallel, "{path}");
        if layer > 0 {
            let before = tensor(layer - 1, Point::ResidPost);
            assert_eq!(tensor(layer, Point::ResidPre), before, "{path}");
        }
    }
    let last = tensor(expected.layers - 1, Point::ResidPost).unwrap();
    let is_skip_sum = matches!(last, SiteTensor::SkipSum { .. });
    assert_eq!(is_skip_sum, expected.last_is_skip_sum, "{path}");
    let heads = expected.heads;
    for site in &found.sites {
        let axes: Vec<&str> = site.shape.iter().map(String::as_str).collect();
        let heads = heads.to_string();
        let fits = match site.name.point {
            Point::HookZ => matches!(axes[..], [_, _, h, _] if h == heads),
            Point::Pattern => matches!(axes[..], [_, h, _, _] if h == heads),
            Point::Logits => matches!(axes[..], [_, _, "512"]),
            _ => matches!(axes[..], [_, _, "64"]),
        };
        assert!(fits, "{path} {}: {axes:?}", site.name);
    }
    let fused = expected.attention != "Softmax";
    for layer in 0..expected.layers {
        assert!(tensor(layer, Point::HookZ).is_some(), "{path}");
        let pattern = tensor(layer, Point::Pattern);
        assert_eq!(pattern.is_none(), fused, "{path}");
        let why = found.why_absent(SiteName::block(layer, Point::Pattern));
        assert_eq!(why.is_some(), fused, "{path}");
    }
}

fn check_inputs(found: &Architecture, expected: &Expected) {
    let path = expected.path;
    let role = |name: &str| {
        let port = found.inputs.iter().find(|port| port.name == name);
        port.map(|port| port.role.clone())
    };
    let mask = Some(InputRole::AttentionMask);
    assert_eq!(role("input_ids"), Some(InputRole::TokenIds), "{path}");
    assert_eq!(role("attention_mask"), mask, "{path}");
    let cache = InputRole::PastKeyValue(vec![None, Some(2), Some(0), Some(16)]);
    let caches = found.inputs.iter().filter(|port| port.role == cache);
    assert_eq!(caches.count(), expected.caches, "{path}");
    assert_eq!(found.inputs.len(), 2 + expected.caches, "{path}");
}

/// Digests of the map agree with those of the files read in whole, and outer weights with the same weights inside a model.
#[test]
fn external_data_is_digested_and_read() {
    use sha2::Digest;
    let Some(shared) = shared() else { return };
    let outer = Model::open(&shared.join("zoo/llama_ext/model.onnx")).unwrap();
    let digests = outer.digests().unwrap();
    let names: Vec<&str> = digests.iter().map(|digest| digest.path.as_str()).collect();
    assert_eq!(names, ["model.onnx", "model.onnx.data"]);
    for digest in &digests {
        let bytes = std::fs::read(outer.folder().join(&digest.path)).unwrap();
        assert_eq!(digest.bytes, bytes.len() as u64);
        let hex: Vec<String> = sha2::Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(digest.sha256, hex.concat());
    }
    let inner = Model::open(&shared.join("zoo/llama/model.onnx")).unwrap();
    let mut compared = 0;
    for tensor in &inner.graph().initializer {
        if tensor.data_type == Some(1) && !tensor.dims.is_empty() {
            let a = inner.weights_f32(tensor.name()).unwrap();
            let b = outer.weights_f32(tensor.name()).unwrap();
            assert_eq!(a, b, "{}", tensor.name());
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared}");
}
