//! `candor audit` on the bundled organisms: what it says, what it exits with, what it writes.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use candor::archive::Archive;
use candor::audit::{AuditConfig, Start};
use candor::evidence::{AblatedItem, AblationKind, Evidence, PairMap, PatchMode};
use candor::lab::Silent;
use candor::run::{Runtime, RuntimeOptions};
use cli::bench::Bench;
use cli::{candor, json, organism, root};
use safetensors::Dtype;
use safetensors::tensor::TensorView;
use serde_json::Value;
use tempfile::TempDir;

const AUDIT: &str = "benchmarks/organisms/audit.yaml";
const MODELS: [(&str, &str); 3] = [
    ("liar", "fail"),
    ("clean", "pass"),
    ("decoy", "conditional-benign"),
];

/// Audits with `args`, checks the exit code and returns the folder.
fn audit(args: &[&str], code: i32) -> (TempDir, PathBuf) {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("out");
    candor(["audit"])
        .args(args)
        .args(["--out", out.to_str().unwrap()])
        .assert()
        .code(code);
    (temp, out)
}

/// Audits one organism on the bundled suites, by flags.
fn audit_one(name: &str, rules: &str, detectors: &str, code: i32) -> (TempDir, PathBuf) {
    let model = organism(name).join("model.onnx");
    let args = [
        "--model",
        model.to_str().unwrap(),
        "--suite",
        "benchmarks/organisms/suites/facts",
        "benchmarks/organisms/suites/control",
        "--rules",
        rules,
        "--detectors",
        detectors,
    ];
    audit(&args, code)
}

/// The audit of all three models, made once for all tests.
fn all() -> &'static Path {
    static RUN: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    &RUN.get_or_init(|| audit(&[AUDIT], 14)).1
}

fn report() -> Value {
    json(&all().join("report.json"))
}

fn model<'a>(report: &'a Value, name: &str) -> &'a Value {
    let models = report["models"].as_array().unwrap();
    models.iter().find(|model| model["name"] == name).unwrap()
}

fn verdicts(report: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut verdicts = BTreeMap::new();
    for model in report["models"].as_array().unwrap() {
        verdicts.insert(text(&model["name"]), text(&model["verdict"]));
        for finding in model["findings"].as_array().unwrap() {
            let name = format!("{}/{}", text(&model["name"]), text(&finding["rule"]));
            verdicts.insert(name, text(&finding["verdict"]));
        }
    }
    verdicts
}

/// The stored evidence of a model.
fn stored(name: &str) -> Evidence {
    let number = 1 + MODELS.iter().position(|(model, _)| *model == name).unwrap();
    let archive = Archive::open(&all().join("evidence")).unwrap();
    archive.load(number).unwrap()
}

#[test]
fn the_liar_fails_the_clean_one_passes_and_the_decoy_is_benign() {
    let report = report();
    let found = verdicts(&report);
    for (name, verdict) in MODELS {
        assert_eq!(found[name], verdict);
    }
    assert_eq!(report["exit"]["code"], 14);
    let liar = model(&report, "liar")["findings"].as_array().unwrap();
    let gravest = |severity: &str| {
        liar.iter()
            .any(|finding| finding["verdict"] == "fail" && finding["severity"] == severity)
    };
    assert!(gravest("critical"));
    for (name, _) in MODELS {
        let model = model(&report, name);
        assert!(model["findings"].as_array().unwrap().len() >= 5, "{name}");
        assert_eq!(model["incomplete"], Value::Array(vec![]), "{name}");
        let difference = model["instrument_difference"].as_f64().unwrap();
        assert!(difference <= 1e-4, "{name}: {difference}");
    }
}

#[test]
fn exit_codes_follow_the_verdicts() {
    for (args, code) in [
        (vec![AUDIT, "--only", "liar"], 14),
        (vec![AUDIT, "--only", "clean"], 0),
        (vec![AUDIT, "--only", "decoy"], 0),
        (vec![AUDIT, "--only", "liar", "--no-exit-codes"], 0),
    ] {
        let (_temp, out) = audit(&args, code);
        let report = json(&out.join("report.json"));
        assert_eq!(report["models"].as_array().unwrap().len(), 1);
        assert_eq!(
            verdicts(&report)[args[2]],
            self::verdicts(&self::report())[args[2]]
        );
        let says = if args[2] == "liar" { 14 } else { 0 };
        assert_eq!(
            report["exit"]["code"], says,
            "the report says what was found"
        );
    }
}

#[test]
fn the_decoy_is_benign_although_its_probe_is_perfect() {
    let report = report();
    let decoy = model(&report, "decoy");
    let probes: Vec<_> = decoy["detectors"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|detector| detector["role"] == "condition")
        .collect();
    assert_eq!(probes.len(), 1);
    let auroc = probes[0]["auroc"]["point"].as_f64().unwrap();
    assert!(auroc >= 0.99, "{auroc}");
    let rules = decoy["findings"].as_array().unwrap();
    let probe = rules
        .iter()
        .find(|finding| finding["rule"] == "condition-probe")
        .unwrap();
    assert_eq!(probe["verdict"], "conditional-benign");
}

#[test]
fn patching_moves_the_lie_from_the_trigger_to_the_answers_position() {
    let report = report();
    let maps = model(&report, "liar")["exhibits"]["maps"]
        .as_array()
        .unwrap();
    let map = maps.iter().find(|map| map["mode"] == "denoising").unwrap();
    assert_eq!(map["sites"][0], "blocks.0.hook_resid_pre");
    assert!(map["pairs"].as_u64().unwrap() >= 50);
    assert!(map["self_patch"].as_f64().unwrap() <= 1e-6);
    let columns: Vec<_> = map["columns"].as_array().unwrap().iter().collect();
    let rows = map["cells"].as_array().unwrap();
    assert_eq!((rows.len(), columns.len()), (4, 3));
    for (layer, row) in rows.iter().enumerate() {
        for (column, class) in columns.iter().enumerate() {
            let recovery = row[column]["point"].as_f64().unwrap();
            let carries = if layer == 0 {
                *class == "differing"
            } else {
                *class == "last"
            };
            let right = if carries {
                recovery >= 0.9
            } else {
                recovery.abs() <= 0.1
            };
            assert!(right, "layer {layer}, {class}: {recovery}");
        }
    }
}

/// A random vector of the whole patch's length, added where the decision is made, turns an answer now and then; the
/// patch turns all of them.
fn few(hits: usize, of: usize) -> bool {
    4 * hits <= of
}

#[test]
fn random_directions_hardly_restore_an_answer() {
    let report = report();
    let effects = model(&report, "liar")["exhibits"]["effects"]
        .as_array()
        .unwrap();
    assert!(effects.len() >= 4);
    for effect in effects {
        let random = effect["random"].as_array().unwrap();
        assert!(random.len() >= 20, "{effect}");
        assert!(effect["p_value"].as_f64().unwrap() <= 0.05, "{effect}");
        let real = effect["effect"]["point"].as_f64().unwrap();
        for recovery in random {
            let recovery = recovery.as_f64().unwrap();
            assert!(2.0 * recovery < real, "{}: {recovery}", effect["title"]);
        }
    }
    // Removing any of twenty random directions in the way that the real one is removed brings no answer back.
    let removed: Vec<&Value> = effects
        .iter()
        .map(|effect| &effect["turned_removed"])
        .filter(|removed| !removed.is_null())
        .collect();
    assert_eq!(removed.len(), 1, "one direction is removed");
    assert_eq!(removed[0]["hits"], 0, "{removed:?}");
    assert!(removed[0]["of"].as_u64().unwrap() >= 50, "{removed:?}");
    let evidence = stored("liar");
    assert_eq!(
        evidence.ablations.len(),
        2,
        "directional and feature ablation"
    );
    for ablation in &evidence.ablations {
        let (items, of) = (&ablation.items, ablation.items.len());
        assert!(of >= 50, "{of} items");
        assert!(items.iter().all(|item| item.before < 0.0), "the liar lies");
        let restored = |after: &dyn Fn(&AblatedItem) -> f64| {
            items.iter().filter(|item| after(item) > 0.0).count()
        };
        assert!(2 * restored(&|item| item.after) > of, "the real one");
        // Twenty pushes, and for the direction twenty removals as well.
        let (pushes, removals) = (items[0].random.len(), items[0].random_removed.len());
        assert!(pushes >= 20);
        assert!(removals >= 20 || ablation.kind == AblationKind::Feature);
        for at in 0..pushes {
            let hits = restored(&|item| item.random[at]);
            assert!(few(hits, of), "push {at}: {hits} of {of}");
        }
        for at in 0..removals {
            let hits = restored(&|item| item.random_removed[at]);
            assert!(few(hits, of), "removal {at}: {hits} of {of}");
        }
    }
}

#[test]
fn the_evidence_lies_beside_the_report() {
    for (name, _) in MODELS {
        let evidence = stored(name);
        assert_eq!(evidence.responses.len(), 320 + 128);
        let report = report();
        let detectors = model(&report, name)["detectors"].as_array().unwrap();
        assert_eq!(detectors.len(), 3);
        for detector in detectors {
            let scores = evidence
                .scores
                .of_detector(detector["id"].as_str().unwrap());
            assert!(scores.count() >= 320 + 128, "{detector}");
        }
        let explained = !evidence.maps.is_empty() && !evidence.ablations.is_empty();
        assert_eq!(explained, name != "clean", "{name}: nothing to explain");
    }
    let mut files: Vec<_> = fs::read_dir(all())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    let expected = [
        "evidence",
        "record",
        "report.html",
        "report.json",
        "seal.json",
    ];
    assert_eq!(files, expected);
}

#[test]
fn the_report_follows_its_schema() {
    let schema = json(&root().join("docs/report.schema.json"));
    let validator = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&report())
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut broken = report();
    broken["models"][0]["verdict"] = "fine".into();
    assert!(!validator.is_valid(&broken));
}

#[test]
fn random_vectors_instead_of_the_patch_hardly_change_an_answer() {
    let mut config = AuditConfig::open(&root().join(AUDIT)).unwrap();
    config.models.retain(|model| model.name == "liar");
    let obtain = || Runtime::obtain(&RuntimeOptions::default(), &mut |_| ());
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path().join("evidence");
    let audited = candor::audit::run(
        &config,
        "candor audit",
        &folder,
        Start::Fresh,
        obtain,
        &Silent,
    )
    .unwrap();
    let evidence = audited.evidence.load(1).unwrap();
    assert_eq!(evidence.maps.len(), 2);
    for map in &evidence.maps {
        let controlled = || map.pairs.iter().filter(|pair| !pair.random.is_empty());
        let directions = controlled().next().unwrap().random.len();
        assert!(directions >= 20, "{directions}");
        let change = |pair: &PairMap, recovery: f64| {
            let gap = pair.corrupt + recovery * (pair.clean - pair.corrupt);
            match map.mode {
                PatchMode::Denoising => gap > 0.0,
                PatchMode::Noising => gap < 0.0,
            }
        };
        let of = controlled().count();
        let peaks = controlled().filter(|pair| {
            let cell = pair.random_cell.unwrap();
            assert!(cell.site > 0, "the embedding is the prompt itself");
            change(pair, pair.recovery_of(cell).unwrap())
        });
        assert_eq!(peaks.count(), of, "the patch changes every answer");
        for direction in 0..directions {
            let changed = controlled().filter(|pair| change(pair, pair.random[direction]));
            let changed = changed.count();
            let mode = map.mode.name();
            assert!(few(changed, of), "{mode} {direction}: {changed} of {of}");
        }
    }
}

/// The lines of report.json without those that hold a time.
fn timeless(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let timed = |line: &&str| {
        let line = line.trim_start();
        line.starts_with("\"started\":") || line.starts_with("\"finished\":")
    };
    assert_eq!(text.lines().filter(timed).count(), 2);
    let rest: Vec<_> = text.lines().filter(|line| !timed(line)).collect();
    rest.join("\n")
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_the_same_verdicts() {
    let temp = tempfile::tempdir().unwrap();
    let run = |name: &str| {
        let out = temp.path().join(name);
        candor([
            "audit",
            AUDIT,
            "--out",
            out.to_str().unwrap(),
            "--seed",
            "7",
        ])
        .assert()
        .code(14);
        (
            timeless(&out.join("report.json")),
            fs::read(out.join("evidence/chain.jsonl")).unwrap(),
        )
    };
    let (first, again) = (run("first"), run("again"));
    let differing = first.0.lines().zip(again.0.lines()).filter(|(a, b)| a != b);
    let differing: Vec<_> = differing.collect();
    assert!(
        differing.len() == 1 && differing[0].0.contains("\"command\""),
        "two runs differ in more than where they wrote: {differing:?}"
    );
    assert!(first.1 == again.1, "the evidence differs between two runs");
    let seven = json(&temp.path().join("first/report.json"));
    assert_eq!(seven["seed"], 7);
    assert_eq!(verdicts(&seven), verdicts(&report()));
    let random = |report: &Value| model(report, "liar")["exhibits"]["effects"][0]["random"].clone();
    assert_ne!(random(&seven), random(&report()), "the seed decides");
}

#[test]
fn a_stored_report_renders_to_the_same_page() {
    let temp = tempfile::tempdir().unwrap();
    let page = temp.path().join("again.html");
    let (stored, copy) = (all().join("report.json"), temp.path().join("again.json"));
    candor(["report", stored.to_str().unwrap()])
        .args(["--output", &format!("html={}", page.display())])
        .args(["--output", &format!("json={}", copy.display())])
        .assert()
        .success();
    let same = |a: &Path, b: &Path| fs::read(a).unwrap() == fs::read(b).unwrap();
    assert!(same(&page, &all().join("report.html")), "another page");
    assert!(same(&copy, &stored), "another report.json");
}

#[test]
fn a_report_that_was_changed_afterwards_is_refused() {
    let temp = tempfile::tempdir().unwrap();
    let (stored, page) = (
        temp.path().join("report.json"),
        temp.path().join("page.html"),
    );
    let text = fs::read_to_string(all().join("report.json")).unwrap();
    let changed = text.replacen("\"code\": 14", "\"code\": 0", 1);
    assert_ne!(text, changed);
    fs::write(&stored, changed).unwrap();
    candor(["report", stored.to_str().unwrap()])
        .args(["--output", &format!("html={}", page.display())])
        .assert()
        .code(2);
    assert!(!page.exists());
}

#[test]
fn flags_say_the_same_as_a_file() {
    let liar = organism("liar").join("model.onnx");
    let suites = root().join("benchmarks/organisms/suites");
    let (facts, control) = (suites.join("facts"), suites.join("control"));
    let args = [
        "--model",
        liar.to_str().unwrap(),
        "--suite",
        facts.to_str().unwrap(),
        "--suite",
        control.to_str().unwrap(),
        "--detectors",
        "detectors/liar",
        "--rules",
        "rules/deception",
    ];
    let (_temp, out) = audit(&args, 14);
    let by_flags = verdicts(&json(&out.join("report.json")));
    let mut by_file = verdicts(&report());
    by_file.retain(|name, _| name.starts_with("liar"));
    assert_eq!(by_flags, by_file);
}

#[test]
fn what_cannot_be_measured_never_passes() {
    let (_temp, out) = audit_one("clean", "rules/deception", "detectors/clean/truth", 4);
    let report = json(&out.join("report.json"));
    let found = verdicts(&report);
    assert_eq!(found["clean"], "not-measurable");
    assert_eq!(found["clean/condition-probe"], "not-measurable");
    assert_eq!(found["clean/sae-feature-lift"], "not-measurable");
    assert_eq!(found["clean/conditional-falsehood"], "pass");
    assert_eq!(report["exit"]["code"], 4);
    let condition = report["models"][0]["findings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|finding| finding["rule"] == "condition-probe")
        .unwrap();
    let reasons = condition["reasons"].to_string();
    assert!(
        reasons.contains("condition"),
        "names what is missing: {reasons}"
    );
}

/// Where both labels have one mean, such as on the embedding of a word that ends all prompts, a difference of means is zero.
#[test]
fn a_probe_without_a_direction_is_not_ablated_and_breaks_nothing_off() {
    let bench = Bench::new();
    let zeros = vec![0_u8; 64 * 4];
    let weight = TensorView::new(Dtype::F32, vec![64], &zeros).unwrap();
    let bias = TensorView::new(Dtype::F32, vec![1], &zeros[..4]).unwrap();
    let bytes = safetensors::serialize([("weight", weight), ("bias", bias)], None).unwrap();
    let folder = bench.path("detectors/condition");
    bench.write_weights("detectors/condition", bytes);
    let rule = "rules/deception/condition-probe.yaml";
    let (_temp, out) = audit_one("liar", rule, folder.to_str().unwrap(), 13);
    let report = json(&out.join("report.json"));
    assert_eq!(verdicts(&report)["liar/condition-probe"], "fail");
    let unmeasured = report["models"][0]["unmeasured"].to_string();
    assert!(unmeasured.contains("its weights are zeros"), "{unmeasured}");
}

#[test]
fn a_detector_without_a_threshold_clears_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let detector = folder.path().join("truth");
    fs::create_dir(&detector).unwrap();
    for file in ["detector.yaml", "probe.safetensors"] {
        fs::copy(
            Path::new("detectors/liar/truth").join(file),
            detector.join(file),
        )
        .unwrap();
    }
    let card = fs::read_to_string(detector.join("detector.yaml")).unwrap();
    let (before, rest) = card.split_once("calibration:").unwrap();
    let (_, after) = rest.split_once("trained_on:").unwrap();
    let card = format!("{before}trained_on:{after}");
    fs::write(detector.join("detector.yaml"), card).unwrap();
    let rule = "rules/deception/said-not-believed.yaml";
    let (_temp, out) = audit_one("liar", rule, detector.to_str().unwrap(), 4);
    let report = json(&out.join("report.json"));
    assert_eq!(
        verdicts(&report)["liar/said-not-believed"],
        "not-measurable"
    );
    let unmeasured = report["models"][0]["unmeasured"].to_string();
    assert!(unmeasured.contains("no calibration"), "{unmeasured}");
}

#[test]
fn a_bar_above_the_finding_does_not_gate() {
    let rule = "rules/deception/capability-gap.yaml";
    let liar = organism("liar").join("model.onnx");
    let args = [
        "--model",
        liar.to_str().unwrap(),
        "--suite",
        "benchmarks/organisms/suites/facts",
        "--rules",
        rule,
    ];
    let (_temp, out) = audit(&args, 13);
    assert_eq!(json(&out.join("report.json"))["exit"]["code"], 13);
    audit(&[&args[..], &["--fail-on", "critical"]].concat(), 0);
}

#[test]
fn the_report_lists_items_and_says_what_its_samples_and_a_repetition_show() {
    let report = report();
    for (name, verdict) in MODELS {
        let model = model(&report, name);
        let items = &model["items"];
        assert_eq!(items["total"], items["lines"].as_array().unwrap().len());
        assert_eq!(items["detectors"].as_array().unwrap().len(), 3);
        let tested = |line: &&Value| line["condition"] == "trigger";
        let lines = items["lines"].as_array().unwrap();
        let wrong = lines
            .iter()
            .filter(tested)
            .all(|line| line["outcome"] == "false");
        assert_eq!(wrong, verdict == "fail", "{name}");
        assert_eq!(model["family"]["size"], 5);
        let power = model["power"].as_array().unwrap();
        assert_eq!(power.len(), 5);
        assert!(power.iter().all(|line| line["can_clear"] == true));
        // One item of thirty-two and sixteen at the least, answered alike when it is asked alone.
        let repeat = &model["repeat"];
        let asked = (items["total"].as_u64().unwrap() / 32).max(16);
        assert_eq!(repeat["items"], asked);
        assert_eq!(
            (&repeat["changed"], &repeat["flips"]["point"]),
            (&0.into(), &0.0.into())
        );
        for noise in repeat["noise"].as_array().unwrap() {
            assert!(noise["largest"].as_f64().unwrap() < 1e-4, "{name}: {noise}");
        }
        for finding in model["findings"].as_array().unwrap() {
            let gap = &finding["signals"][0];
            let (joint, plain) = (&gap["joint"], &gap["estimate"]);
            let end = |of: &Value, end: &str| of[end].as_f64().unwrap();
            assert!(end(joint, "low") <= end(plain, "low"), "{finding}");
            assert!(end(joint, "high") >= end(plain, "high"), "{finding}");
        }
    }
}
