use std::path::Path;

use candor::report::{AuditReport, json};
use candor::stats::Estimate;
use proptest::prelude::*;

use crate::synthetic::Kind::{Clean, Decoy, Liar, Mute};
use crate::synthetic::report;

fn four() -> AuditReport {
    report(&[Liar, Clean, Decoy, Mute])
}

/// Exhibits are long and have their own tests.
fn short() -> AuditReport {
    let mut report = four();
    for model in &mut report.models {
        model.samples.truncate(1);
        model.exhibits.answers.truncate(1);
        model.exhibits.token_scores.truncate(1);
        model.exhibits.effects.truncate(1);
        model.exhibits.maps.truncate(1);
        for map in &mut model.exhibits.maps {
            map.sites.truncate(1);
            map.cells.truncate(1);
            map.example = None;
        }
    }
    report
}

#[test]
fn is_written_like_this() {
    insta::assert_snapshot!("report_json", json::write(&short()).unwrap());
}

#[test]
fn is_valid_against_the_published_schema() {
    let schema: serde_json::Value = serde_json::from_str(&published()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let mut value: serde_json::Value =
        serde_json::from_str(&json::write(&four()).unwrap()).unwrap();
    let errors: Vec<_> = validator
        .iter_errors(&value)
        .map(|e| e.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");

    value["models"][0]["findings"][0]["reasons"] = serde_json::json!([]);
    assert!(!validator.is_valid(&value), "a finding without a reason");
    value["schema"] = "candor/report/v2".into();
    assert!(!validator.is_valid(&value));
}

fn published() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.schema.json"))
        .unwrap()
}

#[test]
fn the_published_schema_is_the_generated_one() {
    let generated = json::schema().unwrap();
    if std::env::var_os("CANDOR_BLESS").is_some() {
        std::fs::write(
            Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/report.schema.json"),
            &generated,
        )
        .unwrap();
    }
    assert_eq!(published(), generated, "run this test with CANDOR_BLESS=1");
}

#[test]
fn two_reports_of_one_audit_differ_in_their_times_only() {
    let (one, mut other) = (four(), four());
    other.started = "2026-02-02T10:00:00Z".into();
    other.finished = "2026-02-02T10:00:09Z".into();
    let (one, other) = (json::write(&one).unwrap(), json::write(&other).unwrap());
    let differing: Vec<_> = one
        .lines()
        .zip(other.lines())
        .filter(|(a, b)| a != b)
        .map(|(a, _)| a.trim())
        .collect();
    assert_eq!(
        differing,
        [
            r#""started": "2025-01-01T09:00:00Z","#,
            r#""finished": "2025-01-01T09:00:21Z","#
        ]
    );
}

#[test]
fn what_is_not_a_report_is_refused() {
    let whole = json::write(&four()).unwrap();
    let cases = [
        ("not JSON", "{".to_owned()),
        (
            "another schema",
            whole.replacen("candor/report/v1", "candor/report/v9", 1),
        ),
        ("a lacking field", whole.replacen("\"seed\": 7,", "", 1)),
        (
            "a changed verdict",
            whole.replace("\"verdict\": \"fail\"", "\"verdict\": \"pass\""),
        ),
        (
            "a changed exit code",
            whole.replacen("\"code\": 14", "\"code\": 0", 1),
        ),
        (
            "a lacking reason",
            whole
                .replacen(
                    "\"The behaviour is visible from outside, and interventions show its cause.\",",
                    "",
                    1,
                )
                .replacen("\"reasons\": [", "\"reasons\": [], \"ignored\": [", 1),
        ),
    ];
    let messages: Vec<String> = cases
        .iter()
        .map(|(what, text)| format!("# {what}\n{}", json::read(text).unwrap_err()))
        .collect();
    insta::assert_snapshot!("report_json_faults", messages.join("\n\n"));
}

#[test]
fn an_open_interval_and_a_nan_survive() {
    let mut report = report(&[Liar]);
    let signal = &mut report.models[0].findings[0].signals[0];
    signal.estimate = Some(Estimate {
        point: f64::NAN,
        low: f64::NEG_INFINITY,
        high: f64::INFINITY,
        n: 2,
        clusters: 1,
    });
    let back = json::read(&json::write(&report).unwrap()).unwrap();
    let estimate = back.models[0].findings[0].signals[0].estimate.unwrap();
    assert!(estimate.point.is_nan());
    assert_eq!(
        (estimate.low, estimate.high),
        (f64::NEG_INFINITY, f64::INFINITY)
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn reading_gives_back_what_was_written(
        point in any::<f64>().prop_filter("finite", |v| v.is_finite()),
        scores in prop::collection::vec(any::<f32>().prop_filter("finite", |v| v.is_finite()), 0..6),
        text in any::<String>(),
        seed in any::<u64>(),
    ) {
        let mut report = bare_liar();
        report.seed = seed;
        report.command = text.clone();
        report.models[0].name = text;
        report.models[0].findings[0].signals[0].estimate = Some(Estimate { point, low: point, high: point, n: 1, clusters: 1 });
        report.models[0].exhibits.token_scores[0].scores = scores;
        let written = json::write(&report).unwrap();
        let back = json::read(&written).unwrap();
        prop_assert_eq!(&back, &report);
        prop_assert_eq!(json::write(&back).unwrap(), written);
    }
}

fn bare_liar() -> AuditReport {
    use std::sync::OnceLock;
    static LIAR: OnceLock<AuditReport> = OnceLock::new();
    LIAR.get_or_init(|| report(&[Liar])).clone()
}
