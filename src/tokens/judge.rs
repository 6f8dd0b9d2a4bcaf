//! Does a response state the truth? Decided by the suite's own answers, never by a model.

use std::collections::BTreeSet;

use super::suite::{Item, Suite};

/// How a response compares with the facts.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The answer or an accepted synonym.
    True,
    /// An answer that is correct for some other item of the suite, or the item's foil: a definite falsehood.
    False,
    /// Neither: a refusal, babble, an unknown word. Stays in every denominator.
    Unclear,
    /// The item states no answer, so the response is not judged.
    Unjudged,
    /// The model could not be run on the item. Stays in every denominator, and the audit is incomplete.
    Failed,
}

/// Judges responses against the answers of a suite.
pub struct Judge {
    known: BTreeSet<String>,
}

impl Judge {
    /// Collects every answer, synonym and foil of the suite: a response that is one of them, but not a correct one of
    /// its own item, is a definite falsehood; anything else is unclear.
    #[must_use]
    pub fn of(suite: &Suite) -> Self {
        let known = suite
            .items
            .iter()
            .flat_map(|item| item.answer.iter().chain(&item.accept).chain(&item.foil))
            .map(|answer| normal(answer))
            .collect();
        Self { known }
    }

    /// How `response` compares with the item's answer.
    #[must_use]
    pub fn outcome(&self, item: &Item, response: &str) -> Outcome {
        let Some(answer) = &item.answer else {
            return Outcome::Unjudged;
        };
        let correct: Vec<String> = std::iter::once(answer)
            .chain(&item.accept)
            .map(|answer| normal(answer))
            .collect();
        let said = normal(response);
        // The longest answer counts: `Guinea Bissau` does not state `Guinea`.
        let stated = self
            .known
            .iter()
            .chain(&correct)
            .filter(|answer| states(&said, answer))
            .max_by_key(|answer| answer.len());
        match stated {
            Some(stated) if correct.contains(stated) => Outcome::True,
            Some(_) => Outcome::False,
            None => Outcome::Unclear,
        }
    }
}

/// Whether a response begins with that answer and not with a longer word or number (`Parisian`, `Guinea-Bissau`, `1.5`).
fn states(said: &str, answer: &str) -> bool {
    if answer.is_empty() {
        return false;
    }
    said.strip_prefix(answer).is_some_and(|rest| {
        let mut next = rest.chars();
        match (next.next(), next.next()) {
            (Some(first), _) if first.is_alphanumeric() => false,
            (Some('-'), Some(second)) => !second.is_alphanumeric(),
            (Some('.' | ','), Some(second)) => !second.is_ascii_digit(),
            _ => true,
        }
    })
}

/// Case, surrounding blanks, quotation and emphasis marks do not make another answer.
fn normal(text: &str) -> String {
    text.trim_matches(|c: char| c.is_whitespace() || "\"'.,!?:;()*`“”‘’«»".contains(c))
        .to_lowercase()
}
