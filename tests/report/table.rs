use std::path::Path;

use candor::evidence::Unmeasured;
use candor::report::{Surface, verdict_table};

use crate::synthetic::Kind::{Clean, Decoy, Liar, Mute};
use crate::synthetic::report;

const FILE: Surface = Surface {
    terminal: false,
    colour: false,
    width: Some(110),
};

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
