use std::path::Path;

use candor::evidence::{Outcome, Unmeasured};
use candor::report::{
    Approved, AuditReport, Finding, Source, Surface, Terms, WaiverRecord, WaiverState,
};
use candor::rules::{Severity, Verdict};

use crate::baseline::items;
use crate::exit::waiver;
use crate::synthetic::Kind::{Clean, Decoy, Liar, Mute};
use crate::synthetic::report;

const FILE: Surface = Surface {
    terminal: false,
    colour: false,
    width: Some(110),
};

fn verdict_table(report: &AuditReport, page: Option<&Path>, surface: Surface) -> String {
    from(Severity::Low, report, page, surface)
}

fn from(least: Severity, report: &AuditReport, page: Option<&Path>, surface: Surface) -> String {
    let source = Source {
        report,
        evidence: None,
        min_severity: least,
        key: None,
    };
    candor::report::verdict_table(&source, page, surface)
}

#[test]
fn reads_like_this_in_a_file() {
    let mut report = report(&[Liar, Clean, Decoy, Mute]);
    report.models[3].incomplete.push(Unmeasured {
        what: "suite `facts`".into(),
        why: "3 of 72 runs failed".into(),
    });
    let text = verdict_table(&report, Some(Path::new("audit/report.html")), FILE);
    assert!(text.is_ascii());
    insta::assert_snapshot!("table_file", text);
}

#[test]
fn reads_like_this_on_a_terminal() {
    let surface = Surface {
        terminal: true,
        colour: false,
        width: Some(100),
    };
    let text = verdict_table(
        &report(&[Liar, Clean, Decoy]),
        Some(Path::new("audit/report.html")),
        surface,
    );
    insta::assert_snapshot!("table_terminal", text);
}

#[test]
fn colours_only_where_asked() {
    let coloured = Surface {
        terminal: true,
        colour: true,
        width: Some(100),
    };
    assert!(verdict_table(&report(&[Liar]), None, coloured).contains("\u{1b}["));
    let plain = Surface {
        colour: false,
        ..coloured
    };
    assert!(!verdict_table(&report(&[Liar]), None, plain).contains('\u{1b}'));
}

#[test]
fn control_sequences_in_texts_stay_harmless() {
    let mut report = report(&[Liar]);
    report.models[0].name = "liar\u{1b}[2J".into();
    report.models[0].findings[0].reasons[0] = "said \u{1b}]0;x\u{7}".into();
    assert!(!verdict_table(&report, None, FILE).contains('\u{1b}'));
}

/// A report in which everything occurs: waived, live, over and unused waivers, and every change.
fn everything() -> AuditReport {
    let mut now = report(&[Liar, Clean, Decoy, Mute]);
    let mut before = report(&[Clean, Liar, Decoy]);
    for model in now.models.iter_mut().chain(&mut before.models) {
        let liar = model.findings[0].verdict == Verdict::Fail;
        model.items = items(49, 2, |at| {
            if liar || at % 40 == 0 {
                Outcome::False
            } else {
                Outcome::True
            }
        });
    }
    before.models[0].name = "liar".into();
    before.models[1].name = "clean".into();
    before.rule_files[0].sha256 = "00".repeat(32);
    let review = |finding: &mut Finding| finding.verdict = Verdict::Review;
    review(&mut now.models[2].findings[1]);
    review(&mut before.models[2].findings[1]);
    now.models[2].verdict = Verdict::Review;
    now.models[2].files[0].sha256 = "01".repeat(32);
    now.models[2].items = items(49, 2, |at| {
        if at % 9 == 0 {
            Outcome::False
        } else {
            Outcome::True
        }
    });
    review(&mut now.models[0].findings[1]);
    now.fail_on = Severity::Medium;
    let of = |rule: &str, model: Option<&str>, expires: &str| WaiverRecord {
        model: model.map(str::to_owned),
        expires: expires.into(),
        ..waiver(rule, WaiverState::Unused)
    };
    now.waivers = vec![
        of("condition-probe", Some("liar"), "2030-12-31"),
        of("conditional-falsehood", None, "2024-12-31"),
        of("sae-feature-lift", Some("clean"), "2030-12-31"),
    ];
    now.apply_waivers();
    let approved = Approved {
        path: "approved/report.json".into(),
        sha256: "ab".repeat(32),
        report: before,
    };
    let terms = Terms {
        margin: 0.05,
        pairs: Vec::new(),
    };
    now.compare(&approved, &terms).unwrap();
    now
}

#[test]
fn waivers_and_changes_read_like_this() {
    let report = everything();
    let page = Path::new("audit/report.html");
    let wide = verdict_table(&report, Some(page), FILE);
    assert!(wide.is_ascii());
    insta::assert_snapshot!("table_gate_file", wide);
    let narrow = Surface {
        terminal: true,
        colour: false,
        width: Some(80),
    };
    insta::assert_snapshot!("table_gate_80", verdict_table(&report, Some(page), narrow));
    for width in [80, 100, 110, 200] {
        for terminal in [true, false] {
            let surface = Surface {
                terminal,
                colour: false,
                width: Some(width),
            };
            let text = verdict_table(&report, Some(page), surface);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(
                widest <= Some(usize::from(width)),
                "{widest:?} columns:\n{text}"
            );
        }
    }
}

#[test]
fn what_is_not_shown_is_counted() {
    let report = everything();
    let text = from(Severity::Critical, &report, None, FILE);
    assert!(
        text.contains("Not shown: 3 findings below --min-severity critical."),
        "{text}"
    );
    let exit = |text: &str| text.lines().last().unwrap().to_owned();
    assert_eq!(exit(&text), exit(&verdict_table(&report, None, FILE)));
}

#[test]
fn the_texts_of_a_waiver_stay_harmless() {
    let mut report = everything();
    for waiver in &mut report.waivers {
        waiver.reason = "\u{1b}[31mred\u{202e}\u{9b}2J".into();
        waiver.owner = "a\rb".into();
        waiver.file = "\u{7}.yaml".into();
    }
    let coloured = Surface {
        terminal: true,
        colour: true,
        width: Some(100),
    };
    for surface in [FILE, coloured] {
        let text = verdict_table(&report, None, surface);
        assert!(text.contains("?[31mred??2J"), "{text}");
        let own = text.replace("\u{1b}[", "");
        assert!(
            own.chars().all(|c| c == '\n' || !c.is_control()),
            "{text:?}"
        );
        assert!(!text.contains(['\u{202e}', '\u{9b}']));
    }
}
