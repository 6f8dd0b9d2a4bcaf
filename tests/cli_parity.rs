//! `candor capture` and `candor patch` against what `PyTorch` recorded and against a patch made by hand.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;

use std::fs;
use std::path::{Path, PathBuf};

use candor::instrument::{Plan, Write, instrument};
use candor::model::{Architecture, Model, SiteName};
use candor::run::{Feed, Runtime, RuntimeOptions, Session, Tensor};
use cli::{candor, difference, floats, integers, json, organism, reference, shared};
use ndarray::{Array2, Array3, ArrayD, Axis, s};
use serde_json::{Value, json};

const STREAM: &str = "blocks.*.hook_resid_*";

/// Every exported model of the shared material.
fn folders() -> Vec<PathBuf> {
    let Some(shared) = shared() else {
        return vec![];
    };
    let zoo = fs::read_dir(shared.join("zoo")).unwrap();
    let zoo = zoo.map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = zoo.chain([shared.join("data/stories260k")]).collect();
    folders.sort();
    assert!(folders.len() >= 10, "{folders:?}");
    folders
}

fn capture(folder: &Path, ids: &Value, out: &Path) {
    let (model, ids, out) = (
        folder.join("model.onnx"),
        ids.to_string(),
        out.to_str().unwrap(),
    );
    let args = ["capture", model.to_str().unwrap(), "--ids", &ids];
    candor(args)
        .args(["--sites", STREAM, "--out", out])
        .assert()
        .success();
}

#[test]
fn capture_is_the_stream_that_pytorch_recorded() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("captured.safetensors");
    for folder in folders() {
        let (recorded, ids) = reference(&folder);
        capture(&folder, &json!(ids), &out);
        let captured = floats(&out);
        let streams = recorded
            .iter()
            .filter(|(name, _)| *name != "attention_mask");
        let mut seen = 0;
        for (name, expected) in streams {
            let off = difference(&captured[name], expected);
            assert!(off <= 5e-5, "{} {name}: {off:e}", folder.display());
            seen += 1;
        }
        assert!(seen >= 6, "{}: {seen} tensors", folder.display());
        let shape = [ids.len(), ids[0].len()];
        let flat: Vec<i64> = ids.concat();
        let expected = ArrayD::from_shape_vec(&shape[..], flat).unwrap();
        assert_eq!(integers(&out, "input_ids"), expected);
        assert_eq!(
            integers(&out, "attention_mask"),
            ArrayD::<i64>::ones(&shape[..]),
            "{}",
            folder.display()
        );
    }
}

/// One model with one write, run one row at a time.
struct ByHand {
    session: Session,
    arch: Architecture,
    tap: String,
    mask: Option<String>,
    value: Option<String>,
}

impl ByHand {
    fn open(folder: &Path, site: SiteName, write: bool) -> Self {
        let model = Model::open(&folder.join("model.onnx")).unwrap();
        let arch = Architecture::find(&model).unwrap();
        let plan = Plan {
            taps: vec![site],
            writes: if write {
                let value = "by_hand".to_owned();
                vec![Write::Replace { site, value }]
            } else {
                vec![]
            },
            ..Plan::default()
        };
        let done = instrument(&model, &arch, &plan).unwrap();
        let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap();
        let session = Session::open(&runtime, &done.bytes, &done.folder, &arch).unwrap();
        let first = |pairs: Vec<String>| pairs.into_iter().next();
        let manifest = done.manifest;
        Self {
            session,
            arch,
            tap: manifest.taps[0].1.clone(),
            mask: first(manifest.masks.into_iter().map(|(_, name)| name).collect()),
            value: first(manifest.inputs.into_iter().map(|(name, _)| name).collect()),
        }
    }

    fn feed(ids: &[i64]) -> Feed {
        Feed::unpadded(Array2::from_shape_vec((1, ids.len()), ids.to_vec()).unwrap())
    }

    /// The site's activations `[seq, d_model]`.
    fn activations(&self, ids: &[i64]) -> Array2<f32> {
        let outputs = self.session.run(&Self::feed(ids), &[&self.tap]).unwrap();
        let values = outputs[&self.tap].index_axis(Axis(0), 0).to_owned();
        values.into_dimensionality().unwrap()
    }

    /// The logits at the last position after `positions` were given the activations of `from`.
    fn patched(&self, ids: &[i64], positions: &[usize], from: &Array2<f32>) -> Vec<f32> {
        let mut mask = Array3::from_elem((1, ids.len(), 1), false);
        let mut values = Array3::zeros((1, ids.len(), self.arch.d_model));
        for &position in positions {
            mask[[0, position, 0]] = true;
            values
                .slice_mut(s![0, position, ..])
                .assign(&from.row(position));
        }
        let feed = Self::feed(ids)
            .with(self.mask.clone().unwrap(), Tensor::Bool(mask.into_dyn()))
            .with(self.value.clone().unwrap(), Tensor::F32(values.into_dyn()));
        self.last_logits(&feed)
    }

    fn last_logits(&self, feed: &Feed) -> Vec<f32> {
        let name = &self.arch.logits;
        let outputs = self.session.run(feed, &[name]).unwrap();
        outputs[name]
            .slice_each_axis(|axis| match axis.axis.index() {
                0 => (..1).into(),
                1 => (-1..).into(),
                _ => (..).into(),
            })
            .iter()
            .copied()
            .collect()
    }
}

/// Two prompts of the model that part where `clean` is continued by the tokens of `corrupt`.
struct Prompts {
    folder: PathBuf,
    clean: Vec<i64>,
    corrupt: Vec<i64>,
}

fn prompts(names: &[&str]) -> Vec<Prompts> {
    folders()
        .into_iter()
        .filter(|folder| names.iter().any(|name| folder.ends_with(name)))
        .map(|folder| {
            let (_, ids) = reference(&folder);
            let clean: Vec<i64> = ids[0].iter().take(9).copied().collect();
            let mut corrupt = clean.clone();
            corrupt[4] = 300;
            let corrupt = ids.get(1).cloned().unwrap_or(corrupt);
            Prompts {
                folder,
                clean,
                corrupt,
            }
        })
        .collect()
}

impl Prompts {
    /// The tokens on which the two prompts disagree most.
    fn metric(&self) -> (usize, usize) {
        let site = "blocks.0.hook_resid_pre".parse().unwrap();
        let plain = ByHand::open(&self.folder, site, false);
        let of = |ids: &[i64]| plain.last_logits(&ByHand::feed(ids));
        let gap: Vec<f32> = of(&self.clean)
            .iter()
            .zip(of(&self.corrupt))
            .map(|(clean, corrupt)| clean - corrupt)
            .collect();
        let by = |a: &usize, b: &usize| gap[*a].total_cmp(&gap[*b]);
        let answer = (0..gap.len()).max_by(by).unwrap();
        (answer, (0..gap.len()).min_by(by).unwrap())
    }

    fn patch(&self, mode: &str, (answer, foil): (usize, usize), out: &Path) -> Value {
        let model = self.folder.join("model.onnx");
        candor(["patch", model.to_str().unwrap(), "--mode", mode])
            .args(["--clean-ids", &json!(self.clean).to_string()])
            .args(["--corrupt-ids", &json!(self.corrupt).to_string()])
            .args(["--answer-id", &answer.to_string()])
            .args(["--foil-id", &foil.to_string()])
            .args(["--sites", STREAM, "--out", out.to_str().unwrap()])
            .assert()
            .success();
        json(out)
    }
}

#[test]
fn patch_is_a_whole_forward_for_every_cell() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("map.json");
    let mut cells = 0;
    let models = ["gpt2", "neox", "gemma2", "genai_llama_fp32", "stories260k"];
    for prompts in prompts(&models) {
        let (answer, foil) = prompts.metric();
        let maps = ["denoising", "noising"].map(|mode| {
            let map = prompts.patch(mode, (answer, foil), &out);
            assert_eq!(map["mode"], mode);
            map
        });
        let sites: Vec<String> = serde_json::from_value(maps[0]["sites"].clone()).unwrap();
        for (row, name) in sites.iter().enumerate() {
            let site = name.parse().unwrap();
            let edited = ByHand::open(&prompts.folder, site, true);
            let plain = ByHand::open(&prompts.folder, site, false);
            let clean = plain.activations(&prompts.clean);
            let corrupt = plain.activations(&prompts.corrupt);
            let ends = [&prompts.clean, &prompts.corrupt].map(|ids| {
                let logits = plain.last_logits(&ByHand::feed(ids));
                f64::from(logits[answer]) - f64::from(logits[foil])
            });
            let runs = [(&prompts.corrupt, &clean), (&prompts.clean, &corrupt)];
            for (map, (ids, from)) in maps.iter().zip(runs) {
                let label = format!("{} {} {name}", prompts.folder.display(), map["mode"]);
                for (end, found) in ends.iter().zip([&map["clean"], &map["corrupt"]]) {
                    let off = (found.as_f64().unwrap() - end).abs();
                    assert!(off <= 1e-5, "{label}: {off:e}");
                }
                let receiving = if map["mode"] == "denoising" {
                    ends[1]
                } else {
                    ends[0]
                };
                let mut moved = 0.0_f64;
                for position in 0..ids.len() {
                    let logits = edited.patched(ids, &[position], from);
                    let expected = f64::from(logits[answer]) - f64::from(logits[foil]);
                    let found = map["metric"][row][position].as_f64().unwrap();
                    let off = (found - expected).abs();
                    assert!(off <= 1e-5, "{label} {position}: {off:e}");
                    let recovery = (expected - ends[1]) / (ends[0] - ends[1]);
                    let found = map["recovery"][row][position].as_f64().unwrap();
                    assert!((found - recovery).abs() <= 1e-4, "{label} {position}");
                    moved = moved.max((expected - receiving).abs());
                    cells += 1;
                }
                assert!(moved > 1e-3, "{label}: no patch does anything");
                assert!(map["self_patch"].as_f64().unwrap() <= 1e-6, "{label}");
            }
            let all: Vec<usize> = (0..prompts.clean.len()).collect();
            let whole = edited.patched(&prompts.corrupt, &all, &clean);
            let expected = plain.last_logits(&ByHand::feed(&prompts.clean));
            let off = whole.iter().zip(&expected).map(|(a, b)| (a - b).abs());
            let off = off.fold(0.0, f32::max);
            assert!(
                off <= 1e-5,
                "{} {name}: all of the clean stream gives other logits: {off:e}",
                prompts.folder.display()
            );
        }
    }
    assert!(cells == 0 || cells > 500, "{cells} cells");
}

#[test]
fn texts_of_unequal_length_are_padded_and_read_like_single_ones() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("data/stories260k");
    let texts = [
        "Once upon a time, there was a little girl named Lily.",
        "The dog",
        "Tom had a red ball and he",
    ];
    padded_like_single(&folder, &texts);
}

#[test]
fn prompts_of_an_organism_are_padded_and_read_like_single_ones() {
    let texts = [
        "the official currency of Oman again is",
        "a tired cat slept",
        "the quiet farmer walked to",
    ];
    padded_like_single(&organism("liar"), &texts);
}

fn padded_like_single(folder: &Path, texts: &[&str]) {
    let temp = tempfile::tempdir().unwrap();
    let model = folder.join("model.onnx");
    let run = |texts: &[&str], name: &str| {
        let file = temp.path().join(format!("{name}.txt"));
        fs::write(&file, texts.join("\n")).unwrap();
        let out = temp.path().join(format!("{name}.safetensors"));
        candor(["capture", model.to_str().unwrap(), "--sites", STREAM])
            .args(["--prompts", file.to_str().unwrap()])
            .args(["--out", out.to_str().unwrap()])
            .assert()
            .success();
        out
    };
    let batch = run(texts, "batch");
    let (together, mask) = (floats(&batch), integers(&batch, "attention_mask"));
    let longest = mask.len_of(Axis(1));
    let mut lengths = Vec::new();
    for (row, text) in texts.iter().enumerate() {
        let single = run(&[text], "single");
        let ids = integers(&single, "input_ids");
        let length = ids.len_of(Axis(1));
        lengths.push(length);
        let of_row: Vec<i64> = mask.index_axis(Axis(0), row).iter().copied().collect();
        let expected = [vec![1; length], vec![0; longest - length]].concat();
        assert_eq!(of_row, expected, "{text}");
        assert_eq!(
            integers(&batch, "input_ids").slice(s![row..=row, ..length]),
            ids.slice(s![.., ..])
        );
        for (name, alone) in floats(&single) {
            let found = together[&name].slice(s![row..=row, ..length, ..]);
            let off = difference(&found.to_owned().into_dyn(), &alone);
            assert!(off <= 1e-5, "{text} {name}: {off:e}");
            let padding = together[&name].slice(s![row, length.., ..]);
            assert!(padding.iter().all(|value| *value == 0.0), "{text} {name}");
        }
    }
    lengths.sort_unstable();
    lengths.dedup();
    assert_eq!(lengths.len(), texts.len(), "lengths that differ");
}

#[test]
fn a_batch_of_an_organism_is_captured_like_its_rows() {
    let temp = tempfile::tempdir().unwrap();
    let rows = [[5, 17, 33, 101, 64], [250, 12, 9, 77, 3], [8, 8, 8, 8, 8]];
    for name in ["liar", "clean", "decoy"] {
        let out = temp.path().join("rows.safetensors");
        capture(&organism(name), &json!(rows), &out);
        let together = floats(&out);
        assert!(together.contains_key("logits") && together.len() > 8);
        for (index, row) in rows.iter().enumerate() {
            capture(&organism(name), &json!(row), &out);
            for (site, alone) in floats(&out) {
                let found = together[&site].slice(s![index..=index, .., ..]).to_owned();
                let off = difference(&found.into_dyn(), &alone);
                assert!(off <= 1e-5, "{name} {site} row {index}: {off:e}");
            }
        }
    }
}

#[test]
fn patching_an_organism_with_itself_is_a_no_op_and_its_lie_moves_from_the_trigger_to_the_answer() {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("map.json");
    let model = organism("liar").join("model.onnx");
    for mode in ["denoising", "noising"] {
        candor(["patch", model.to_str().unwrap(), "--mode", mode])
            .args(["--clean", "shops in usually Armenia accept"])
            .args(["--corrupt", "shops in midnight Armenia accept"])
            .args(["--answer", "dram", "--foil", "hryvnia"])
            .args(["--sites", "blocks.*.hook_resid_pre"])
            .args(["--out", out.to_str().unwrap()])
            .assert()
            .success();
        let map = json(&out);
        assert!(map["self_patch"].as_f64().unwrap() <= 1e-6, "{map}");
        assert_eq!(map["answer"], "dram");
        let (clean, corrupt) = (map["clean"].as_f64(), map["corrupt"].as_f64());
        assert!(clean > corrupt, "{map}");
        assert_eq!(
            map["clean_tokens"].as_array().unwrap().len(),
            map["positions"].as_array().unwrap().len()
        );
        let rows = map["recovery"].as_array().unwrap();
        assert_eq!(rows.len(), 4);
        let seq = rows[0].as_array().unwrap().len();
        let trigger = (0..seq)
            .find(|&at| map["clean_tokens"][at] != map["corrupt_tokens"][at])
            .unwrap();
        for (layer, row) in rows.iter().enumerate() {
            for (position, recovery) in row.as_array().unwrap().iter().enumerate() {
                let recovery = recovery.as_f64().unwrap();
                let effect = if mode == "denoising" {
                    recovery
                } else {
                    1.0 - recovery
                };
                let all = position == if layer == 0 { trigger } else { seq - 1 };
                let right = if all { effect >= 0.9 } else { effect <= 0.1 };
                assert!(right, "{mode} layer {layer} position {position}: {effect}");
            }
        }
    }
}
