//! Files of SAEs and transcoders that are not what they say, or not to be read.
#![allow(
    clippy::unwrap_used,
    clippy::too_many_lines,
    clippy::format_push_string,
    reason = "a test may stop"
)]

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use candor::detect::Sae;
use candor::detect::sae::{Asked, Opened};
use proptest::prelude::*;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use tempfile::TempDir;
use zip::write::SimpleFileOptions;

/// A copy of a case of `fixtures/detect/formats` that a test may damage.
struct Copy(TempDir);

impl Copy {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn of(name: &str) -> Self {
        let copy = Self::empty();
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/detect/formats");
        copy.take(&root.join(name), Path::new(""));
        copy
    }

    fn take(&self, from: &Path, to: &Path) {
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let to = to.join(path.file_name().unwrap());
            if path.is_dir() && !path.ends_with("recorded") {
                fs::create_dir(self.path(&to)).unwrap();
                self.take(&path, &to);
            } else if path.is_file() {
                fs::copy(&path, self.path(&to)).unwrap();
            }
        }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(self, name: &str, bytes: impl AsRef<[u8]>) -> Self {
        fs::write(self.path(name), bytes).unwrap();
        self
    }

    fn remove(self, name: &str) -> Self {
        fs::remove_file(self.path(name)).unwrap();
        self
    }

    /// Sets a field of a JSON file, `outer.inner` for one inside another.
    fn set(self, file: &str, field: &str, value: Value) -> Self {
        let mut config: Value =
            serde_json::from_str(&fs::read_to_string(self.path(file)).unwrap()).unwrap();
        let pointer = format!("/{}", field.replace('.', "/"));
        match config.pointer_mut(&pointer) {
            Some(place) => *place = value,
            None => config[field] = value,
        }
        self.write(file, config.to_string())
    }

    /// Changes one tensor of a safetensors file.
    fn tensor(self, file: &str, name: &str, dtype: Dtype, shape: &[usize], data: &[u8]) -> Self {
        let bytes = fs::read(self.path(file)).unwrap_or_default();
        let old = safetensors::SafeTensors::deserialize(&bytes);
        let mut tensors = old
            .as_ref()
            .map(safetensors::SafeTensors::tensors)
            .unwrap_or_default();
        tensors.retain(|(other, _)| other != name);
        let view = TensorView::new(dtype, shape.to_vec(), data).unwrap();
        tensors.push((name.to_owned(), view));
        let changed = safetensors::serialize(tensors, None).unwrap();
        self.write(file, changed)
    }

    /// The message, without the folder.
    #[track_caller]
    fn message(&self, file: &str, asked: Asked) -> String {
        let path = if file.is_empty() {
            self.path("")
        } else {
            self.path(file)
        };
        match Opened::open(&path, &asked) {
            Ok(opened) => panic!("{} was read", opened.format.name),
            Err(fault) => {
                let folder = self.0.path().display().to_string();
                fault
                    .to_string()
                    .replace(&format!("{folder}/"), "")
                    .replace(&folder, "FOLDER")
            }
        }
    }
}

#[derive(Default)]
struct Said(String);

impl Said {
    #[track_caller]
    fn add(&mut self, case: &str, copy: Copy) {
        self.asking(case, &copy, "", Asked::default());
    }

    #[track_caller]
    fn asking(&mut self, case: &str, copy: &Copy, file: &str, asked: Asked) {
        let message = copy.message(file, asked);
        self.0 += &format!("## {case}\n{message}\n\n");
    }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect()
}

const PICKLE: &[u8] = b"\x80\x02}q\x00X\x01\x00\x00\x00aq\x01K\x01s.";

#[test]
fn what_is_of_no_format_or_of_several() {
    let mut said = Said::default();
    said.asking("nothing there", &Copy::empty(), "none", Asked::default());
    said.add("an empty folder", Copy::empty());
    said.add("a text", Copy::empty().write("README.md", "# SAEs"));
    let both = Copy::of("circuit_tracer_transcoder");
    both.take(&Copy::of("gemma_scope_resid").path(""), Path::new(""));
    said.add("two formats", both);
    let layers = Copy::of("circuit_tracer_transcoder");
    fs::copy(
        layers.path("layer_1.safetensors"),
        layers.path("layer_2.safetensors"),
    )
    .unwrap();
    assert!(Sae::open(&layers.path("layer_2.safetensors")).is_ok());
    said.add("a file for each layer", layers);
    let cross = Copy::empty()
        .tensor(
            "W_enc_0.safetensors",
            "W_enc_0",
            Dtype::F32,
            &[4, 2],
            &[0; 32],
        )
        .tensor(
            "W_dec_0.safetensors",
            "W_dec_0",
            Dtype::F32,
            &[4, 3, 2],
            &[0; 96],
        );
    said.add("a cross-layer transcoder", cross);
    let cross = Copy::of("gemma_scope_2_transcoder").tensor(
        "params.safetensors",
        "w_dec",
        Dtype::F32,
        &[32, 2, 12],
        &[0; 3072],
    );
    said.add("a cross-layer transcoder of Gemma Scope 2", cross);
    let temporal = Copy::empty().tensor(
        "latest_ckpt.safetensors",
        "attn_layers.0.q",
        Dtype::F32,
        &[1],
        &[0; 4],
    );
    said.add("a temporal SAE", temporal);
    said.add(
        "a weights file of 0 bytes",
        Copy::empty().write("layer_1.safetensors", ""),
    );
    let bytes =
        fs::read(Copy::of("circuit_tracer_transcoder").path("layer_1.safetensors")).unwrap();
    said.add(
        "a truncated weights file",
        Copy::empty().write("layer_1.safetensors", &bytes[..bytes.len() - 1]),
    );
    insta::assert_snapshot!(said.0);
}

#[test]
fn pickles_are_refused_with_the_command_that_converts_them() {
    let mut said = Said::default();
    let dictionary = || Copy::of("dictionary_learning_AutoEncoder").remove("ae.safetensors");
    said.add("dictionary_learning", dictionary().write("ae.pt", PICKLE));
    said.add(
        "a PyTorch zip",
        dictionary().write("ae.pt", b"PK\x03\x04\x00\x00\x08\x08ae/data.pkl"),
    );
    said.add("a pickle alone", Copy::empty().write("8.pt", PICKLE));
    said.add(
        "a pickle by another name",
        Copy::empty().write("pytorch_model.bin", PICKLE),
    );
    said.asking(
        "a pickle named itself",
        &Copy::empty().write("sae.pth", PICKLE),
        "sae.pth",
        Asked::default(),
    );
    let renamed = Copy::of("circuit_tracer_transcoder").write("layer_1.safetensors", PICKLE);
    said.add("a pickle that calls itself safetensors", renamed);
    let sparsify = Copy::of("sparsify_topk");
    fs::write(sparsify.path("layers.1/sae.safetensors"), PICKLE).unwrap();
    said.add("sparsify", sparsify);
    insta::assert_snapshot!(said.0);
}

#[test]
fn configs_that_contradict_their_tensors_or_cannot_be_computed() {
    let mut said = Said::default();
    let cfg = "layers.1/cfg.json";
    let sparsify = || Copy::of("sparsify_topk");
    said.add(
        "sparsify: another width",
        sparsify().set(cfg, "d_in", json!(13)),
    );
    said.add(
        "sparsify: other latents",
        sparsify().set(cfg, "num_latents", json!(31)),
    );
    said.add(
        "sparsify: latents beyond counting",
        sparsify()
            .set(cfg, "num_latents", json!(0))
            .set(cfg, "expansion_factor", json!(u64::MAX)),
    );
    said.add(
        "sparsify: more than all latents",
        sparsify().set(cfg, "k", json!(33)),
    );
    said.add("sparsify: no latents", sparsify().set(cfg, "k", json!(0)));
    said.add(
        "sparsify: signed latents",
        sparsify().set(cfg, "signed", json!(true)),
    );
    said.add(
        "sparsify: an unknown activation",
        sparsify().set(cfg, "activation", json!("softmax")),
    );
    said.add(
        "sparsify: a skip connection of an SAE",
        sparsify().set(cfg, "skip_connection", json!(true)),
    );
    said.add(
        "sparsify: groups of two sizes",
        Copy::of("sparsify_groupmax").set(cfg, "k", json!(5)),
    );
    let skip = Copy::of("sparsify_topk_skip_transcoder").set(cfg, "skip_connection", json!(false));
    said.add("sparsify: a skip connection that is not announced", skip);

    let dictionary = |class: &str| Copy::of(&format!("dictionary_learning_{class}"));
    let config = "config.json";
    said.add(
        "dictionary_learning: an unknown class",
        dictionary("AutoEncoder").set(config, "trainer.dict_class", json!("CrossCoder")),
    );
    said.add(
        "dictionary_learning: another class",
        dictionary("AutoEncoder").set(config, "trainer.dict_class", json!("AutoEncoderNew")),
    );
    said.add(
        "dictionary_learning: another size",
        dictionary("AutoEncoder").set(config, "trainer.dict_size", json!(16)),
    );
    said.add(
        "dictionary_learning: another k",
        dictionary("AutoEncoderTopK").set(config, "trainer.k", json!(5)),
    );
    let groups: Vec<u8> = [8_i64, 25]
        .iter()
        .flat_map(|size| size.to_le_bytes())
        .collect();
    let matryoshka = dictionary("MatryoshkaBatchTopKSAE").tensor(
        "ae.safetensors",
        "group_sizes",
        Dtype::I64,
        &[2],
        &groups,
    );
    said.add("dictionary_learning: groups that are not all", matryoshka);
    let zero = dictionary("AutoEncoder").tensor(
        "ae.safetensors",
        "decoder.weight",
        Dtype::F32,
        &[12, 32],
        &[0; 1536],
    );
    said.add("dictionary_learning: a decoder without directions", zero);

    let openai = || Copy::of("openai_TopK");
    said.add("openai: no config", openai().remove(config));
    said.add(
        "openai: an unknown activation",
        openai().set(config, "activation", json!("Tanh")),
    );
    said.add(
        "openai: no k",
        openai().set(config, "activation_state_dict", json!({})),
    );
    said.add(
        "openai: values of both signs",
        openai().set(
            config,
            "activation_state_dict.postact_fn",
            json!("Identity"),
        ),
    );

    let two = |name: &str| Copy::of(&format!("gemma_scope_2_{name}"));
    said.add("gemma_scope_2: no config", two("resid").remove(config));
    said.add(
        "gemma_scope_2: another architecture",
        two("resid").set(config, "architecture", json!("topk")),
    );
    said.add(
        "gemma_scope_2: a skip connection that is missing",
        two("transcoder").set(config, "affine_connection", json!(true)),
    );
    said.add(
        "gemma_scope_2: a skip connection of an SAE",
        two("affine_transcoder").set(config, "hf_hook_point_out", json!(null)),
    );

    let llama = |name: &str| Copy::of(&format!("llama_scope_{name}"));
    let hyper = "hyperparams.json";
    said.add(
        "llama_scope: a norm of nothing",
        llama("jumprelu").set(hyper, "dataset_average_activation_norm.in", json!(0)),
    );
    said.add(
        "llama_scope: a norm of a batch",
        llama("jumprelu").set(hyper, "norm_activation", json!("batch-wise")),
    );
    said.add(
        "llama_scope: gated linear units",
        llama("jumprelu").set(hyper, "use_glu_encoder", json!(true)),
    );
    said.add(
        "llama_scope: an unknown activation",
        llama("jumprelu").set(hyper, "act_fn", json!("batchtopk")),
    );
    said.add(
        "llama_scope: a ranking by decoder norm",
        llama("topk").set(hyper, "sparsity_include_decoder_norm", json!(true)),
    );
    said.add(
        "llama_scope: no threshold",
        llama("jumprelu").set(hyper, "jump_relu_threshold", json!(null)),
    );

    let layer = "layer_1.safetensors";
    let tracer = || Copy::of("circuit_tracer_jumprelu_transcoder");
    said.add(
        "circuit_tracer: fewer thresholds",
        tracer().tensor(
            layer,
            "activation_function.threshold",
            Dtype::F32,
            &[31],
            &[0; 124],
        ),
    );
    said.add(
        "circuit_tracer: another tensor",
        tracer().tensor(layer, "log_thresholds", Dtype::F32, &[32], &[0; 128]),
    );
    said.add(
        "circuit_tracer: not a number",
        tracer().tensor(layer, "b_dec", Dtype::F32, &[12], &floats(&[f32::NAN; 12])),
    );
    let beyond: Vec<u8> = [1e300_f64; 12]
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    said.add(
        "circuit_tracer: beyond single precision",
        tracer().tensor(layer, "b_dec", Dtype::F64, &[12], &beyond),
    );
    said.add(
        "circuit_tracer: eight bits",
        tracer().tensor(layer, "b_dec", Dtype::I8, &[12], &[0; 12]),
    );
    insta::assert_snapshot!(said.0);
}

#[test]
fn sites_that_the_files_contradict() {
    let mut said = Said::default();
    let site = |name: &str| Some(name.parse().unwrap());
    let resid = Copy::of("dictionary_learning_AutoEncoder");
    let asked = Asked {
        site: site("blocks.2.hook_resid_post"),
        site_out: None,
    };
    said.asking("another site", &resid, "", asked);
    let asked = Asked {
        site: None,
        site_out: site("blocks.1.hook_mlp_out"),
    };
    said.asking("an SAE as a transcoder", &resid, "", asked);
    insta::assert_snapshot!(said.0);
}

/// An npz archive of entries.
fn archive(entries: &[(&str, &[u8])], options: SimpleFileOptions) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// An array as NumPy writes it.
fn npy(descr: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), data].concat()
}

#[test]
fn archives_that_are_no_weights() {
    let mut said = Said::default();
    let stored = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let deflated =
        SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let mut add =
        |case: &str, bytes: &[u8]| said.add(case, Copy::empty().write("params.npz", bytes));
    let vector = npy("<f4", "(4,)", &[0; 16]);
    let rest = |w_enc: &[u8]| {
        let matrix = npy("<f4", "(4, 2)", &[0; 32]);
        let pair = npy("<f4", "(2,)", &[0; 8]);
        let entries: [(&str, &[u8]); 5] = [
            ("W_enc.npy", w_enc),
            ("W_dec.npy", &matrix),
            ("b_enc.npy", &vector),
            ("b_dec.npy", &pair),
            ("threshold.npy", &vector),
        ];
        archive(&entries, stored)
    };
    let good = rest(&npy("<f4", "(2, 4)", &[0; 32]));
    let copy = Copy::empty().write("params.npz", &good);
    assert!(Sae::open(&copy.path("")).is_ok());
    add(
        "pickled objects",
        &rest(&npy("|O", "(2, 4)", b"\x80\x02]q\x00.")),
    );
    add(
        "fewer bytes than its shape",
        &rest(&npy("<f4", "(2, 4)", &[0; 28])),
    );
    add(
        "more bytes than its shape",
        &rest(&npy("<f4", "(2, 4)", &[0; 36])),
    );
    add(
        "a shape beyond counting",
        &rest(&npy("<f4", "(4294967296, 4294967296, 4)", &[0; 32])),
    );
    add("big-endian numbers", &rest(&npy(">f4", "(2, 4)", &[0; 32])));
    add(
        "a transposed encoder",
        &rest(&npy("<f4", "(4, 2)", &[0; 32])),
    );
    add(
        "not a number",
        &rest(&npy("<f4", "(2, 4)", &floats(&[f32::NAN; 8]))),
    );
    add("no array", &rest(b"<html>"));
    add("truncated", &good[..good.len() / 2]);
    add("0 bytes", &[]);
    let mut flipped = good.clone();
    let at = good.windows(6).position(|six| six == b"\x93NUMPY").unwrap() + 100;
    flipped[at] ^= 1;
    add("a flipped bit", &flipped);
    let zeros = npy("<f4", "(1000, 17000)", &vec![0; 68_000_000]);
    add("a bomb", &archive(&[("W_enc.npy", &zeros)], deflated));
    add(
        "a program",
        &archive(&[("W_enc.npy", &vector), ("run.py", b"import os")], stored),
    );
    // How well zeros are packed is the library's.
    insta::with_settings!({filters => vec![(r"a file of \d+", "a file of FEW")]}, {
        insta::assert_snapshot!(said.0);
    });
}

/// A header is all that is read of it: the file is sparse, and nothing is allocated.
#[test]
fn a_dictionary_wider_than_memory_is_refused_before_it_is_read() {
    let Ok(meminfo) = fs::read_to_string("/proc/meminfo") else {
        return;
    };
    let total = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))
        .unwrap();
    let kibibytes: usize = total.trim().trim_end_matches("kB").trim().parse().unwrap();
    let rows = kibibytes * 1024 / 16;
    let header = format!(
        "{{\"W_enc\":{{\"dtype\":\"F32\",\"shape\":[{rows},4],\"data_offsets\":[0,{}]}},\
         \"W_dec\":{{\"dtype\":\"F32\",\"shape\":[{rows},4],\"data_offsets\":[{},{}]}}}}",
        rows * 16,
        rows * 16,
        rows * 32
    );
    let copy = Copy::empty();
    let mut file = fs::File::create(copy.path("layer_1.safetensors")).unwrap();
    file.write_all(&(header.len() as u64).to_le_bytes())
        .unwrap();
    file.write_all(header.as_bytes()).unwrap();
    file.set_len((8 + header.len() + rows * 32) as u64).unwrap();
    let fault = Sae::open(&copy.path("")).unwrap_err();
    assert!(fault.found.contains("GiB in single precision"), "{fault}");
    assert!(
        fault.expected.contains("of memory that are available"),
        "{fault}"
    );
}

/// Cases whose files are damaged.
const DAMAGED: [&str; 8] = [
    "circuit_tracer_jumprelu_skip_transcoder",
    "dictionary_learning_MatryoshkaBatchTopKSAE",
    "gemma_scope_2_affine_transcoder",
    "gemma_scope_embedding",
    "gemma_scope_resid",
    "llama_scope_decoder_norm",
    "openai_TopK",
    "sparsify_groupmax",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever bytes are changed or cut off: a fault, or an SAE that encodes or says why not.
    #[test]
    fn damaged_files_are_refused_or_read(
        case in 0..DAMAGED.len(),
        file in any::<prop::sample::Index>(),
        // Most of a file is weights; what is read with care stands at its ends.
        at in prop_oneof![0..400_usize, 0..8000_usize],
        from_the_end in any::<bool>(),
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), b'0'..=b'9'], 1..6),
        cut in prop::option::weighted(0.1, any::<prop::sample::Index>()),
    ) {
        let copy = Copy::of(DAMAGED[case]);
        let mut files: Vec<PathBuf> = Vec::new();
        let mut folders = vec![copy.path("")];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
        files.sort();
        let path = file.get(&files);
        let mut content = fs::read(path).unwrap();
        let length = content.len();
        let start = at.min(length - 1);
        let start = if from_the_end { length - 1 - start } else { start };
        for (place, byte) in content[start..].iter_mut().zip(&bytes) {
            *place = *byte;
        }
        if let Some(cut) = cut {
            content.truncate(cut.index(length));
        }
        fs::write(path, content).unwrap();
        if let Ok(opened) = Opened::open(&copy.path(""), &Asked::default()) {
            let x = ndarray::Array2::from_elem((2, opened.sae.d_in()), 0.5);
            if let Ok(forward) = opened.sae.forward(x.view()) {
                prop_assert_eq!(forward.decoded.dim(), (2, opened.sae.d_out()));
            }
        }
    }
}
