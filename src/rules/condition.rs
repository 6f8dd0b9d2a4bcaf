//! Condition trees over named signals.

use crate::stats::Estimate;

use super::truth::Truth;

/// A tree of comparisons.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Every part holds.
    All(Vec<Condition>),
    /// At least one part holds.
    Any(Vec<Condition>),
    /// The part does not hold.
    Not(Box<Condition>),
    /// A signal is on the named side of a bar.
    Leaf {
        /// The signal's name in the rule.
        signal: String,
        /// The bar.
        bar: Bar,
    },
}

/// A bar that an interval has to clear as a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bar {
    /// The side that is asked for.
    pub comparison: Comparison,
    /// In the unit of the signal.
    pub value: f64,
}

/// The side of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    /// `≥`
    AtLeast,
    /// `>`
    Above,
    /// `≤`
    AtMost,
    /// `<`
    Below,
}

impl Comparison {
    /// Every comparison, in the order of the schema.
    pub const ALL: [Self; 4] = [Self::AtLeast, Self::Above, Self::AtMost, Self::Below];

    /// As it is written in a rule.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtLeast => "at_least",
            Self::Above => "above",
            Self::AtMost => "at_most",
            Self::Below => "below",
        }
    }

    /// The side that is left where this one is not.
    #[must_use]
    pub const fn opposite(self) -> Self {
        match self {
            Self::AtLeast => Self::Below,
            Self::Above => Self::AtMost,
            Self::AtMost => Self::Above,
            Self::Below => Self::AtLeast,
        }
    }

    /// As it is said in a sentence.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::AtLeast => "at least",
            Self::Above => "above",
            Self::AtMost => "at most",
            Self::Below => "below",
        }
    }
}

impl Bar {
    /// Gates on the bound, not on the point: `Yes` only when the whole 95 % interval is on the asked side, `No` only
    /// when all of it is on the other.
    #[must_use]
    pub fn compare(self, estimate: &Estimate) -> Truth {
        let Self { comparison, value } = self;
        let (yes, no) = match comparison {
            Comparison::AtLeast => (estimate.low >= value, estimate.high < value),
            Comparison::Above => (estimate.low > value, estimate.high <= value),
            Comparison::AtMost => (estimate.high <= value, estimate.low > value),
            Comparison::Below => (estimate.high < value, estimate.low >= value),
        };
        match (yes, no) {
            (true, _) => Truth::Yes,
            (false, true) => Truth::No,
            (false, false) => Truth::Unknown,
        }
    }
}

impl Condition {
    /// The tree's truth, given the truth of each leaf and whether the leaf stands under a negation: there its `No` is what makes the
    /// whole true.
    pub fn evaluate(&self, leaf: &mut impl FnMut(&str, Bar, bool) -> Truth) -> Truth {
        self.evaluate_under(false, leaf)
    }

    fn evaluate_under(
        &self,
        negated: bool,
        leaf: &mut impl FnMut(&str, Bar, bool) -> Truth,
    ) -> Truth {
        match self {
            Self::All(parts) => {
                Truth::all(parts.iter().map(|part| part.evaluate_under(negated, leaf)))
            }
            Self::Any(parts) => {
                Truth::any(parts.iter().map(|part| part.evaluate_under(negated, leaf)))
            }
            Self::Not(part) => !part.evaluate_under(!negated, leaf),
            Self::Leaf { signal, bar } => leaf(signal, *bar, negated),
        }
    }

    /// Calls `visit` with every leaf, in the order of the file, and whether it stands under a negation.
    pub fn leaves<'a>(&'a self, visit: &mut impl FnMut(&'a str, Bar, bool)) {
        self.leaves_under(false, visit);
    }

    fn leaves_under<'a>(&'a self, negated: bool, visit: &mut impl FnMut(&'a str, Bar, bool)) {
        match self {
            Self::All(parts) | Self::Any(parts) => {
                for part in parts {
                    part.leaves_under(negated, visit);
                }
            }
            Self::Not(part) => part.leaves_under(!negated, visit),
            Self::Leaf { signal, bar } => visit(signal, *bar, negated),
        }
    }

    /// In how many ways the tree can come true by chance: alternatives add up, of parts that must all hold the one with the most
    /// ways counts, because as long as the tree is not true in fact one of its parts is not.
    #[must_use]
    pub fn ways(&self) -> usize {
        self.ways_under(false)
    }

    fn ways_under(&self, negated: bool) -> usize {
        let of = |parts: &[Self]| -> Vec<usize> {
            parts.iter().map(|part| part.ways_under(negated)).collect()
        };
        match self {
            Self::Leaf { .. } => 1,
            Self::Not(part) => part.ways_under(!negated),
            Self::All(parts) if !negated => of(parts).into_iter().max().unwrap_or(0),
            Self::Any(parts) if negated => of(parts).into_iter().max().unwrap_or(0),
            Self::All(parts) | Self::Any(parts) => of(parts).into_iter().sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Bar, Comparison, Condition};
    use crate::rules::truth::Truth::{self, No, Unknown, Yes};
    use crate::stats::Estimate;

    #[test]
    fn a_bar_gates_on_the_bound() {
        let cases: [(Comparison, [Truth; 5]); 4] = [
            // Intervals: below the bar, up to it, across it, from it on, above it.
            (Comparison::AtLeast, [No, Unknown, Unknown, Yes, Yes]),
            (Comparison::Above, [No, No, Unknown, Unknown, Yes]),
            (Comparison::AtMost, [Yes, Yes, Unknown, Unknown, No]),
            (Comparison::Below, [Yes, Unknown, Unknown, No, No]),
        ];
        let intervals = [(0.1, 0.4), (0.1, 0.5), (0.4, 0.6), (0.5, 0.9), (0.6, 0.9)];
        for (comparison, expected) in cases {
            for ((low, high), expected) in intervals.into_iter().zip(expected) {
                let estimate = Estimate {
                    point: f64::midpoint(low, high),
                    low,
                    high,
                    n: 9,
                    clusters: 3,
                };
                let bar = Bar {
                    comparison,
                    value: 0.5,
                };
                assert_eq!(
                    bar.compare(&estimate),
                    expected,
                    "{comparison:?} {low} to {high}"
                );
            }
        }
    }

    #[test]
    fn alternatives_are_ways_and_a_negation_turns_them_round() {
        let leaf = || Condition::Leaf {
            signal: "gap".to_owned(),
            bar: Bar {
                comparison: Comparison::AtLeast,
                value: 0.1,
            },
        };
        let any = Condition::Any(vec![leaf(), leaf(), leaf()]);
        let all = Condition::All(vec![leaf(), any.clone()]);
        let not = |part: &Condition| Condition::Not(Box::new(part.clone()));
        assert_eq!([leaf().ways(), any.ways(), all.ways()], [1, 3, 3]);
        // Not any is none; not all is any of those that are not.
        assert_eq!([not(&any).ways(), not(&all).ways()], [1, 2]);
        assert_eq!(not(&not(&all)).ways(), 3);
    }
}
