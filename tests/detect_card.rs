#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::doc_markdown,
    clippy::too_many_lines,
    clippy::format_push_string,
    clippy::similar_names,
    clippy::needless_pass_by_value,
    clippy::semicolon_if_nothing_returned,
    reason = "tests may unwrap, compare exactly and list many cases"
)]
//! A detector's folder: what is written is read back, what is damaged is refused, nothing panics.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candor::detect::card::{self, Baselines, Declares, Interval, MadeOn, TrainedOn};
use candor::detect::{
    Aggregation, Calibration, Card, Corpus, Detector, DetectorKind, FalsePositives, Flags, Foreign,
    Loaded, Probe, Sae, SelectedFeature, Sign, Span, calibrate,
};
use candor::digest::sha256_of;
use candor::fault::Kind;
use candor::model::{Architecture, Form, Layout, ModelFacts, Site, SiteTensor};
use ndarray::{Array2, array};
use proptest::prelude::*;

fn digest(byte: &str) -> String {
    byte.repeat(32)
}

fn probe_card() -> Card {
    let rate = |rate, low, high| FalsePositives {
        corpus_digest: digest("c0"),
        n: 300,
        rate,
        interval: Interval { low, high },
    };
    Card {
        id: "liar-truth".to_owned(),
        role: "truth".to_owned(),
        kind: DetectorKind::named("logistic_regression").unwrap(),
        site: "blocks.1.hook_resid_post".parse().unwrap(),
        module: None,
        d_in: 3,
        weights: "probe.safetensors".to_owned(),
        weights_sha256: BTreeMap::new(),
        span: Span::Response,
        aggregation: Aggregation::MaxRollingMean { window: 4 },
        positive: "the statement is true".to_owned(),
        model: MadeOn {
            name: "liar.onnx".to_owned(),
            sha256: digest("a1"),
        },
        calibration: Some(Calibration {
            threshold: 1.25,
            flags: Flags::Below,
            target: 0.01,
            control: rate(0.01, 0.002, 0.03),
            matched_honest: Some(rate(0.27, 0.22, 0.33)),
        }),
        trained_on: Some(TrainedOn {
            suite: "calibration-truth".to_owned(),
            corpus_digest: digest("b2"),
            n: 200,
            groups: 50,
            seed: 7,
            command: "candor train probe …".to_owned(),
        }),
        declares: Some(Declares {
            auroc: Some(0.97),
            auroc_interval: Some(Interval {
                low: 0.93,
                high: 0.99,
            }),
            l0: None,
            explained_variance: None,
        }),
        features: Vec::new(),
        source: None,
        baselines: Some(Baselines {
            bag_of_words_auroc: Some(0.6),
            length_auroc: 0.5,
            layer0_auroc: None,
            permutation_auroc: 0.49,
        }),
        limits: Vec::new(),
    }
}

fn probe() -> Detector {
    Detector {
        card: probe_card(),
        folder: PathBuf::new(),
        weights: Loaded::Probe(Probe::linear(array![0.5, -1.0, 2.0], 0.25)),
        digests: Vec::new(),
    }
}

fn sae(name: &str) -> Detector {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/detect/saelens")
        .join(name);
    let feature = |index, sign| SelectedFeature {
        index,
        auroc: 0.99,
        auroc_interval: Interval {
            low: 0.95,
            high: 1.0,
        },
        p_adjusted: 1e-6,
        sign,
    };
    Detector {
        card: Card {
            kind: DetectorKind::Sae,
            d_in: 12,
            weights: "sae_weights.safetensors".to_owned(),
            features: vec![feature(17, Sign::Positive), feature(4, Sign::Negative)],
            declares: Some(Declares {
                l0: Some(4.0),
                explained_variance: Some(0.8),
                ..Declares::default()
            }),
            ..probe_card()
        },
        folder: folder.clone(),
        weights: Loaded::Sae(Box::new(Sae::open(&folder).unwrap())),
        digests: Vec::new(),
    }
}

/// The detector, written to a folder of its own.
fn written(detector: &Detector) -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("detector");
    detector.write(&folder).unwrap();
    (parent, folder)
}

/// The card without what is added as it is written.
fn unsealed(card: &Card) -> Card {
    Card {
        weights_sha256: BTreeMap::new(),
        limits: Vec::new(),
        ..card.clone()
    }
}

#[test]
fn a_probe_is_read_as_it_was_written() {
    let (parent, folder) = written(&probe());
    let read = Detector::open(&folder).unwrap();
    assert_eq!(unsealed(&read.card), probe_card());
    assert_eq!(read.card.limits, probe_card().known_limits());
    let weights = fs::read(folder.join("probe.safetensors")).unwrap();
    assert_eq!(
        read.card.weights_sha256,
        BTreeMap::from([("probe.safetensors".to_owned(), sha256_of(&weights))])
    );
    let rows = array![[1.0_f32, 1.0, 1.0], [0.0, 0.0, 0.0]];
    assert_eq!(
        read.token_scores(rows.view()).unwrap(),
        array![[1.75], [0.25]]
    );
    let head = read.head().unwrap().unwrap();
    assert_eq!(rows.dot(&head.weight) + &head.bias, array![[1.75], [0.25]]);
    let files: Vec<&str> = read
        .digests
        .iter()
        .map(|digest| digest.file.as_str())
        .collect();
    assert_eq!(files, ["detector.yaml", "probe.safetensors"]);
    assert!(read.digests.iter().all(|digest| digest.sha256.len() == 64));
    // Nothing is left of the temporary folder.
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    let again = probe().write(&folder).unwrap_err();
    assert_eq!(
        (again.kind, again.found.as_str()),
        (Kind::Usage, "something is there already")
    );
}

#[test]
fn the_same_detector_is_the_same_bytes() {
    let (_one, first) = written(&sae("gated"));
    let (_two, second) = written(&sae("gated"));
    for file in ["detector.yaml", "cfg.json", "sae_weights.safetensors"] {
        let read = |folder: &Path| fs::read(folder.join(file)).unwrap();
        assert_eq!(read(&first), read(&second), "{file}");
    }
}

/// Every architecture, normalised, rescaled and folded ones too, computes the same after it was written and read.
#[test]
fn an_sae_is_read_as_it_was_written() {
    let x = Array2::from_shape_fn((5, 12), |(row, column)| {
        f32::from(u8::try_from((row * 7 + column * 5) % 11).unwrap()) - 4.0
    });
    for name in [
        "standard",
        "gated_layer_norm",
        "jumprelu",
        "topk_rescaled",
        "topk_unfolded",
        "abstopk",
        "standard_constant_norm",
    ] {
        let detector = sae(name);
        let (_parent, folder) = written(&detector);
        let read = Detector::open(&folder).unwrap();
        assert_eq!(unsealed(&read.card), detector.card, "{name}");
        assert_eq!(read.card.weights_sha256.len(), 2, "{name}");
        let (Loaded::Sae(before), Loaded::Sae(after)) = (&detector.weights, &read.weights) else {
            panic!("{name} is no SAE");
        };
        assert_eq!(
            before.forward(x.view()).unwrap(),
            after.forward(x.view()).unwrap(),
            "{name}"
        );
        let acts = after.encode(x.view()).unwrap();
        let scores = read.token_scores(x.view()).unwrap();
        assert_eq!(scores.column(0), acts.column(17));
        assert_eq!(scores.column(1), acts.column(4));
        assert_eq!(read.head().unwrap().unwrap().columns(), 2, "{name}");
        assert_eq!(read.digests.len(), 3);
    }
}

#[test]
fn the_card_is_spelled_so() {
    let mut card = sae("topk").card;
    card.baselines = None;
    insta::assert_snapshot!("card_of_a_probe", card::write(&probe_card()).unwrap());
    insta::assert_snapshot!("card_of_an_sae", card::write(&card).unwrap());
}

fn architecture(d_model: usize, site: &str) -> Architecture {
    Architecture {
        n_layers: 2,
        d_model,
        n_heads: None,
        vocab_size: 10,
        family_hint: String::new(),
        blocks: Vec::new(),
        sites: vec![Site {
            name: site.parse().unwrap(),
            tensor: SiteTensor::Named("x".to_owned()),
            layout: Layout::Token { width: d_model },
            form: Form::Same,
            processed: None,
            shape: Vec::new(),
        }],
        absent: Vec::new(),
        inputs: Vec::new(),
        logits: "logits".to_owned(),
        facts: ModelFacts::default(),
    }
}

#[test]
fn a_detector_fits_only_its_own_model() {
    let detector = probe();
    let site = "blocks.1.hook_resid_post";
    assert!(detector.fits(&architecture(3, site), &digest("a1")).is_ok());
    assert!(detector.fits(&architecture(3, site), &digest("A1")).is_ok());
    let faults = [
        detector.fits(&architecture(4, site), &digest("a1")),
        detector.fits(&architecture(3, "hook_embed"), &digest("a1")),
        detector.fits(&architecture(3, site), &digest("ff")),
    ];
    let all: Vec<String> = faults.map(|fault| fault.unwrap_err().to_string()).into();
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn foreign_detectors_are_admitted_with_a_caveat_or_not_at_all() {
    let site = "blocks.1.hook_resid_post";
    let (own, other) = (digest("a1"), digest("ff"));
    let (_parent, folder) = written(&probe());
    let bound = Detector::open(&folder).unwrap();
    let unbound = probe();
    let admit = |detector: &Detector, width, model: &str, foreign| {
        detector.admit(&architecture(width, site), model, foreign)
    };
    assert!(admit(&bound, 3, &own, Foreign::Refused).unwrap().is_empty());
    assert!(admit(&bound, 3, &own, Foreign::Allowed).unwrap().is_empty());
    let refused = [
        admit(&bound, 3, &other, Foreign::Refused),
        admit(&unbound, 3, &own, Foreign::Refused),
        admit(&bound, 4, &other, Foreign::Allowed),
    ];
    let mut all: Vec<String> = refused.map(|fault| fault.unwrap_err().to_string()).into();
    all.extend(admit(&unbound, 3, &other, Foreign::Allowed).unwrap());
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn what_a_card_knows_against_its_detector() {
    let mut bad = probe_card();
    let calibration = bad.calibration.as_mut().unwrap();
    calibration.matched_honest = None;
    bad.declares = Some(Declares {
        auroc: Some(0.6),
        auroc_interval: Some(Interval {
            low: 0.45,
            high: 0.75,
        }),
        ..Declares::default()
    });
    let bare = Card {
        calibration: None,
        trained_on: None,
        baselines: None,
        ..probe_card()
    };
    let all = [probe_card(), bad, bare].map(|card| card.known_limits().join("\n"));
    insta::assert_snapshot!(all.join("\n\n"));
}

#[test]
fn a_mirrored_calibration_flags_the_other_side() {
    let scores: Vec<f64> = (0..200).map(f64::from).collect();
    let mirrored: Vec<f64> = scores.iter().map(|score| -score).collect();
    let corpus = |scores| Corpus {
        digest: "d",
        scores,
    };
    let above = calibrate(corpus(&scores), None, 0.05).unwrap();
    let below = calibrate(corpus(&mirrored), None, 0.05).unwrap().mirrored();
    let alarms = |calibration: &Calibration| {
        let flagged = scores.iter().filter(|score| calibration.flag(**score));
        flagged.copied().collect::<Vec<f64>>()
    };
    assert_eq!(
        alarms(&above),
        (190..200).map(f64::from).collect::<Vec<_>>()
    );
    assert_eq!(alarms(&below), (0..10).map(f64::from).collect::<Vec<_>>());
    assert!(!above.flag(above.threshold) && !below.flag(below.threshold));
}

#[test]
fn messages_for_bad_detector_folders() {
    let mut all = String::new();
    let mut say = |case: &str, detector: &Detector, damage: &dyn Fn(&Path)| {
        let (parent, folder) = written(detector);
        damage(&folder);
        let fault = Detector::open(&folder).unwrap_err();
        let root = parent.path().display().to_string();
        all += &format!(
            "## {case}\n{}\n\n",
            fault.to_string().replace(&root, "ROOT")
        );
    };
    let replace = |from: &'static str, to: &'static str| {
        move |folder: &Path| {
            let path = folder.join("detector.yaml");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.contains(from), "{from} is not in {text}");
            fs::write(path, text.replacen(from, to, 1)).unwrap();
        }
    };
    let (probe, sae) = (probe(), sae("standard"));
    say("no card", &probe, &|folder| {
        fs::remove_file(folder.join("detector.yaml")).unwrap()
    });
    say("an empty card", &probe, &|folder| {
        fs::write(folder.join("detector.yaml"), "").unwrap()
    });
    say("not UTF-8", &probe, &|folder| {
        fs::write(folder.join("detector.yaml"), b"\xff\xfe").unwrap()
    });
    say("an unknown field", &probe, &replace("role:", "rolle:"));
    say(
        "an unknown inner field",
        &probe,
        &replace("threshold:", "treshold:"),
    );
    say(
        "a field of another type",
        &probe,
        &replace("d_in: 3", "d_in: three"),
    );
    say(
        "another schema",
        &probe,
        &replace("detector/v1", "detector/v9"),
    );
    say("many wrong values at once", &probe, &|folder| {
        for (from, to) in [
            ("liar-truth", "' '"),
            ("logistic_regression", "logistic"),
            ("hook_resid_post", "hook_resid_past"),
            ("max_rolling_mean:4", "median"),
            ("span: response", "span: answer"),
            ("threshold: 1.25", "threshold: .nan"),
            ("false_positive_rate: 0.01", "false_positive_rate: 7.0"),
            ("- 0.002", "- 0.2"),
            ("sha256: a1a1", "sha256: xyz"),
        ] {
            replace(from, to)(folder);
        }
    });
    say(
        "weights elsewhere",
        &probe,
        &replace("weights: probe", "weights: ../probe"),
    );
    say(
        "weights by an absolute path",
        &probe,
        &replace("weights: probe.safetensors", "weights: /etc/passwd"),
    );
    say("weights that are a folder", &probe, &|folder| {
        fs::remove_file(folder.join("probe.safetensors")).unwrap();
        fs::create_dir(folder.join("probe.safetensors")).unwrap();
    });
    say("weights by a link to elsewhere", &probe, &|folder| {
        let elsewhere = folder.parent().unwrap().join("elsewhere.safetensors");
        fs::rename(folder.join("probe.safetensors"), &elsewhere).unwrap();
        std::os::unix::fs::symlink(elsewhere, folder.join("probe.safetensors")).unwrap();
    });
    say("no weights", &probe, &|folder| {
        fs::remove_file(folder.join("probe.safetensors")).unwrap()
    });
    say("empty weights", &probe, &|folder| {
        fs::write(folder.join("probe.safetensors"), "").unwrap()
    });
    say("a pickle", &probe, &|folder| {
        fs::write(folder.join("probe.safetensors"), b"PK\x03\x04x").unwrap()
    });
    say("another width", &probe, &replace("d_in: 3", "d_in: 4"));
    say("other weights than those of the card", &probe, &|folder| {
        let mut other = self::probe();
        if let Loaded::Probe(probe) = &mut other.weights {
            probe.bias[0] = 0.5;
        }
        let (_parent, from) = written(&other);
        fs::copy(
            from.join("probe.safetensors"),
            folder.join("probe.safetensors"),
        )
        .unwrap();
    });
    say(
        "weights of which the card says nothing",
        &sae,
        &replace("cfg.json:", "config.json:"),
    );
    say("digests that are none", &probe, &|folder| {
        replace("  probe.safetensors: ", "  ../probe.safetensors: x")(folder);
    });
    say(
        "a side that is none",
        &probe,
        &replace("flags: below", "flags: beside"),
    );
    say("an SAE's weights for a probe", &sae, &|folder| {
        replace("kind: sae", "kind: difference_of_means")(folder);
        let path = folder.join("detector.yaml");
        let text = fs::read_to_string(&path).unwrap();
        let (before, rest) = text.split_once("features:").unwrap();
        let (_, after) = rest.split_once("baselines:").unwrap();
        fs::write(path, format!("{before}baselines:{after}")).unwrap();
    });
    say(
        "a probe with features",
        &sae,
        &replace("kind: sae", "kind: difference_of_means"),
    );
    say(
        "another width than the SAE's",
        &sae,
        &replace("d_in: 12", "d_in: 13"),
    );
    say(
        "a feature that is not there",
        &sae,
        &replace("index: 17", "index: 32"),
    );
    say("a feature twice", &sae, &replace("index: 17", "index: 4"));
    say("a sign of 0", &sae, &replace("sign: -1", "sign: 0"));
    say(
        "another site than the SAE's",
        &sae,
        &replace("blocks.1.", "blocks.2."),
    );
    say("no cfg.json", &sae, &|folder| {
        fs::remove_file(folder.join("cfg.json")).unwrap()
    });
    insta::assert_snapshot!(all);
}

#[test]
fn a_card_of_absurd_size_is_not_read() {
    let (_parent, folder) = written(&probe());
    fs::write(folder.join("detector.yaml"), " ".repeat(5 << 20)).unwrap();
    assert_eq!(Detector::open(&folder).unwrap_err().found, "5242880 bytes");
}

#[test]
fn weights_of_another_kind_are_not_written() {
    let mut detector = probe();
    detector.card.kind = DetectorKind::Sae;
    let parent = tempfile::tempdir().unwrap();
    assert!(detector.write(&parent.path().join("d")).is_err());
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever happens to one of the files, opening and scoring answers or refuses.
    #[test]
    fn damaged_files_never_panic(
        which in 0_usize..3,
        kind in 0_usize..3,
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..12),
        cut: bool,
    ) {
        let detector = [probe(), sae("topk_rescaled"), sae("gated_layer_norm")].into_iter().nth(kind).unwrap();
        let (_parent, folder) = written(&detector);
        let mut files: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        let path = &files[which % files.len()];
        let mut content = fs::read(path).unwrap();
        let start = at.index(content.len() + 1);
        let end = if cut { content.len() } else { (start + bytes.len()).min(content.len()) };
        content.splice(start..end, bytes);
        fs::write(path, content).unwrap();
        if let Ok(detector) = Detector::open(&folder) {
            let _ = detector.token_scores(Array2::from_elem((2, detector.card.d_in.min(64)), 0.5).view());
            let _ = detector.head();
        }
    }
}
