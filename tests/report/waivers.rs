//! What waivers do to a report.

use candor::report::{AuditReport, Exit, WaiverState, json};
use candor::rules::{Severity, Verdict};

use crate::exit::waiver;
use crate::synthetic::Kind::{Clean, Liar, Mute};
use crate::synthetic::report;

/// Waives `rule` on a model and a suite until a day, and what became of it.
fn waived(report: &mut AuditReport, aims: &[(&str, Option<&str>, Option<&str>, &str)]) {
    report.waivers = aims
        .iter()
        .map(|(rule, model, suite, expires)| {
            let mut one = waiver(rule, WaiverState::Applied);
            one.model = model.map(str::to_owned);
            one.suite = suite.map(str::to_owned);
            (*expires).clone_into(&mut one.expires);
            one
        })
        .collect();
    report.apply_waivers();
}

fn states(report: &AuditReport) -> Vec<WaiverState> {
    report.waivers.iter().map(|waiver| waiver.state).collect()
}

#[test]
fn a_waiver_waives_what_it_names() {
    let mut liar = report(&[Liar]);
    for (model, suite, state, code) in [
        (None, None, WaiverState::Applied, 0),
        (Some("liar"), Some("facts"), WaiverState::Applied, 0),
        (Some("clean"), None, WaiverState::Unused, 14),
        (None, Some("other"), WaiverState::Unused, 14),
    ] {
        waived(
            &mut liar,
            &[("conditional-falsehood", model, suite, "2030-01-01")],
        );
        assert_eq!(states(&liar), [state], "{model:?} {suite:?}");
        assert_eq!(Exit::of_report(&liar).code(), code, "{model:?} {suite:?}");
        assert_eq!(liar.models[0].verdict, Verdict::Fail, "the verdict stays");
        let back = json::read(&json::write(&liar).unwrap()).unwrap();
        assert_eq!(back, liar);
    }
    waived(&mut liar, &[("no-such-rule", None, None, "2030-01-01")]);
    assert_eq!(states(&liar), [WaiverState::Unused]);
}

#[test]
fn its_last_day_is_the_last_on_which_it_holds() {
    // The audit began on the first of January 2025.
    for (expires, state, code) in [
        ("2024-12-31", WaiverState::Expired, 14),
        ("2025-01-01", WaiverState::Applied, 0),
        ("2025-01-02", WaiverState::Applied, 0),
        ("not a day", WaiverState::Expired, 14),
    ] {
        let mut liar = report(&[Liar]);
        waived(&mut liar, &[("conditional-falsehood", None, None, expires)]);
        assert_eq!(
            (states(&liar), Exit::of_report(&liar).code()),
            (vec![state], code),
            "{expires}"
        );
    }
    let mut liar = report(&[Liar]);
    liar.started = "yesterday".into();
    waived(
        &mut liar,
        &[("conditional-falsehood", None, None, "2030-01-01")],
    );
    assert_eq!(
        states(&liar),
        [WaiverState::Expired],
        "without a day nothing is waived"
    );
}

#[test]
fn what_passes_needs_no_waiver_and_what_could_not_be_told_may_have_one() {
    let mut clean = report(&[Clean]);
    waived(
        &mut clean,
        &[("conditional-falsehood", None, None, "2030-01-01")],
    );
    assert_eq!(states(&clean), [WaiverState::Unused]);
    let mut mute = report(&[Mute]);
    assert_eq!(Exit::of_report(&mute), Exit::Inconclusive);
    waived(
        &mut mute,
        &[
            ("conditional-falsehood", None, None, "2030-01-01"),
            ("sae-feature-lift", None, None, "2030-01-01"),
        ],
    );
    assert_eq!(states(&mute), [WaiverState::Applied; 2]);
    assert_eq!(Exit::of_report(&mute), Exit::Clean);
    mute.models[0]
        .incomplete
        .push(candor::evidence::Unmeasured {
            what: "suite `facts`".into(),
            why: "1 of 72 runs failed".into(),
        });
    assert_eq!(
        Exit::of_report(&mute),
        Exit::Inconclusive,
        "no waiver hides what was not done"
    );
}

#[test]
fn of_several_that_fit_the_first_is_named_and_none_is_unused() {
    let mut liar = report(&[Liar]);
    waived(
        &mut liar,
        &[
            ("conditional-falsehood", None, None, "2024-01-01"),
            ("conditional-falsehood", Some("liar"), None, "2030-01-01"),
            ("conditional-falsehood", None, Some("facts"), "2030-01-01"),
        ],
    );
    assert_eq!(
        states(&liar),
        [
            WaiverState::Expired,
            WaiverState::Applied,
            WaiverState::Applied
        ]
    );
    assert_eq!(liar.models[0].findings[0].waiver, Some(1));
}

#[test]
fn waiving_again_forgets_what_was_waived_before() {
    let mut liar = report(&[Liar]);
    waived(
        &mut liar,
        &[("conditional-falsehood", None, None, "2030-01-01")],
    );
    liar.models[0].findings[0].verdict = Verdict::Pass;
    liar.models[0].findings[0].severity = Severity::Low;
    liar.apply_waivers();
    assert_eq!(states(&liar), [WaiverState::Unused]);
    assert_eq!(liar.models[0].findings[0].waiver, None);
}

#[test]
fn a_stored_report_cannot_waive_what_its_waivers_do_not() {
    let mut liar = report(&[Liar]);
    waived(&mut liar, &[("condition-probe", None, None, "2024-01-01")]);
    liar.models[0].findings[0].waiver = Some(0);
    let fault = json::read(&json::write(&liar).unwrap()).unwrap_err();
    assert!(fault.found.contains("waivers"), "{fault}");
    liar.models[0].findings[0].waiver = None;
    liar.waivers[0].state = WaiverState::Applied;
    json::read(&json::write(&liar).unwrap()).unwrap_err();
    liar.waivers[0].state = WaiverState::Expired;
    json::read(&json::write(&liar).unwrap()).unwrap();
}
