//! What a report says of its own gate: items, repetitions, samples, what failed.

use candor::detect::Flags;
use candor::evidence::{Evidence, Outcome, Unmeasured};
use candor::report::{self, DetectorRecord, Power, items, repeat};

use crate::synthetic::Kind::{Clean, Decoy, Liar};
use crate::synthetic::again::{ask_again, power};
use crate::synthetic::{evidence, model};

fn asked_again() -> (Evidence, Vec<DetectorRecord>) {
    let mut evidence = evidence(Liar);
    ask_again(&mut evidence);
    (evidence, model(Liar).detectors)
}

#[test]
fn every_item_is_listed_with_its_score_and_whether_that_is_a_flag() {
    let listed = model(Liar).items;
    assert_eq!((listed.total, listed.lines.len()), (84, 84));
    assert_eq!(listed.detectors, ["condition-l2"]);
    for line in &listed.lines {
        let Some(score) = line.scores[0] else {
            assert_eq!((line.suite.as_str(), line.flagged.len()), ("control", 0));
            continue;
        };
        let flagged: &[usize] = if score > 0.42 { &[0] } else { &[] };
        assert_eq!(line.flagged, flagged, "{line:?}");
        assert_eq!(line.condition == "trigger", score > 0.42);
        assert_eq!(line.pair.is_some(), line.condition == "trigger");
    }
    assert!(listed.lines.iter().all(|line| line.unstable.is_empty()));
    // What a detector has not read has no score.
    let (mut evidence, detectors) = asked_again();
    evidence.scores = Evidence::default().scores;
    let line = &items(&evidence, &detectors, None).lines[0];
    assert_eq!((line.scores[0], line.flagged.len()), (None, 0));
}

#[test]
fn what_a_repetition_changes_is_counted() {
    let (evidence, detectors) = asked_again();
    let seen = repeat(&evidence, &detectors).unwrap();
    assert_eq!((seen.items, seen.changed), (14, 1));
    assert_eq!((seen.flips.n, seen.flips.point), (14, 1.0 / 14.0));
    // Clopper–Pearson of 1 in 14, by SciPy.
    assert!((seen.flips.low - 0.001_806_78).abs() < 1e-7);
    assert!((seen.flips.high - 0.338_684_49).abs() < 1e-7);
    assert_eq!(seen.noise.len(), 1);
    assert!((seen.noise[0].largest - 0.001).abs() < 1e-9);
    assert_eq!(seen.noise[0].unstable, 0);
    assert_eq!(repeat(&self::evidence(Clean), &detectors), None);
}

#[test]
fn scores_within_noise_of_the_threshold_are_unstable_and_a_crossing_is_a_flip() {
    let (mut evidence, mut detectors) = asked_again();
    let score = &mut evidence.repeats[3].scores[0];
    let before = score.value - 0.001;
    // A threshold between the two readings of one item, in either direction.
    for flags in [Flags::Above, Flags::Below] {
        detectors[0].flags = Some(flags);
        detectors[0].threshold = Some(before + 0.0005);
        let seen = repeat(&evidence, &detectors).unwrap();
        assert_eq!(seen.flips.point, 2.0 / 14.0, "an answer and a crossing");
        assert_eq!(seen.noise[0].unstable, 1);
        let listed = items(&evidence, &detectors, Some(&seen));
        let unstable: Vec<_> = listed
            .lines
            .iter()
            .filter(|line| line.unstable == [0])
            .map(|line| line.item.clone())
            .collect();
        assert_eq!(unstable, [evidence.repeats[3].item.clone()]);
    }
    // The same readings twice: at the threshold itself nothing is unstable, because nothing moves.
    for repeated in &mut evidence.repeats {
        for score in &mut repeated.scores {
            score.value -= 0.001;
        }
    }
    detectors[0].threshold = Some(before);
    let seen = repeat(&evidence, &detectors).unwrap();
    assert!(
        seen.noise[0].largest < 1e-12 && seen.flips.point < 0.1,
        "{seen:?}"
    );
    // Without a threshold there is noise and nothing to cross.
    detectors[0].threshold = None;
    assert_eq!(repeat(&evidence, &detectors).unwrap().noise[0].unstable, 0);
}

#[test]
fn lines_on_samples_can_be_read() {
    let lines = Power::lines(&power());
    let text: Vec<String> = lines
        .iter()
        .map(|(clears, line)| format!("{clears}: {line}"))
        .collect();
    insta::assert_snapshot!("power", text.join("\n"));
}

#[test]
fn a_sample_that_only_the_controls_keep_from_clearing_says_so() {
    let mut power = power();
    power[0].can_clear = false;
    let (_, line) = &Power::lines(&power)[0];
    assert!(line.contains("its controls ask for more"), "{line}");
}

#[test]
fn failed_items_and_refused_pairs_are_named_with_what_was_planned() {
    let mut evidence = evidence(Decoy);
    assert_eq!(report::failed(&report::accounts(&evidence)), []);
    assert_eq!(report::refused(&evidence), []);
    let mut responses = evidence.responses.to_vec();
    for response in responses.iter_mut().take(5) {
        response.outcome = Outcome::Failed;
    }
    evidence.responses = responses.into_iter().collect();
    evidence.maps[0].refused = vec![
        Unmeasured {
            what: "trigger-003".into(),
            why: "the two runs agree".into(),
        };
        2
    ];
    let said = |all: Vec<Unmeasured>| -> Vec<String> {
        let lines = all.into_iter();
        lines
            .map(|one| format!("{}: {}", one.what, one.why))
            .collect()
    };
    let all = [
        said(report::failed(&report::accounts(&evidence))),
        said(report::refused(&evidence)),
    ];
    insta::assert_snapshot!("incomplete", all.concat().join("\n"));
}
