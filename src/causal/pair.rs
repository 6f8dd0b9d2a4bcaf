//! Two prompts of equal length that differ in the condition alone.

use crate::evidence::PositionClass;
use crate::fault::{Fault, Result};
use crate::tokens::Encoded;

/// A pair for patching: the clean run is the baseline condition, the corrupt run the tested one.
#[derive(Debug, Clone)]
pub struct Pair {
    /// Id of the item under the tested condition.
    pub item: String,
    /// Id of its counterpart.
    pub counterpart: String,
    /// The cluster.
    pub group: String,
    /// The counterpart's prompt.
    pub clean: Encoded,
    /// The item's prompt.
    pub corrupt: Encoded,
    /// First side of the logit difference.
    pub answer: i64,
    /// Second side of the logit difference.
    pub foil: i64,
    /// `answer` as text.
    pub answer_text: String,
    /// `foil` as text.
    pub foil_text: String,
}

impl Pair {
    /// Positions at which the prompts differ.
    #[must_use]
    pub fn differing(&self) -> Vec<usize> {
        let ids = self.clean.ids.iter().zip(&self.corrupt.ids);
        ids.enumerate()
            .filter(|(_, (a, b))| a != b)
            .map(|(position, _)| position)
            .collect()
    }

    /// Positions of a class.
    #[must_use]
    pub fn positions_of(&self, class: PositionClass) -> Vec<usize> {
        let (differing, last) = (self.differing(), self.last());
        (0..self.clean.ids.len())
            .filter(|position| PositionClass::of(*position, &differing, last) == class)
            .collect()
    }

    /// The position that the answer is read at: the last one.
    #[must_use]
    pub fn last(&self) -> usize {
        self.clean.ids.len().saturating_sub(1)
    }
}

/// Refuses prompts of unequal length: patching compares positions one by one.
///
/// # Errors
/// The two prompts have different numbers of tokens, or are the same.
pub fn equal_length(clean: (&str, &Encoded), corrupt: (&str, &Encoded)) -> Result<()> {
    let doing = || format!("pairing `{}` with `{}` for patching", clean.0, corrupt.0);
    if clean.1.ids.len() != corrupt.1.ids.len() {
        return Err(Fault::usage(
            doing(),
            format!(
                "{} tokens [{}] against {} tokens [{}]",
                clean.1.ids.len(),
                shown(&clean.1.tokens),
                corrupt.1.ids.len(),
                shown(&corrupt.1.tokens)
            ),
        )
        .expected("two prompts of equal length in tokens")
        .hint("replace a word by one with as many tokens instead of adding or removing one"));
    }
    if clean.1.ids == corrupt.1.ids {
        return Err(Fault::usage(doing(), "two identical prompts")
            .expected("prompts that differ in the condition"));
    }
    Ok(())
}

/// Tokens of a message: what a person reads, of a prompt of any length.
const SHOWN: usize = 48;

fn shown(tokens: &[String]) -> String {
    match tokens.get(..SHOWN) {
        Some(first) if tokens.len() > SHOWN => format!("{}|…", first.join("|")),
        _ => tokens.join("|"),
    }
}
