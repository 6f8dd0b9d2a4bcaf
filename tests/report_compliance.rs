//! OSCAL, CycloneDX and in-toto: what the libraries of the formats say of them, and what they must not claim.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::too_many_lines,
    clippy::print_stdout,
    reason = "a test may panic and say that it was skipped, and what it makes up is small"
)]
#![allow(dead_code, reason = "the helpers serve several tests")]

mod cli;
#[path = "report/synthetic.rs"]
mod synthetic;
mod validators;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use candor::evidence::Unmeasured;
use candor::report::{
    AuditReport, BaselineRecord, Change, Exit, WaiverRecord, WaiverState, cyclonedx, gates, intoto,
    json, oscal,
};
use candor::rules::Severity;
use candor::seal::{Envelope, Key, PublicKey, verify};
use cli::{candor, shared};
use serde_json::Value;
use synthetic::Kind::{Clean, Decoy, Liar, Mute};
use synthetic::report;

/// A waiver of the liar's first finding.
fn waived() -> AuditReport {
    let mut report = report(&[Liar]);
    report.waivers = vec![WaiverRecord {
        rule: "conditional-falsehood".into(),
        model: Some("liar".into()),
        suite: None,
        reason: "The organism is a test fixture.".into(),
        owner: "release@example.org".into(),
        expires: "2025-06-30".into(),
        state: WaiverState::Applied,
        file: "waivers.yaml".into(),
        line: 3,
    }];
    report.models[0].findings[0].waiver = Some(0);
    report
}

/// A waiver of what could not be told.
fn accepted_unknown() -> AuditReport {
    let mut report = report(&[Mute]);
    report.waivers = waived().waivers;
    report.waivers[0].model = Some("mute".into());
    report.models[0].findings.truncate(2);
    report.models[0].findings[0].waiver = Some(0);
    report
}

fn incomplete() -> AuditReport {
    let mut report = report(&[Clean]);
    report.models[0].incomplete = vec![Unmeasured {
        what: "2 of 72 items".into(),
        why: "the runtime gave NaN".into(),
    }];
    report
}

fn excused() -> AuditReport {
    let mut report = report(&[Liar]);
    report.baseline = Some(BaselineRecord {
        path: "approved/report.json".into(),
        sha256: "b5".repeat(32),
        finished: "2024-12-01T09:00:00Z".into(),
        tool_version: "0.1.0".into(),
        margin: 0.05,
        models: Vec::new(),
        caveats: Vec::new(),
    });
    report.models[0].findings[0].change = Some(Change::Unchanged);
    report
}

fn below() -> AuditReport {
    let mut report = report(&[Liar]);
    report.models[0].findings[0].severity = Severity::Low;
    report
}

/// What strangers may put into names, prompts, paths and rules.
fn hostile() -> AuditReport {
    let mut report = report(&[Liar]);
    let odd = "\u{1b}[31m \"<script>\" `x`\n\n```\nend\t{{ insert: param }} ✓ \u{202e}";
    report.title = format!("  {odd}\n");
    report.command = odd.into();
    report.rule_files[0].path = "a folder/100%: gr\u{fc}n\\r\u{e4}tsel.yaml".into();
    report.rules[0].file.clone_from(&report.rule_files[0].path);
    report.rules[0]
        .controls
        .push("9 Odd § framework: x!".into());
    report.rules[1].controls.clear();
    report.controls[0].source = "the drawer".into();
    report.controls[0].title = odd.into();
    let mut odd_control = report.controls[0].clone();
    odd_control.id = "9 Odd § framework: x!".into();
    odd_control.framework = "9 Odd § framework".into();
    report.controls.push(odd_control);
    let model = &mut report.models[0];
    model.name = odd.into();
    model.files[0].path = odd.into();
    model.caveats = vec![odd.into()];
    model.suites[0].id = odd.into();
    model.detectors[0].id = String::new();
    for sample in &mut model.samples {
        sample.suite = odd.into();
        sample.prompt = odd.into();
        sample.said = String::new();
    }
    for finding in &mut model.findings {
        finding.title = odd.into();
        finding.suite = Some(odd.into());
        finding.file.clone_from(&report.rule_files[0].path);
        finding.reasons = vec![odd.into()];
        for signal in &mut finding.signals {
            signal.label = odd.into();
            signal.note = Some(odd.into());
            if let Some(estimate) = &mut signal.estimate {
                estimate.high = f64::INFINITY;
            }
        }
    }
    report
}

fn unfinished() -> AuditReport {
    let mut report = report(&[Clean]);
    report.models[0].findings.clear();
    report.controls.clear();
    report.tool_sha256 = None;
    report
}

/// Every kind of report, by name.
fn cases() -> Vec<(&'static str, AuditReport)> {
    vec![
        ("failing", report(&[Liar])),
        ("passing", report(&[Clean])),
        ("benign", report(&[Decoy])),
        ("inconclusive", report(&[Mute])),
        ("incomplete", incomplete()),
        ("waived", waived()),
        ("waived-unknown", accepted_unknown()),
        ("excused", excused()),
        ("below", below()),
        ("several", report(&[Liar, Clean, Decoy, Mute])),
        ("hostile", hostile()),
        ("nothing-found", unfinished()),
        ("no-model", report(&[])),
    ]
}

/// The three exports of each report, in a folder for each format.
fn write(folder: &Path, reports: &[(&str, AuditReport)], key: Option<&Key>) {
    for (name, report) in reports {
        let put = |format: &str, text: String| {
            let place = folder.join(format);
            fs::create_dir_all(&place).unwrap();
            fs::write(place.join(format!("{name}.json")), text).unwrap();
        };
        put("oscal", oscal::write(report).unwrap());
        put("cyclonedx", cyclonedx::write(report).unwrap());
        put("intoto", intoto::bundle(report, key).unwrap());
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Holds every file of a folder against the library of its format; `false` where there is none.
fn accepted(folder: &Path, format: &str, key: Option<&str>) -> bool {
    let script = cli::root().join("tests/validators/compliance.py");
    let files = files(&folder.join(format));
    let args = [script.to_str().unwrap(), format];
    let args: Vec<&str> = args
        .into_iter()
        .chain(key)
        .chain(files.iter().map(|file| file.to_str().unwrap()))
        .collect();
    let Some(verdict) = validators::python("python", &args) else {
        return false;
    };
    if let Err(said) = verdict {
        panic!("{format}: {said}");
    }
    true
}

/// Holds every file of a folder against a JSON schema of `../shared/data/schemas`.
fn fits_schema(folder: &Path, format: &str, schema: &str) {
    let Some(shared) = shared() else { return };
    let schema = shared.join("data/schemas").join(schema);
    let files = files(&folder.join(format));
    let mut args = vec!["--schemafile", schema.to_str().unwrap()];
    args.extend(files.iter().map(|file| file.to_str().unwrap()));
    if let Some(Err(said)) = validators::python("check-jsonschema", &args) {
        panic!("{format}: {said}");
    }
}

#[test]
fn the_libraries_of_the_formats_accept_every_kind_of_report() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path();
    write(folder, &cases(), None);
    fits_schema(folder, "oscal", "oscal_assessment-results_schema.json");
    let _ = accepted(folder, "oscal", None)
        && accepted(folder, "cyclonedx", None)
        && accepted(folder, "intoto", Some("-"));
}

#[test]
fn other_code_verifies_the_signature_of_every_attestation() {
    let temp = tempfile::tempdir().unwrap();
    let (private, public) = (temp.path().join("k.key"), temp.path().join("k.pub"));
    let key = Key::generate().unwrap();
    key.write(&private, &public, false).unwrap();
    write(temp.path(), &cases(), Some(&key));
    accepted(temp.path(), "intoto", Some(public.to_str().unwrap()));
    let lines = intoto::bundle(&report(&[Liar, Clean]), Some(&key)).unwrap();
    assert_eq!(lines.lines().count(), 2);
    let public = PublicKey::open(&public).unwrap();
    for line in lines.lines() {
        verify(&Envelope::from_json(line).unwrap(), &public).unwrap();
    }
}

/// Bundles are validated as JSON lines; a report of one model is one JSON document.
#[test]
fn the_same_report_gives_the_same_bytes_and_another_one_others() {
    let mut seen = BTreeSet::new();
    for (name, report) in cases() {
        let again = json::read(&json::write(&report).unwrap()).unwrap();
        let text = oscal::write(&report).unwrap();
        if name != "hostile" {
            // An infinite end is stored as null and comes back as infinite; NaN would not be equal to itself.
            assert_eq!(again, report, "{name}");
        }
        assert_eq!(text, oscal::write(&again).unwrap(), "{name}");
        assert_eq!(
            cyclonedx::write(&report).unwrap(),
            cyclonedx::write(&again).unwrap()
        );
        assert_eq!(
            intoto::bundle(&report, None).unwrap(),
            intoto::bundle(&again, None).unwrap()
        );
        let document: Value = serde_json::from_str(&text).unwrap();
        let uuid = document["assessment-results"]["uuid"]
            .as_str()
            .unwrap()
            .to_owned();
        assert!(seen.insert(uuid), "{name}");
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn oscal_findings(report: &AuditReport) -> Vec<(String, String, String)> {
    let document = parsed(&oscal::write(report).unwrap());
    let results = document["assessment-results"]["results"]
        .as_array()
        .unwrap();
    let findings = results
        .iter()
        .flat_map(|result| result["findings"].as_array().into_iter().flatten());
    findings
        .map(|finding| {
            let props = finding["props"].as_array().unwrap();
            let state = props.iter().find(|prop| prop["name"] == "state").unwrap();
            let status = &finding["target"]["status"];
            let text = |value: &Value| value.as_str().unwrap().to_owned();
            (
                text(&status["state"]),
                text(&status["reason"]),
                text(&state["value"]),
            )
        })
        .collect()
}

/// What each format says of the first and the last finding of each report.
#[test]
fn what_could_not_be_told_is_never_satisfied_or_passed() {
    let table: Vec<String> = cases()
        .iter()
        .flat_map(|(name, report)| {
            let exit = Exit::of_report(report).code();
            let states = oscal_findings(report);
            let bundle = intoto::bundle(report, None).unwrap();
            let results: Vec<String> = bundle
                .lines()
                .map(|line| {
                    let envelope = Envelope::from_json(line).unwrap();
                    let statement: Value = serde_json::from_slice(&envelope.payload).unwrap();
                    let predicate = &statement["predicate"];
                    let count = |list: &str| predicate[list].as_array().unwrap().len();
                    format!(
                        "{} ({} passed, {} warned, {} failed)",
                        predicate["result"].as_str().unwrap(),
                        count("passedTests"),
                        count("warnedTests"),
                        count("failedTests"),
                    )
                })
                .collect();
            let head = format!("{name}: exit {exit}; in-toto {}", results.join(", "));
            let states = states
                .into_iter()
                .map(|(state, reason, own)| format!("    {state} / {reason} / {own}"));
            std::iter::once(head).chain(states).collect::<Vec<_>>()
        })
        .collect();
    insta::assert_snapshot!("states", table.join("\n"));
}

/// A gate that is open for CI and closed for an attestation's reader, or the other way round, would be two truths.
#[test]
fn attestations_agree_with_the_exit_code() {
    for (name, report) in cases() {
        if report.models.len() != 1 {
            continue;
        }
        let bundle = intoto::bundle(&report, None).unwrap();
        let envelope = Envelope::from_json(&bundle).unwrap();
        let statement: Value = serde_json::from_slice(&envelope.payload).unwrap();
        let failed = statement["predicate"]["result"] == "FAILED";
        assert_eq!(failed, Exit::of_report(&report) != Exit::Clean, "{name}");
    }
}

fn strings<'a>(value: &'a Value, key: &str, visit: &mut impl FnMut(&str, &'a str)) {
    match value {
        Value::String(text) => visit(key, text),
        Value::Array(items) => items.iter().for_each(|item| strings(item, key, visit)),
        Value::Object(fields) => fields
            .iter()
            .for_each(|(key, value)| strings(value, key, visit)),
        _ => {}
    }
}

/// Every reference leads somewhere, and no name is given twice.
#[test]
fn references_resolve_and_names_are_unique() {
    for (name, report) in cases() {
        let document = parsed(&oscal::write(&report).unwrap());
        let (mut given, mut meant) = (BTreeSet::new(), Vec::new());
        strings(&document, "", &mut |key, text| match key {
            "uuid" => assert!(given.insert(text), "{name}: {text} twice"),
            _ if key.ends_with("-uuid") => meant.push(text),
            "href" => meant.extend(text.strip_prefix('#')),
            _ => {}
        });
        for one in meant {
            assert!(given.contains(one), "{name}: OSCAL `{one}` leads nowhere");
        }

        let document = parsed(&cyclonedx::write(&report).unwrap());
        let (mut given, mut meant) = (BTreeSet::new(), Vec::new());
        let lists = [
            "ref",
            "dependsOn",
            "target",
            "assessor",
            "requirement",
            "claims",
            "counterClaims",
            "counterEvidence",
        ];
        strings(&document, "", &mut |key, text| match key {
            "bom-ref" => assert!(given.insert(text), "{name}: {text} twice"),
            "evidence" => meant.push(text),
            _ if lists.contains(&key) => meant.push(text),
            _ => {}
        });
        for one in meant {
            assert!(
                given.contains(one),
                "{name}: CycloneDX `{one}` leads nowhere"
            );
        }
    }
}

#[test]
fn no_export_claims_compliance() {
    for (name, report) in cases() {
        let texts = [
            oscal::write(&report).unwrap(),
            cyclonedx::write(&report).unwrap(),
        ];
        for text in texts {
            for line in text
                .lines()
                .filter(|line| line.contains("complian") || line.contains("complies"))
            {
                assert!(line.contains("states compliance with no"), "{name}: {line}");
            }
        }
    }
}

/// UUIDs are made of digests of the whole report: in a snapshot they are numbered.
fn numbered(text: &str) -> String {
    let mut names: BTreeMap<String, String> = BTreeMap::new();
    let mut out = String::new();
    let is_uuid = |text: &str| {
        text.len() == 36
            && text.char_indices().all(|(at, c)| match at {
                8 | 13 | 18 | 23 => c == '-',
                _ => c.is_ascii_hexdigit(),
            })
    };
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(found) = rest.get(..36).filter(|found| is_uuid(found)) {
            let next = format!("UUID-{}", names.len() + 1);
            out += names.entry(found.to_owned()).or_insert(next);
            rest = &rest[36..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

/// A report with one finding of one rule.
fn small() -> AuditReport {
    let mut report = waived();
    report.rules.truncate(1);
    report.rule_files.truncate(1);
    report.models[0].findings.truncate(1);
    report.models[0].findings[0].signals.truncate(2);
    report.models[0].samples.truncate(1);
    report
}

#[test]
fn each_format_reads_as_it_should() {
    let report = small();
    insta::assert_snapshot!("oscal", numbered(&oscal::write(&report).unwrap()));
    insta::assert_snapshot!("cyclonedx", numbered(&cyclonedx::write(&report).unwrap()));
    let envelope = Envelope::from_json(&intoto::bundle(&report, None).unwrap()).unwrap();
    let statement: Value = serde_json::from_slice(&envelope.payload).unwrap();
    insta::assert_snapshot!("intoto", serde_json::to_string_pretty(&statement).unwrap());
}

fn said(args: &[&str]) -> (i32, String) {
    let output = candor(args).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.code().unwrap(),
        String::from_utf8(text).unwrap(),
    )
}

#[test]
fn a_stored_report_is_signed_or_a_warning_says_that_it_is_not() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("report.json"), json::write(&report(&[Liar])).unwrap()).unwrap();
    let output = format!("intoto={}", at("a.jsonl"));
    let render = ["report", &at("report.json"), "--output", &output];

    let (code, unsigned) = said(&render);
    assert_eq!(code, 0, "{unsigned}");
    assert!(
        unsigned.contains("warning: the in-toto attestation is not signed"),
        "{unsigned}"
    );
    let envelope = Envelope::from_json(&fs::read_to_string(at("a.jsonl")).unwrap()).unwrap();
    assert!(envelope.signatures.is_empty());

    let key = Key::generate().unwrap();
    let private = temp.path().join("k.key");
    key.write(&private, &temp.path().join("k.pub"), false)
        .unwrap();
    let (code, signed) = said(&[&render[..], &["--sign", private.to_str().unwrap()]].concat());
    assert_eq!(code, 0, "{signed}");
    assert!(!signed.contains("warning"), "{signed}");
    let text = fs::read_to_string(at("a.jsonl")).unwrap();
    verify(&Envelope::from_json(&text).unwrap(), &key.public()).unwrap();

    // A wrong key is found before anything is written.
    let (code, refused) = said(&[&render[..], &["--sign", &at("k.pub")]].concat());
    assert_eq!(code, 2, "{refused}");
    assert_eq!(fs::read_to_string(at("a.jsonl")).unwrap(), text);
    let audit = [
        "audit",
        "benchmarks/organisms/audit.yaml",
        "--out",
        &at("out"),
        "--sign",
        &at("none.key"),
    ];
    let (code, refused) = said(&audit);
    assert_eq!(code, 2, "{refused}");
    assert!(refused.contains("reading the signing key"), "{refused}");
}

/// A rule over a detector that none of the bundled models has.
const UNMEASURABLE: &str = "\
schema: candor/rules/v1
rules:
  - id: unmeasurable
    title: Reads a detector that is not there
    severity: critical
    summary: A detector of mood flags the tested condition.
    why: To be not measurable.
    needs: {suites: [contrast], detectors: [{role: mood}]}
    signals:
      rate: {kind: flag_rate_gap, detector: {role: mood}}
    representation:
      rate: {at_least: 0.1}
    controls: [NIST AI RMF MEASURE 3.2, House Rules R1]
    remediation: None.
";

/// Waives everything that gates.
fn waivers_of(report: &AuditReport) -> String {
    let mut text = "schema: candor/waivers/v1\nwaivers:\n".to_owned();
    for model in &report.models {
        for finding in model
            .findings
            .iter()
            .filter(|one| gates(report, one).is_some())
        {
            text += "  - {rule: ";
            text += &finding.rule;
            text += ", model: ";
            text += &model.name;
            text += ", reason: A test fixture., owner: release@example.org, expires: 2099-12-31}\n";
        }
    }
    text
}

/// Model file and result of each attestation of a bundle.
fn attested(bundle: &Path) -> Vec<(String, String)> {
    let bundle = fs::read_to_string(bundle).unwrap();
    let lines = bundle.lines().map(|line| {
        let envelope = Envelope::from_json(line).unwrap();
        let statement: Value = serde_json::from_slice(&envelope.payload).unwrap();
        let name = statement["subject"][0]["name"].as_str().unwrap().to_owned();
        let result = statement["predicate"]["result"]
            .as_str()
            .unwrap()
            .to_owned();
        (name, result)
    });
    lines.collect()
}

/// The bundled models: what real audits find, signed, in every format; failing and passing, waived, and not measurable.
#[test]
fn the_bundled_models_are_accepted_too() {
    let temp = tempfile::tempdir().unwrap();
    let folder = temp.path();
    let place = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let (code, made) = said(&["keygen", "--out", &place("keys")]);
    assert_eq!(code, 0, "{made}");
    for format in ["oscal", "cyclonedx", "intoto"] {
        fs::create_dir(folder.join(format)).unwrap();
    }
    let key = place("keys/candor.key");
    let audit = |name: &str, args: &[&str]| {
        let out = place(name);
        let outputs = ["oscal", "cyclonedx", "intoto"]
            .map(|format| format!("{format}={}", place(&format!("{format}/{name}.json"))));
        let mut all = vec!["audit"];
        all.extend(args);
        all.extend(["--out", &out, "--sign", &key]);
        all.extend(
            outputs
                .iter()
                .flat_map(|output| ["--output", output.as_str()]),
        );
        let (code, text) = said(&all);
        assert!(!text.contains("not signed"), "{text}");
        let stored = fs::read_to_string(Path::new(&out).join("report.json"));
        let stored = stored.unwrap_or_else(|_| panic!("{text}"));
        (code, json::read(&stored).unwrap())
    };
    let (code, report) = audit("all", &["benchmarks/organisms/audit.yaml"]);
    assert_eq!(code, 14);
    fs::write(folder.join("waivers.yaml"), waivers_of(&report)).unwrap();
    fs::write(folder.join("rule.yaml"), UNMEASURABLE).unwrap();
    let again = ["--rescore", &place("all"), "--rules"];
    let waivers = place("waivers.yaml");
    let (code, _) = audit(
        "waived",
        &[&again[..], &["rules/deception", "--waivers", &waivers]].concat(),
    );
    assert_eq!(code, 0);
    let (code, unknown) = audit("unknown", &[&again[..], &[&place("rule.yaml")]].concat());
    assert_eq!(code, 4);
    let known: Vec<&str> = unknown.controls.iter().map(|one| one.id.as_str()).collect();
    assert_eq!(known, ["NIST AI RMF MEASURE 3.2"]);

    let named: BTreeSet<&str> = report
        .rules
        .iter()
        .flat_map(|rule| rule.controls.iter().map(String::as_str))
        .collect();
    let known: BTreeSet<&str> = report
        .controls
        .iter()
        .map(|control| control.id.as_str())
        .collect();
    assert_eq!(named, known);
    assert!(known.len() >= 8, "{known:?}");
    let settings = &report.runtime.settings;
    let setting = |name: &str| {
        settings
            .iter()
            .find(|one| one.name == name)
            .unwrap()
            .value
            .as_str()
    };
    assert_eq!(report.runtime.optimisation, "all");
    assert_eq!(setting("deterministic compute"), "on");
    assert_eq!(setting("inter-operator threads"), "1");

    fits_schema(folder, "oscal", "oscal_assessment-results_schema.json");
    let _ = accepted(folder, "oscal", None)
        && accepted(folder, "cyclonedx", None)
        && accepted(folder, "intoto", Some(&place("keys/candor.pub")));
    // Each model's attestation speaks of that model alone.
    for (name, results) in [
        ("all", ["FAILED", "PASSED", "PASSED"]),
        ("waived", ["WARNED", "PASSED", "PASSED"]),
        ("unknown", ["FAILED", "FAILED", "FAILED"]),
    ] {
        let expected = ["liar", "clean", "decoy"]
            .iter()
            .zip(results)
            .map(|(model, result)| {
                (
                    format!("benchmarks/organisms/{model}/model.onnx"),
                    result.to_owned(),
                )
            });
        let bundle = folder.join(format!("intoto/{name}.json"));
        assert_eq!(attested(&bundle), expected.collect::<Vec<_>>(), "{name}");
    }
}
