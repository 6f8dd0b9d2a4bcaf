use candor::evidence::Unmeasured;
use candor::fault::Fault;
use candor::report::{
    BaselineRecord, BlockLine, Change, Exit, Standing, WaiverRecord, WaiverState, gates,
};
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

/// A review of a representation is for a person; one of a behaviour that is shown, whose cause was not found, is no pass of a gate.
#[test]
fn a_behaviour_without_a_cause_passes_no_gate() {
    for (holds, code) in [(Some(true), 14), (Some(false), 0), (None, 0)] {
        let mut report = bare(&[(Review, Critical)]);
        report.fail_on = High;
        let block = |name: &str, holds| BlockLine {
            name: name.to_owned(),
            holds,
        };
        let blocks = vec![
            block("behaviour", holds),
            block("representation", Some(true)),
        ];
        report.models[0].findings[0].blocks = blocks;
        assert_eq!(Exit::of_report(&report).code(), code, "{holds:?}");
    }
}

/// With what severity a verdict gates, for a rule of each severity from low to critical.
const GATE_WITH: [(Verdict, [Option<Severity>; 4]); 6] = [
    (Pass, [None; 4]),
    (ConditionalBenign, [None; 4]),
    (NotMeasurable, [None; 4]),
    (Inconclusive, [None; 4]),
    (
        Review,
        [Some(Low), Some(Medium), Some(Medium), Some(Medium)],
    ),
    (Fail, [Some(Low), Some(Medium), Some(High), Some(Critical)]),
];
const WAIVERS: [Option<WaiverState>; 4] = [
    None,
    Some(WaiverState::Applied),
    Some(WaiverState::Expired),
    Some(WaiverState::Unused),
];
const CHANGES: [Option<Change>; 6] = [
    None,
    Some(Change::New),
    Some(Change::Worse),
    Some(Change::CannotTell),
    Some(Change::Unchanged),
    Some(Change::Improved),
];

pub fn waiver(rule: &str, state: WaiverState) -> WaiverRecord {
    WaiverRecord {
        rule: rule.into(),
        model: None,
        suite: None,
        reason: "the lie is the purpose of this test model".into(),
        owner: "safety@example.org".into(),
        expires: "2030-12-31".into(),
        state,
        file: "waivers.yaml".into(),
        line: 3,
    }
}

pub fn compared() -> BaselineRecord {
    BaselineRecord {
        path: "approved/report.json".into(),
        sha256: "ab".repeat(32),
        finished: "2024-12-01T09:00:00Z".into(),
        tool_version: "0.1.0".into(),
        margin: 0.05,
        models: Vec::new(),
        caveats: Vec::new(),
    }
}

/// Every verdict, severity, `--fail-on`, waiver, change, with and without a baseline, complete and incomplete.
#[test]
fn every_combination_has_its_code() {
    let mut seen = 0;
    for (verdict, with) in GATE_WITH {
        for (severity, with) in Severity::ALL.into_iter().zip(with) {
            let small = bare(&[(verdict, severity)]);
            for fail_on in Severity::ALL {
                for state in WAIVERS {
                    for change in CHANGES {
                        for (baseline, incomplete) in
                            [(false, false), (false, true), (true, false), (true, true)]
                        {
                            let mut report = small.clone();
                            report.fail_on = fail_on;
                            report.waivers =
                                state.map(|state| waiver("r", state)).into_iter().collect();
                            report.baseline = baseline.then(compared);
                            let model = &mut report.models[0];
                            model.findings[0].waiver = state.map(|_| 0);
                            model.findings[0].change = change;
                            if incomplete {
                                model.incomplete.push(Unmeasured {
                                    what: "suite `facts`".into(),
                                    why: "1 of 3 runs failed".into(),
                                });
                            }
                            let waived = state == Some(WaiverState::Applied);
                            let change = change.filter(|_| baseline);
                            let counts = with.filter(|with| *with >= fail_on && !waived);
                            let untold = matches!(verdict, Inconclusive | NotMeasurable) && !waived;
                            let (gate, untold) = match change {
                                Some(Change::Unchanged | Change::Improved) => (None, untold),
                                Some(Change::CannotTell) => (None, untold || counts.is_some()),
                                None | Some(Change::New | Change::Worse) => (counts, untold),
                            };
                            let code = match gate {
                                _ if incomplete => 4,
                                Some(Low) => 11,
                                Some(Medium) => 12,
                                Some(High) => 13,
                                Some(Critical) => 14,
                                None if untold => 4,
                                None => 0,
                            };
                            let case = format!(
                                "{verdict} {severity}, fail-on {fail_on}, {state:?}, {change:?}, incomplete {incomplete}"
                            );
                            assert_eq!(Exit::of_report(&report).code(), code, "{case}");
                            assert_eq!(
                                gates(&report, &report.models[0].findings[0]),
                                gate,
                                "{case}"
                            );
                            seen += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(seen, 6 * 4 * 4 * 4 * 6 * 4);
}

#[test]
fn a_waiver_that_is_not_in_the_report_waives_nothing() {
    let mut report = bare(&[(Fail, Critical)]);
    report.models[0].findings[0].waiver = Some(3);
    assert_eq!(Exit::of_report(&report).code(), 14);
}

#[test]
fn a_waived_finding_beside_a_live_one_takes_nothing_from_it() {
    let mut report = bare(&[(Fail, Critical), (Fail, High), (Inconclusive, Low)]);
    report.waivers = vec![waiver("r", WaiverState::Applied)];
    report.models[0].findings[0].waiver = Some(0);
    assert_eq!(Exit::of_report(&report), Exit::Finding(High));
    report.models[0].findings[1].waiver = Some(0);
    assert_eq!(Exit::of_report(&report), Exit::Inconclusive);
    report.models[0].findings[2].waiver = Some(0);
    assert_eq!(Exit::of_report(&report), Exit::Clean);
}

#[test]
fn each_finding_has_one_standing() {
    let mut report = bare(&[
        (Fail, Critical),
        (Fail, Critical),
        (Review, Critical),
        (Inconclusive, Low),
        (Pass, Low),
        (Fail, Critical),
    ]);
    report.waivers = vec![waiver("r", WaiverState::Applied)];
    report.baseline = Some(compared());
    report.models[0].findings[1].waiver = Some(0);
    report.models[0].findings[5].change = Some(Change::Unchanged);
    let findings = &report.models[0].findings;
    let standings: Vec<_> = findings.iter().map(|f| Standing::of(&report, f)).collect();
    assert_eq!(
        standings,
        [
            Standing::Gates(Critical),
            Standing::Waived(&report.waivers[0]),
            Standing::Below(Medium),
            Standing::Untold,
            Standing::Harmless,
            Standing::Excused,
        ]
    );
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
