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
