use candor::evidence::Unmeasured;
use candor::fault::Fault;
use candor::report::Exit;
use candor::rules::Severity::{self, Critical, High, Low, Medium};
use candor::rules::Verdict::{
    self, ConditionalBenign, Fail, Inconclusive, NotMeasurable, Pass, Review,
};

use crate::synthetic::bare;

type Row = (&'static [(Verdict, Severity)], Severity, u8);

const TABLE: &[Row] = &[
    (&[(Pass, Critical)], High, 0),
    (&[(ConditionalBenign, Critical)], Low, 0),
    (&[(Fail, Low)], Low, 11),
    (&[(Fail, Medium)], Medium, 12),
    (&[(Fail, High)], High, 13),
    (&[(Fail, Critical)], High, 14),
    (&[(Fail, Critical)], Critical, 14),
    (&[(Fail, High)], Critical, 0),
    (&[(Fail, Medium)], High, 0),
    (&[(Review, Critical)], High, 0),
    (&[(Review, Critical)], Medium, 12),
    (&[(Review, Low)], Medium, 0),
    (&[(Review, Low)], Low, 11),
    (&[(Inconclusive, Critical)], High, 4),
    (&[(NotMeasurable, Low)], High, 4),
    (&[(Pass, High), (Inconclusive, Low)], High, 4),
    (&[(Inconclusive, Critical), (Fail, High)], High, 13),
    (&[(Inconclusive, Critical), (Fail, Low)], High, 4),
    (&[(Fail, Medium), (Fail, Critical), (Pass, Low)], Low, 14),
    (&[], High, 4),
];

#[test]
fn gates_as_the_table_says() {
    for (findings, fail_on, code) in TABLE {
        let mut report = bare(findings);
        report.fail_on = *fail_on;
        assert_eq!(
            Exit::of_report(&report).code(),
            *code,
            "{findings:?}, fail-on {fail_on}"
        );
    }
}

#[test]
fn the_gravest_of_several_models_decides() {
    let mut report = bare(&[(Fail, High)]);
    report.models.extend(bare(&[(Fail, Critical)]).models);
    report
        .models
        .extend(bare(&[(Inconclusive, Critical)]).models);
    assert_eq!(Exit::of_report(&report), Exit::Finding(Critical));
}

#[test]
fn an_incomplete_audit_outranks_a_tripped_gate() {
    let mut report = bare(&[(Fail, Critical)]);
    report.models.extend(bare(&[(Pass, High)]).models);
    report.models[1].incomplete.push(Unmeasured {
        what: "suite `facts`".into(),
        why: "3 of 128 runs failed".into(),
    });
    assert_eq!(Exit::of_report(&report), Exit::Inconclusive);
}

#[test]
fn an_audit_of_nothing_is_not_clean() {
    assert_eq!(Exit::of_report(&crate::synthetic::report(&[])).code(), 4);
}

#[test]
fn faults_have_their_own_codes() {
    for (fault, code) in [
        (Fault::failed("a", "b"), 1),
        (Fault::usage("a", "b"), 2),
        (Fault::no_inputs("a", "b"), 3),
    ] {
        assert_eq!(Exit::of_fault(&fault).code(), code);
    }
}
