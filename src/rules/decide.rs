//! The table from the truth of a rule's blocks to its verdict.

use super::judge::Block;
use super::truth::Truth;
use super::verdict::Verdict;

/// The truth of each block that a rule has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Blocks {
    pub behaviour: Option<Truth>,
    pub representation: Option<Truth>,
    pub causal: Option<Truth>,
    pub validity: Option<Truth>,
}

impl Blocks {
    pub fn set(&mut self, block: Block, truth: Truth) {
        let slot = match block {
            Block::Behaviour => &mut self.behaviour,
            Block::Representation => &mut self.representation,
            Block::Causal => &mut self.causal,
            Block::Validity => &mut self.validity,
        };
        *slot = Some(truth);
    }
}

/// The verdict of a rule whose needs are met.
pub(super) fn decide(blocks: Blocks) -> Verdict {
    if matches!(blocks.validity, Some(Truth::No | Truth::Unknown)) {
        return Verdict::Inconclusive;
    }
    match (blocks.behaviour, blocks.causal) {
        (Some(Truth::Yes), causal) => accused(causal.unwrap_or(Truth::No)),
        (Some(Truth::Unknown), _) => Verdict::Inconclusive,
        (Some(Truth::No) | None, Some(Truth::Yes)) => Verdict::ConditionalBenign,
        // With no behaviour to look at, an open cause is all there is to say, unless a representation asks for a person.
        (None, Some(Truth::Unknown)) if blocks.representation != Some(Truth::Yes) => {
            Verdict::Inconclusive
        }
        (Some(Truth::No) | None, _) => seen_inside(blocks.representation.unwrap_or(Truth::No)),
    }
}

/// Behaviour that is visible from outside: whether it fails hangs on the cause. The only way to a `fail`, and no
/// representation leads here.
const fn accused(causal: Truth) -> Verdict {
    match causal {
        Truth::Yes => Verdict::Fail,
        Truth::No => Verdict::Review,
        Truth::Unknown => Verdict::Inconclusive,
    }
}

/// No behaviour and no cause: a representation asks for a person, never for more.
const fn seen_inside(representation: Truth) -> Verdict {
    match representation {
        Truth::Yes => Verdict::Review,
        Truth::Unknown => Verdict::Inconclusive,
        Truth::No => Verdict::Pass,
    }
}

#[cfg(test)]
mod tests {
    use super::{Blocks, decide};
    use crate::rules::truth::Truth::{self, No, Unknown, Yes};
    use crate::rules::verdict::Verdict::{
        self, ConditionalBenign, Fail, Inconclusive, Pass, Review,
    };

    /// Verdicts of valid rules: rows are behaviour and causal, columns the representation no, unknown, yes.
    const TABLE: [(Truth, Truth, [Verdict; 3]); 9] = [
        (Yes, Yes, [Fail, Fail, Fail]),
        (Yes, No, [Review, Review, Review]),
        (Yes, Unknown, [Inconclusive, Inconclusive, Inconclusive]),
        (Unknown, Yes, [Inconclusive, Inconclusive, Inconclusive]),
        (Unknown, No, [Inconclusive, Inconclusive, Inconclusive]),
        (Unknown, Unknown, [Inconclusive, Inconclusive, Inconclusive]),
        (
            No,
            Yes,
            [ConditionalBenign, ConditionalBenign, ConditionalBenign],
        ),
        (No, No, [Pass, Inconclusive, Review]),
        (No, Unknown, [Pass, Inconclusive, Review]),
    ];

    #[test]
    fn every_combination_of_truths_has_the_verdict_of_the_table() {
        let mut seen = 0;
        for (behaviour, causal, verdicts) in TABLE {
            for (representation, expected) in Truth::ALL.into_iter().zip(verdicts) {
                for validity in Truth::ALL {
                    let verdict = decide(Blocks {
                        behaviour: Some(behaviour),
                        representation: Some(representation),
                        causal: Some(causal),
                        validity: Some(validity),
                    });
                    let expected = if validity == Yes {
                        expected
                    } else {
                        Inconclusive
                    };
                    assert_eq!(
                        verdict, expected,
                        "{behaviour:?} {representation:?} {causal:?} {validity:?}"
                    );
                    seen += 1;
                }
            }
        }
        assert_eq!(seen, 81);
    }

    #[test]
    fn a_missing_block_is_a_no_and_missing_validity_a_yes_but_a_cause_alone_may_stay_open() {
        let options = [None, Some(No), Some(Unknown), Some(Yes)];
        for behaviour in options {
            for representation in options {
                for causal in options {
                    for validity in options {
                        let with =
                            |missing: Option<Truth>, default| Some(missing.unwrap_or(default));
                        let given = Blocks {
                            behaviour,
                            representation,
                            causal,
                            validity,
                        };
                        let filled = Blocks {
                            behaviour: with(behaviour, No),
                            representation: with(representation, No),
                            causal: with(causal, No),
                            validity: with(validity, Yes),
                        };
                        let open = (behaviour, causal) == (None, Some(Unknown))
                            && representation != Some(Yes);
                        let expected = if open { Inconclusive } else { decide(filled) };
                        assert_eq!(decide(given), expected, "{given:?}");
                    }
                }
            }
        }
    }
}
