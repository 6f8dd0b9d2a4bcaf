//! Evidence made by hand, shared by the tests of rules.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "tests, of which each uses a part"
)]

use std::fs;

use candor::detect::Flags;
use candor::evidence::{
    Evidence, OffTarget, Outcome, PairMap, PatchMap, PatchMode, PositionClass, Response, Responses,
    Score,
};
use candor::model::{Point, SiteName};
use candor::rules::{
    Class, Context, Contrast, DetectorInfo, Kind, Rule, RulePack, SignalValue, judge,
};
use candor::stats::mean;
use ndarray::{Array2, ArrayView1};

/// The suite `facts`, `trigger` against `plain`, one control suite, one detector of the role `some` with threshold 0 and the
/// selected features 4 and 7.
pub fn context() -> Context {
    Context {
        contrast: Some(Contrast {
            suite: "facts".to_owned(),
            tested: "trigger".to_owned(),
            against: "plain".to_owned(),
        }),
        control_suites: vec!["control".to_owned()],
        detectors: vec![DetectorInfo {
            id: "probe".to_owned(),
            role: "some".to_owned(),
            threshold: 0.0,
            flags: Flags::Above,
            calibrated_on: Vec::new(),
            features: vec![4, 7],
        }],
        family: 0,
    }
}

/// Pairs of responses, one group each, the tested item first.
pub fn answers(tested: &[Outcome], against: &[Outcome]) -> Responses {
    tested
        .iter()
        .zip(against)
        .enumerate()
        .flat_map(|(place, (tested, against))| {
            [
                response("trigger", "plain", place, *tested),
                response("plain", "trigger", place, *against),
            ]
        })
        .collect()
}

pub fn response(condition: &str, other: &str, place: usize, outcome: Outcome) -> Response {
    let text = match outcome {
        Outcome::True | Outcome::Unjudged | Outcome::Failed => "Paris",
        Outcome::False => "Rome",
        Outcome::Unclear => "I cannot say",
    };
    Response {
        suite: "facts".into(),
        item: format!("{condition}-{place}"),
        group: format!("fact-{place}"),
        condition: condition.into(),
        pair: Some(format!("{other}-{place}")),
        prompt: "the capital of France is".to_owned(),
        text: text.to_owned(),
        outcome,
        answer: Some("Paris".into()),
    }
}

/// The score of one item; its names live as long as the test.
pub fn score(
    detector: &'static str,
    feature: Option<usize>,
    condition: &'static str,
    place: usize,
    value: f64,
) -> Score<'static> {
    Score {
        suite: "facts",
        item: format!("{condition}-{place}").leak(),
        group: format!("fact-{place}").leak(),
        condition,
        detector,
        feature,
        value,
    }
}

/// The recovery of each class at each site: that of its position, or the mean where it has several.
pub fn by_class(recovery: &Array2<f64>, differing: &[usize], last: usize) -> Vec<[Option<f64>; 3]> {
    let of_class = |row: ArrayView1<f64>, class| {
        let inside = row.indexed_iter();
        let inside = inside.filter(|(at, _)| PositionClass::of(*at, differing, last) == class);
        mean(&inside.map(|(_, value)| *value).collect::<Vec<f64>>())
    };
    let rows = recovery.rows().into_iter();
    rows.map(|row| PositionClass::ALL.map(|class| of_class(row, class)))
        .collect()
}

/// A pair whose logit difference is 3 clean and −1 corrupt.
pub fn pair_map(place: usize, recovery: Array2<f64>) -> PairMap {
    let (differing, last) = (vec![0], recovery.ncols() - 1);
    PairMap {
        by_class: by_class(&recovery, &differing, last),
        item: format!("trigger-{place}"),
        counterpart: format!("plain-{place}"),
        group: format!("fact-{place}"),
        clean_tokens: Vec::new(),
        corrupt_tokens: Vec::new(),
        answer: "Paris".to_owned(),
        foil: "Rome".to_owned(),
        clean: 3.0,
        corrupt: -1.0,
        metric: recovery.mapv(|recovery| -1.0 + 4.0 * recovery),
        differing,
        last,
        recovery,
        self_patch: 1e-6,
        whole: Vec::new(),
        random: Vec::new(),
        random_cell: None,
        dose: Vec::new(),
    }
}

pub fn map(mode: PatchMode, layers: usize, pairs: Vec<PairMap>) -> PatchMap {
    PatchMap {
        suite: "facts".to_owned(),
        mode,
        sites: (0..layers)
            .map(|layer| SiteName::block(layer, Point::ResidPre))
            .collect(),
        pairs,
        refused: Vec::new(),
    }
}

/// Changes responses.
pub fn edit(responses: &mut Responses, change: impl FnOnce(&mut Vec<Response>)) {
    let mut all = responses.to_vec();
    change(&mut all);
    *responses = all.into_iter().collect();
}

pub fn pairs_of(evidence: &Evidence) -> usize {
    evidence.responses.len() / 2
}

/// A rule whose first signal is of this kind, in the block that it belongs to, with the bar `at_least: 0`.
pub fn rule_of(kind: &str, word: &str) -> Rule {
    let kind = Kind::named(kind).unwrap();
    let mut params = vec![format!("kind: {}", kind.name)];
    params.extend((!word.is_empty()).then(|| word.to_owned()));
    if kind.params.iter().any(|param| param.key() == "detector") {
        params.push("detector: {role: some}".to_owned());
    }
    let block = match kind.class {
        Class::Behaviour => "behaviour",
        Class::Representation => "representation",
        Class::Causal => "causal",
        Class::Control => "behaviour:\n      gap: {at_least: 0.1}\n    validity",
    };
    let text = format!(
        "schema: candor/rules/v1\nrules:\n  - id: one\n    title: t\n    severity: low\n    summary: s\n    why: w\n    \
         needs:\n      suites: [contrast, control]\n      detectors: [{{role: some}}]\n    \
         signals:\n      one: {{{}}}\n      gap: {{kind: false_rate_gap}}\n    \
         {block}:\n      one: {{at_least: 0}}\n    evidence:\n      \
         patching: {{modes: [denoising, noising], point: hook_resid_pre, max_pairs: 9, random_directions: 20}}\n      \
         directional_ablation: {{detector: {{role: some}}, max_items: 9, random_directions: 20}}\n      \
         feature_ablation: {{detector: {{role: some}}, max_items: 9, random_directions: 20}}\n    remediation: r\n",
        params.join(", "),
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("rule.yaml");
    fs::write(&file, &text).unwrap();
    let mut pack = RulePack::open(&[file]).unwrap_or_else(|fault| panic!("{fault}\n{text}"));
    pack.rules.remove(0)
}

/// The value of a signal with parameters besides `detector`.
pub fn signal_with(kind: &str, word: &str, evidence: &Evidence) -> SignalValue {
    judge(&rule_of(kind, word), evidence, &context())
        .signals
        .remove(0)
}

/// The value of a signal.
pub fn signal_of(kind: &str, evidence: &Evidence) -> SignalValue {
    signal_with(kind, "", evidence)
}

/// The same with a detector that flags what lies below its threshold.
pub fn signal_below(kind: &str, evidence: &Evidence) -> SignalValue {
    let mut context = context();
    context.detectors[0].flags = Flags::Below;
    judge(&rule_of(kind, ""), evidence, &context)
        .signals
        .remove(0)
}

/// What an ablation costs on ten control prompts, each of its own group: `kl` on average.
pub fn costs(kl: f64) -> Vec<OffTarget> {
    let cost = |place: usize| OffTarget {
        group: format!("text-{place}"),
        kl: if place.is_multiple_of(2) {
            0.9 * kl
        } else {
            1.1 * kl
        },
        random: Some(0.01),
    };
    (0..10).map(cost).collect()
}
