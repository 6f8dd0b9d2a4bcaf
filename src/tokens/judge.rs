//! Does a response state the truth? Decided by the suite's own answers, never by a model.

use super::item::Item;
use super::stored::StoredItems;
use super::suite::Suite;
use crate::fault::Result;
use crate::names::Names;

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
#[derive(Default)]
pub struct Judge {
    known: Names,
    /// Bytes of the longest answer.
    longest: usize,
}

impl Judge {
    /// Collects every answer, synonym and foil of the suite: a response that is one of them, but not a correct one of
    /// its own item, is a definite falsehood; anything else is unclear.
    #[must_use]
    pub fn of(suite: &Suite) -> Self {
        let mut judge = Self::default();
        suite.items.iter().for_each(|item| judge.learn(item));
        judge
    }

    /// The same of a suite whose items lie on the disk.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn of_items(items: &StoredItems) -> Result<Self> {
        let mut judge = Self::default();
        for item in items.iter() {
            judge.learn(&item?);
        }
        Ok(judge)
    }

    fn learn(&mut self, item: &Item) {
        let answers = item.answer.iter().chain(&item.accept).chain(&item.foil);
        for answer in answers {
            let answer = normal(answer);
            self.longest = self.longest.max(answer.len());
            self.known.number(&answer);
        }
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
        let longest = correct
            .iter()
            .map(String::len)
            .fold(self.longest, usize::max);
        let is_answer = |text: &&str| {
            self.known.known(text).is_some() || correct.iter().any(|answer| answer == text)
        };
        // The longest answer counts: `Guinea Bissau` does not state `Guinea`.
        let mut ends = said
            .char_indices()
            .map(|(at, one)| at + one.len_utf8())
            .rev();
        let stated = ends
            .by_ref()
            .skip_while(|end| *end > longest)
            .filter_map(|end| said.split_at_checked(end))
            .find(|(begin, rest)| ends_there(rest) && is_answer(begin));
        match stated {
            // `Paris? No, Lyon.` asks first.
            Some((_, rest)) if rest.starts_with('?') => Outcome::Unclear,
            Some((stated, _)) if correct.iter().any(|answer| answer == stated) => Outcome::True,
            Some(_) => Outcome::False,
            None => Outcome::Unclear,
        }
    }
}

/// Whether an answer ends before `rest` and is not a part of a longer word or number (`Parisian`, `Guinea-Bissau`, `1.5`).
fn ends_there(rest: &str) -> bool {
    let mut next = rest.chars();
    match (next.next(), next.next()) {
        (Some(first), _) if first.is_alphanumeric() => false,
        (Some('-'), Some(second)) => !second.is_alphanumeric(),
        (Some('.' | ','), Some(second)) => !second.is_ascii_digit(),
        _ => true,
    }
}

/// Case, surrounding blanks, quotation and emphasis marks do not make another answer.
fn normal(text: &str) -> String {
    text.trim_matches(|c: char| c.is_whitespace() || "\"'.,!?:;()*`“”‘’«»".contains(c))
        .to_lowercase()
}
