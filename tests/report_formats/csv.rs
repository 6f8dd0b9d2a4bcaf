use proptest::prelude::*;
use serde_json::Value;

use crate::scenarios::{HOSTILE, all, everything, render, write};
use crate::synthetic::Kind::Liar;
use crate::synthetic::report;
use crate::validators;

fn rows(report: &candor::report::AuditReport) -> Option<Vec<Vec<String>>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("findings.csv");
    write(report, "csv", &file);
    let read: Value = validators::script("table.py", &[file.to_str().unwrap()])?.unwrap();
    Some(serde_json::from_value(read).unwrap())
}

#[test]
fn reads_like_this() {
    insta::assert_snapshot!("csv", render(&everything(), "csv"));
}

#[test]
fn another_reader_sees_a_row_for_each_finding_and_no_formula() {
    for (name, report) in all() {
        let Some(rows) = rows(&report) else { return };
        let findings = report
            .models
            .iter()
            .map(|model| model.findings.len())
            .sum::<usize>();
        assert_eq!(rows.len(), 1 + findings, "{name}");
        for cell in rows.iter().flatten() {
            assert!(
                !cell.starts_with(['=', '+', '-', '@', '\t', '\r']),
                "{name}: {cell}"
            );
        }
        assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{name}");
    }
}

#[test]
fn a_text_is_the_same_when_it_is_read_back() {
    let mut report = report(&[Liar]);
    report.models[0].findings[0].title = "a, \"b\"\nc; 模型".into();
    report.models[0].findings[1].title = HOSTILE.into();
    let Some(rows) = rows(&report) else { return };
    let title = rows[0].iter().position(|name| name == "title").unwrap();
    assert_eq!(rows[1][title], "a, \"b\"\nc; 模型");
    assert!(rows[2][title].starts_with("'=cmd|'/c calc'!A1"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_cell_is_a_formula(text in "[ \t\r\n\u{feff}\u{a0}=+@-]{0,4}\\PC{0,20}") {
        let mut report = report(&[]);
        let mut model = crate::synthetic::bare(&[(candor::rules::Verdict::Fail, candor::rules::Severity::High)]).models.remove(0);
        model.findings[0].title.clone_from(&text);
        report.models.push(model);
        let written = render(&report, "csv");
        let mut table = ::csv::Reader::from_reader(written.as_bytes());
        let row = table.records().next().unwrap().unwrap();
        let visible = row[2].trim_start_matches(|c: char| !c.is_alphanumeric() && !c.is_ascii_graphic());
        prop_assert!(!visible.starts_with(['=', '+', '-', '@']), "{:?}", &row[2]);
    }
}
