//! Models with the scores of their detectors as one more output: written, opened and run by plain sessions.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on says so, and what it measured"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candor::detect::card::{Interval, MadeOn};
use candor::detect::{
    Aggregation, Calibration, Card, Detector, DetectorKind, FalsePositives, Flags, Loaded, Probe,
    Sae, SelectedFeature, Sign, Span,
};
use candor::fault::Result;
use candor::lab::{Monitored, SCORES, Weights, capture, drift, monitor};
use candor::model::{Architecture, DataCopy, Model, Point, SiteName};
use candor::run::{Cache, Feed, Runtime, RuntimeOptions, Session};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, s};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn runtime() -> Runtime {
    Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap()
}

fn card(id: &str, site: SiteName, d_in: usize, sha256: &str) -> Card {
    let rate = FalsePositives {
        corpus_digest: "0".repeat(64),
        n: 100,
        rate: 0.01,
        interval: Interval {
            low: 0.0,
            high: 0.05,
        },
    };
    Card {
        id: id.into(),
        role: "condition".into(),
        kind: DetectorKind::named("difference_of_means").unwrap(),
        site,
        module: None,
        d_in,
        weights: "weights.safetensors".into(),
        weights_sha256: BTreeMap::new(),
        span: Span::Response,
        aggregation: Aggregation::Mean,
        positive: "more of it".into(),
        model: MadeOn {
            name: "model".into(),
            sha256: sha256.into(),
        },
        calibration: Some(Calibration {
            threshold: 0.25,
            flags: Flags::Above,
            target: 0.01,
            control: rate,
            matched_honest: None,
        }),
        trained_on: None,
        declares: None,
        features: vec![],
        baselines: None,
        limits: Vec::new(),
        source: None,
    }
}

fn probe(sha256: &str, site: SiteName, width: usize) -> Detector {
    let wave = |at: usize| (f32::from(u8::try_from(at).unwrap()) * 0.7).sin();
    Detector {
        card: card(&format!("probe at {site}"), site, width, sha256),
        folder: PathBuf::new(),
        weights: Loaded::Probe(Probe::linear(Array1::from_shape_fn(width, wave), -0.5)),
        digests: vec![],
    }
}

fn features(sha256: &str, case: &str, sign: Sign) -> Detector {
    let sae = Sae::open(&fixtures().join("detect/graph").join(case)).unwrap();
    let site = sae.config().hook_name.as_deref().unwrap().parse().unwrap();
    let feature = |index| SelectedFeature {
        index,
        auroc: 0.9,
        auroc_interval: Interval {
            low: 0.8,
            high: 1.0,
        },
        p_adjusted: 0.001,
        sign,
    };
    Detector {
        card: Card {
            kind: DetectorKind::Sae,
            features: vec![feature(9), feature(2)],
            ..card(case, site, sae.d_in(), sha256)
        },
        weights: Loaded::Sae(Box::new(sae)),
        ..probe(sha256, site, 32)
    }
}

struct Bench {
    model: Model,
    arch: Architecture,
    detectors: Vec<Detector>,
}

impl Bench {
    fn new(path: &Path) -> Self {
        let model = Model::open(path).unwrap();
        let arch = Architecture::find(&model).unwrap();
        let sha256 = model.digests().unwrap()[0].sha256.clone();
        let mid = SiteName::block(0, Point::ResidPost);
        let mut detectors = vec![probe(&sha256, mid, arch.d_model)];
        if arch.d_model == 32 {
            detectors.push(features(&sha256, "topk", Sign::Negative));
            detectors.push(features(&sha256, "topk_layer_norm", Sign::Positive));
            detectors.push(features(&sha256, "batchtopk", Sign::Positive));
            detectors.push(features(&sha256, "topk_hook_z", Sign::Positive));
            detectors.retain(|detector| arch.site(detector.card.site).is_some());
        }
        let last = SiteName::block(1, Point::ResidPost);
        detectors.push(probe(&sha256, last, arch.d_model));
        Self {
            model,
            arch,
            detectors,
        }
    }

    fn write(&self, monitored: &Monitored, out: &Path, weights: Weights) -> Result<Vec<DataCopy>> {
        monitored.place(&self.model, out, weights)?.write()
    }

    fn monitored(&self) -> Monitored {
        let files = self.model.digests().unwrap();
        monitor(&self.model, &self.arch, &files, &self.detectors).unwrap()
    }

    /// What detect makes of the captured activations: `[tokens, detectors]`.
    fn scores(&self, ids: &[i64]) -> Array2<f32> {
        let mut all = Array2::zeros((ids.len(), self.detectors.len()));
        for (mut column, detector) in all.axis_iter_mut(Axis(1)).zip(&self.detectors) {
            let site = detector.card.site;
            let captured = capture(
                &runtime(),
                &self.model,
                &self.arch,
                &[ids.to_vec()],
                &[site],
            )
            .unwrap();
            let values: Vec<f32> = captured.tensors[0].1.iter().copied().collect();
            let rows = Array2::from_shape_vec((ids.len(), detector.card.d_in), values).unwrap();
            let scores = detector.token_scores(rows.view()).unwrap();
            let sign = detector
                .card
                .features
                .first()
                .map_or(1.0, |f| f.sign.factor());
            #[allow(clippy::cast_possible_truncation, reason = "1 or −1")]
            column.assign(&(&scores.column(0) * sign as f32));
        }
        all
    }
}

#[track_caller]
fn close(found: &Array2<f32>, expected: &Array2<f32>, tolerance: f32, what: &str) {
    assert_eq!(found.dim(), expected.dim(), "{what}");
    for (column, (found, expected)) in found
        .axis_iter(Axis(1))
        .zip(expected.axis_iter(Axis(1)))
        .enumerate()
    {
        let largest = expected.iter().fold(0.1_f32, |most, x| most.max(x.abs()));
        for (found, expected) in found.iter().zip(&expected) {
            let off = (found - expected).abs() / largest;
            assert!(
                off <= tolerance,
                "{what}, column {column}: {found} {expected}"
            );
        }
    }
}

fn session(path: &Path, arch: &Architecture) -> Session {
    let bytes = fs::read(path).unwrap();
    Session::open(&runtime(), &bytes, path.parent().unwrap(), arch).unwrap()
}

fn scored(session: &Session, ids: &[i64]) -> Array2<f32> {
    let ids = Array1::from(ids.to_vec()).insert_axis(Axis(0));
    let outputs = session.run(&Feed::unpadded(ids), &[SCORES]).unwrap();
    of_row(&outputs[SCORES])
}

fn of_row(scores: &ArrayD<f32>) -> Array2<f32> {
    let scores: Array3<f32> = scores.clone().into_dimensionality().unwrap();
    assert_eq!(scores.dim().0, 1);
    scores.index_axis(Axis(0), 0).to_owned()
}

const IDS: [i64; 7] = [5, 60, 17, 33, 8, 8, 41];

#[test]
fn a_plain_session_gives_the_scores_and_the_models_own_outputs() {
    let temp = tempfile::tempdir().unwrap();
    for (path, half) in [
        ("export/models/gpt2.external-offsets/model.onnx", false),
        ("export/models/gpt2.fused/model.onnx", false),
        ("export/models/gpt2.cache-in/model.onnx", false),
        ("export/models/llama.positions-23/model.onnx", false),
        ("export/models/llama.functions/model.onnx", false),
        ("export/models/gpt2.qdq/model.onnx", false),
        ("export/models/gpt2.fp16-converted-io/model.onnx", true),
        ("export/models/llama.fp16/model.onnx", true),
        ("run/kv_rotary.onnx", false),
        ("run/kv_learned.onnx", false),
    ] {
        let bench = Bench::new(&fixtures().join(path));
        let monitored = bench.monitored();
        let names = |values: &[candor::model::onnx::ValueInfoProto]| -> Vec<String> {
            values.iter().map(|value| value.name().to_owned()).collect()
        };
        let (before, after) = (bench.model.graph(), monitored.proto.graph.as_ref().unwrap());
        assert_eq!(before.input, after.input, "{path}");
        assert_eq!(
            before.output[..],
            after.output[..before.output.len()],
            "{path}"
        );
        let expected = [names(&before.output), vec![SCORES.to_owned()]].concat();
        assert_eq!(names(&after.output), expected, "{path}");

        let bytes = monitored.encode().unwrap();
        let drift = drift(&runtime(), &bench.model, &bench.arch, &bytes).unwrap();
        assert_eq!(drift.compared, drift.outputs, "{path}");
        // Another reader may keep the runtime from fusing a sum with the norm behind it, which rounds otherwise.
        let allowed = if half { 2e-3 } else { 1e-6 };
        println!("{path}: {drift:?}");
        assert!(drift.relative <= allowed, "{path}: {drift:?}");

        let out = temp
            .path()
            .join(path.replace('/', "-"))
            .join("monitored.onnx");
        bench.write(&monitored, &out, Weights::Copied).unwrap();
        // Whoever reads the file anew finds the same model in it.
        let arch = Architecture::find(&Model::open(&out).unwrap()).unwrap();
        assert_eq!(arch.logits, bench.arch.logits, "{path}");
        let found = scored(&session(&out, &arch), &IDS);
        let tolerance = if half { 5e-3 } else { 1e-5 };
        close(&found, &bench.scores(&IDS), tolerance, path);
    }
}

/// With a cache there are scores of the new tokens alone.
#[test]
fn scores_of_new_tokens_come_with_the_cache() {
    let temp = tempfile::tempdir().unwrap();
    for path in ["run/kv_rotary.onnx", "run/kv_learned.onnx"] {
        let bench = Bench::new(&fixtures().join(path));
        let out = temp.path().join(path.replace('/', "-"));
        bench
            .write(&bench.monitored(), &out, Weights::Shared)
            .unwrap();
        let session = session(&out, &bench.arch);
        let whole = scored(&session, &IDS);
        let mut cache = Cache::new();
        let mut seen = 0;
        for tokens in [&IDS[..4], &IDS[4..5], &IDS[5..]] {
            let ids = Array1::from(tokens.to_vec()).insert_axis(Axis(0));
            let mut read = None;
            session
                .extend(&mut cache, &Feed::unpadded(ids), &[SCORES], |_, values| {
                    read = Some(of_row(&values.to_owned()));
                    Ok(())
                })
                .unwrap();
            let expected = whole.slice(s![seen..seen + tokens.len(), ..]).to_owned();
            close(&read.unwrap(), &expected, 1e-5, path);
            seen += tokens.len();
        }
    }
}

#[test]
fn the_file_says_what_its_columns_are() {
    let bench = Bench::new(&fixtures().join("export/models/gpt2.fused/model.onnx"));
    let monitored = bench.monitored();
    let entry = |key: &str| {
        let mut entries = monitored.proto.metadata_props.iter();
        entries
            .find(|entry| entry.key() == key)
            .unwrap()
            .value()
            .to_owned()
    };
    assert_eq!(entry("candor.output"), SCORES);
    let columns: serde_json::Value = serde_json::from_str(&entry("candor.detectors")).unwrap();
    let model: serde_json::Value = serde_json::from_str(&entry("candor.model")).unwrap();
    assert_eq!(model[0]["sha256"], bench.model.digests().unwrap()[0].sha256);
    insta::assert_snapshot!(serde_json::to_string_pretty(&columns).unwrap());
}

/// `part0.data` and `part1.data` beside the model.
fn with_data(folder: &Path) -> PathBuf {
    fs::create_dir_all(folder).unwrap();
    let from = fixtures().join("export/models/gpt2.external-offsets");
    for file in ["model.onnx", "part0.data", "part1.data"] {
        fs::copy(from.join(file), folder.join(file)).unwrap();
    }
    folder.join("model.onnx")
}

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn weights_are_named_where_they_lie() {
    let temp = tempfile::tempdir().unwrap();
    let model = with_data(&temp.path().join("above/models"));
    let bench = Bench::new(&model);
    let monitored = bench.monitored();
    let expected = bench.scores(&IDS);
    for out in [
        "above/models/monitored.onnx",
        "above/monitored.onnx",
        "monitored.onnx",
    ] {
        let out = temp.path().join(out);
        let copied = bench.write(&monitored, &out, Weights::Shared).unwrap();
        assert_eq!(copied, []);
        close(
            &scored(&session(&out, &bench.arch), &IDS),
            &expected,
            1e-5,
            "shared",
        );
    }
    assert_eq!(
        files(&temp.path().join("above")),
        ["models", "monitored.onnx"]
    );

    let elsewhere = temp.path().join("served");
    let out = elsewhere.join("monitored.onnx");
    let refused = bench.write(&monitored, &out, Weights::Shared).unwrap_err();
    assert!(!out.exists());
    for copies in [2, 0] {
        let copied = bench.write(&monitored, &out, Weights::Copied).unwrap();
        assert_eq!(
            copied.len(),
            copies,
            "what is there already is not copied again"
        );
    }
    assert_eq!(
        files(&elsewhere),
        ["monitored.onnx", "part0.data", "part1.data"]
    );
    // Without the model.
    fs::rename(temp.path().join("above"), temp.path().join("gone")).unwrap();
    close(
        &scored(&session(&out, &bench.arch), &IDS),
        &expected,
        1e-5,
        "copied",
    );
    fs::rename(temp.path().join("gone"), temp.path().join("above")).unwrap();

    fs::write(elsewhere.join("part1.data"), "something else").unwrap();
    fs::remove_file(&out).unwrap();
    let in_the_way = bench.write(&monitored, &out, Weights::Copied).unwrap_err();
    assert!(!out.exists());
    let itself = bench
        .write(&monitored, &model, Weights::Shared)
        .unwrap_err();
    let data = model.with_file_name("part0.data");
    let its_data = bench.write(&monitored, &data, Weights::Shared).unwrap_err();
    assert_eq!(fs::read(&model).unwrap().len(), 23554);
    let said = [refused, in_the_way, itself, its_data].map(|fault| fault.to_string());
    let folder = temp.path().canonicalize().unwrap();
    let said = said.join("\n").replace(folder.to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!(said.replace(temp.path().to_str().unwrap(), "FOLDER"));
}

/// As in a Hugging Face cache: what is opened are links alone.
#[cfg(unix)]
#[test]
fn weights_behind_links_are_copied_or_refused() {
    use std::os::unix::fs::symlink;
    let temp = tempfile::tempdir().unwrap();
    let blobs = temp.path().join("blobs");
    with_data(&blobs);
    let snapshot = temp.path().join("snapshots/main");
    fs::create_dir_all(&snapshot).unwrap();
    for file in ["model.onnx", "part0.data", "part1.data"] {
        symlink(blobs.join(file), snapshot.join(file)).unwrap();
    }
    let bench = Bench::new(&snapshot.join("model.onnx"));
    let monitored = bench.monitored();
    let beside = snapshot.join("monitored.onnx");
    let refused = bench.write(&monitored, &beside, Weights::Shared);
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("outside that folder")
    );
    let out = temp.path().join("served/monitored.onnx");
    assert_eq!(
        bench
            .write(&monitored, &out, Weights::Copied)
            .unwrap()
            .len(),
        2
    );
    let found = scored(&session(&out, &bench.arch), &IDS);
    close(&found, &bench.scores(&IDS), 1e-5, "copied");
}

#[test]
fn what_cannot_be_monitored_is_refused() {
    let path = fixtures().join("export/models/gpt2.fused/model.onnx");
    let refused = |change: &dyn Fn(&mut Vec<Detector>)| {
        let mut bench = Bench::new(&path);
        change(&mut bench.detectors);
        let files = bench.model.digests().unwrap();
        monitor(&bench.model, &bench.arch, &files, &bench.detectors)
            .unwrap_err()
            .to_string()
    };
    let bench = Bench::new(&path);
    let twice = Model::from_bytes(bench.monitored().encode().unwrap().into(), &path).unwrap();
    let files = twice.digests().unwrap();
    let monitored = monitor(&twice, &bench.arch, &files, &bench.detectors).unwrap_err();
    let messages = [
        refused(&Vec::clear),
        refused(&|detectors| detectors[1].card.id = detectors[0].card.id.clone()),
        refused(&|detectors| detectors[1].card.features.clear()),
        refused(&|detectors| detectors[0].card.model.sha256 = "f".repeat(64)),
        monitored.to_string(),
    ];
    insta::with_settings!({filters => vec![(r"[0-9a-f]{64}", "SHA-256")]}, {
        insta::assert_snapshot!(messages.join("\n"));
    });
}
