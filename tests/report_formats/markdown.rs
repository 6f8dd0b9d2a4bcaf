use proptest::prelude::*;
use serde_json::Value;

use crate::scenarios::{HOSTILE, all, everything, render, waived, write};
use crate::synthetic::Kind::{Clean, Liar};
use crate::synthetic::report;
use crate::validators;

/// What Candor itself writes.
const TAGS: [&str; 17] = [
    "code", "details", "div", "h2", "h3", "li", "p", "pre", "strong", "summary", "table", "tbody",
    "td", "th", "thead", "tr", "ul",
];
const MOST_BYTES: usize = 1024 * 1024;

/// What GitHub's renderer makes of it.
fn rendered(report: &candor::report::AuditReport) -> Option<Result<Value, String>> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("summary.md");
    write(report, "markdown", &file);
    validators::script("markdown.py", &[file.to_str().unwrap()])
}

#[test]
fn reads_like_this() {
    insta::assert_snapshot!("markdown", render(&everything(), "markdown"));
}

#[test]
fn github_s_renderer_sees_no_markup_but_ours() {
    for (name, report) in all() {
        let Some(rendered) = rendered(&report) else {
            return;
        };
        let rendered = rendered.unwrap();
        for tag in rendered["tags"].as_array().unwrap() {
            assert!(
                TAGS.contains(&tag.as_str().unwrap()),
                "{name}: {tag}, {}",
                rendered["links"]
            );
        }
        // A row that a text breaks has another number of cells.
        let mut width = 0;
        for row in rendered["rows"].as_array().unwrap() {
            let cells = row.as_array().unwrap().len();
            assert!((2..=8).contains(&cells), "{name}: {row}");
            width = width.max(cells);
        }
        assert!(render(&report, "markdown").len() < MOST_BYTES, "{name}");
    }
}

#[test]
fn what_a_text_says_can_be_read() {
    let mut report = report(&[Liar]);
    report.models[0].findings[0].reasons[1] = HOSTILE.into();
    let Some(rendered) = rendered(&report) else {
        return;
    };
    let text = rendered.unwrap()["text"]
        .as_str()
        .unwrap()
        .replace('\u{2060}', "");
    for part in [
        "=cmd|'/c calc'!A1 ]]></failure>&<script>alert(1)</script>",
        "# x ::error::no %0A%25 | a | b | --- | - [here](https://evil.example)",
        "www.evil.example @admins #1 {0} {{x}} $x$ ~~s~~ *b* _i_",
        "ünïcödé 模型 🦊 \\",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn it_says_what_is_waived_and_what_was_not_measured() {
    let text = render(&waived(), "markdown");
    for part in [
        "MODEL-17",
        "expired",
        "unused",
        "What was not measured",
        "no SAE was given",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn a_summary_too_long_for_github_is_cut_and_that_is_said() {
    let mut report = report(&[Liar, Clean]);
    report.models[0].findings[0].reasons[1] = "<".repeat(1000);
    let finding = report.models[0].findings[0].clone();
    report.models[0].findings = vec![finding; 2_000];
    let text = render(&report, "markdown");
    assert!(text.len() < MOST_BYTES, "{}", text.len());
    assert!(
        text.contains("did not fit"),
        "{}",
        &text[text.len() - 400..]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A cell holds no bar, no line break and no HTML of a text's own, whatever the text.
    #[test]
    fn no_text_breaks_a_table(text in "(\\PC|[|<>&`\\\\\\[\\]*_#@\n\r\t\u{0}\u{1b}]){0,60}") {
        let mut report = report(&[]);
        report.title.clone_from(&text);
        report.command = text.clone();
        let clean = render(&report, "markdown");
        let heading = clean.lines().next().unwrap();
        prop_assert!(heading.starts_with("## Candor"));
        prop_assert!(!heading.contains('<') && !heading.contains('>'), "{heading}");
        let fences = clean.lines().filter(|line| line.starts_with("```")).count();
        prop_assert!(fences >= 2);
    }
}
