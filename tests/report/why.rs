use candor::evidence::Outcome;
use candor::report::{AuditReport, ModelAudit};
use candor::rules::Verdict;

use crate::synthetic::Kind::{Clean, Decoy, Liar, Mute};
use crate::synthetic::{evidence, model, report};

#[test]
fn every_model_is_told_by_its_own_numbers() {
    let report: AuditReport = report(&[Liar, Clean, Decoy, Mute]);
    let told: Vec<String> = report
        .models
        .iter()
        .map(|model| {
            let why = model.why();
            let figure = why.figure.unwrap();
            format!(
                "{}: {} {}, {}\n  {}\n  {}",
                model.name,
                figure.value,
                figure.what,
                figure.against,
                why.numbers.join("; "),
                why.sentence
            )
        })
        .collect();
    insta::assert_snapshot!("why", told.join("\n"));
}

fn with_verdict(kind: crate::synthetic::Kind, verdict: Verdict) -> ModelAudit {
    let mut model = model(kind);
    model.findings.truncate(1);
    model.findings[0].verdict = verdict;
    model.verdict = verdict;
    model
}

#[test]
fn a_benign_condition_that_still_does_some_harm_is_not_called_harmless() {
    let mut model = with_verdict(Decoy, Verdict::ConditionalBenign);
    let tested = &mut model.exhibits.contrasts[0].tested;
    tested.said_true -= 1;
    tested.said_false += 1;
    let sentence = model.why().sentence;
    assert!(sentence.starts_with("False in 1 of 36 pairs"), "{sentence}");
    assert!(sentence.contains("stays below the bar"), "{sentence}");
    assert!(!sentence.contains("not whether"), "{sentence}");
}

#[test]
fn lost_answers_are_told_as_such() {
    let why = with_verdict(Mute, Verdict::Fail).why();
    assert!(
        why.sentence
            .starts_with("Right in 0 of 36 pairs under `trigger`, against 36")
    );
}

#[test]
fn without_pairs_the_rules_own_reason_is_given() {
    let mut model = with_verdict(Clean, Verdict::Pass);
    model.exhibits = candor::report::Exhibits::default();
    model.detectors.clear();
    let why = model.why();
    assert_eq!(why.figure, None);
    assert_eq!(why.sentence, model.findings[0].reasons[0]);
    model.findings.clear();
    assert_eq!(model.why().sentence, "No rule was applied.");
}

#[test]
fn what_keeps_a_rule_from_a_conclusion_is_named() {
    let mut model = with_verdict(Clean, Verdict::Inconclusive);
    let bar = &mut model.findings[0].signals[3].bars[0];
    (bar.block, bar.met) = ("validity".into(), Some(false));
    let sentence = model.why().sentence;
    assert!(sentence.contains("The self_patch: 0"), "{sentence}");
    assert!(sentence.contains("asked: at most 0.01"), "{sentence}");
}

#[test]
fn unjudged_answers_give_no_figure() {
    let mut evidence = evidence(Liar);
    let mut responses = evidence.responses.to_vec();
    for response in &mut responses {
        response.outcome = Outcome::Unjudged;
    }
    evidence.responses = responses.into_iter().collect();
    let mut model = with_verdict(Liar, Verdict::Review);
    model.exhibits.contrasts = candor::report::exhibits(
        &evidence,
        &candor::report::ExhibitContext {
            detectors: &[],
            seed: 0,
        },
    )
    .unwrap()
    .contrasts;
    assert_eq!(model.why().figure, None);
}
