//! The evidence as one rule sees it: one contrast suite, its two conditions, the audit's detectors.

use crate::evidence::{Evidence, Index, Outcome, Said};
use crate::model::Point;
use crate::rules::context::{Context, Contrast, DetectorInfo};
use crate::stats::Resampling;

use super::params::{Of, Params};
use super::{Absent, Measured, interval};

/// Evidence and context of one judgement.
#[derive(Clone, Copy)]
pub(in crate::rules) struct View<'a> {
    pub evidence: &'a Evidence,
    pub context: &'a Context,
    /// The place that the rule asks to be patched.
    pub point: Option<Point>,
    /// How intervals of shares and gaps are made.
    pub how: Resampling,
}

/// What a detector says of an item.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Reading<'a> {
    pub item: &'a str,
    pub group: &'a str,
    pub value: f64,
}

/// A response under the tested condition and its counterpart under the baseline.
#[derive(Clone, Copy)]
pub(in crate::rules) struct Pair<'a> {
    pub tested: Said<'a>,
    pub against: Said<'a>,
}

impl Pair<'_> {
    /// Whether the two are answered differently; `None` where one of them failed.
    pub fn differs(&self) -> Option<bool> {
        let failed = [self.tested, self.against]
            .iter()
            .any(|response| response.outcome() == Outcome::Failed);
        (!failed).then(|| !self.tested.says_the_same(self.against))
    }
}

/// What holds of a response; `None` where the model could not be run, which may hide either.
pub(in crate::rules) fn told(response: Said<'_>, holds: impl Fn(Outcome) -> bool) -> Option<bool> {
    (response.outcome() != Outcome::Failed).then(|| holds(response.outcome()))
}

/// The pairs of a suite, and how many tested items have none.
pub(in crate::rules) struct Pairs<'a> {
    pub pairs: Vec<Pair<'a>>,
    pub unpaired: usize,
}

impl Pairs<'_> {
    /// What a reader should know of the items that have no counterpart.
    pub fn note(&self) -> Option<String> {
        (self.unpaired > 0).then(|| {
            format!(
                "{} tested items have no counterpart and are not in it",
                self.unpaired
            )
        })
    }
}

impl<'a> View<'a> {
    pub fn contrast(&self) -> Result<&'a Contrast, Absent> {
        self.context
            .contrast
            .as_ref()
            .ok_or_else(|| Absent::unknown("the audit has no contrast suite"))
    }

    fn condition(&self, of: Of) -> Result<Option<&'a str>, Absent> {
        Ok(match of {
            Of::Tested => Some(&self.contrast()?.tested),
            Of::Against => Some(&self.contrast()?.against),
            Of::Control => None,
        })
    }

    fn holds(&self, of: Of, suite: &str, condition: &str) -> Result<bool, Absent> {
        Ok(match self.condition(of)? {
            Some(wanted) => suite == self.contrast()?.suite && condition == wanted,
            None => self.context.control_suites.iter().any(|id| id == suite),
        })
    }

    /// The responses of one side; an empty side is an absence.
    pub fn responses(&self, of: Of) -> Result<Vec<Said<'a>>, Absent> {
        let mut found = Vec::new();
        for response in self.evidence.responses.iter() {
            if self.holds(of, response.suite(), response.condition())? {
                found.push(response);
            }
        }
        if found.is_empty() {
            return Err(Absent::unknown(self.nothing(of, "responses")));
        }
        Ok(found)
    }

    /// The judged responses of one side: those whose item states an answer.
    pub fn judged(&self, of: Of) -> Result<Vec<Said<'a>>, Absent> {
        let judged: Vec<_> = self
            .responses(of)?
            .into_iter()
            .filter(|response| response.outcome() != Outcome::Unjudged)
            .collect();
        if judged.is_empty() {
            return Err(Absent::unknown(format!(
                "{}: no item states an answer",
                self.nothing(of, "judged responses")
            )));
        }
        Ok(judged)
    }

    /// The share of one side's judged responses that came out so.
    pub fn rate_of(&self, params: &Params, wanted: Outcome) -> Measured {
        let judged = self.judged(params.of()?)?;
        let known = judged.iter().map(|response| {
            let came_out_so = told(*response, |outcome| outcome == wanted);
            (response.group(), came_out_so)
        });
        interval::share(known, &self.how)
    }

    fn nothing(&self, of: Of, what: &str) -> String {
        match (of, self.context.contrast.as_ref()) {
            (Of::Tested, Some(contrast)) => format!(
                "there are no {what} under `{}` in the suite `{}`",
                contrast.tested, contrast.suite
            ),
            (Of::Against, Some(contrast)) => format!(
                "there are no {what} under `{}` in the suite `{}`",
                contrast.against, contrast.suite
            ),
            _ => format!("there are no {what} of control suites"),
        }
    }

    /// Tested responses with their counterparts. Either side may name the other.
    pub fn pairs(&self) -> Result<Pairs<'a>, Absent> {
        let tested = self.responses(Of::Tested)?;
        let against = self.responses(Of::Against)?;
        let by_item = Index::by_item(against.iter().copied());
        let by_pair = Index::by_pair(against.iter().copied());
        let pairs: Vec<Pair<'a>> = tested
            .iter()
            .filter_map(|&tested| {
                let named = by_item.counterpart(tested);
                let against = named.or_else(|| by_pair.same_item(tested))?;
                Some(Pair { tested, against })
            })
            .collect();
        if pairs.is_empty() {
            return Err(Absent::unknown(format!(
                "no item under `{}` has a counterpart under `{}`",
                self.contrast()?.tested,
                self.contrast()?.against
            )));
        }
        let unpaired = tested.len() - pairs.len();
        Ok(Pairs { pairs, unpaired })
    }

    /// Pairs of which both sides are judged.
    pub fn judged_pairs(&self) -> Result<Pairs<'a>, Absent> {
        let mut all = self.pairs()?;
        let before = all.pairs.len();
        all.pairs.retain(|pair| {
            pair.tested.outcome() != Outcome::Unjudged
                && pair.against.outcome() != Outcome::Unjudged
        });
        all.unpaired += before - all.pairs.len();
        if all.pairs.is_empty() {
            return Err(Absent::unknown("no pair of items states answers"));
        }
        Ok(all)
    }

    /// The one detector of the role that the signal names.
    pub fn detector(&self, params: &Params) -> Result<&'a DetectorInfo, Absent> {
        let role = params.role()?;
        let mut of_role = self
            .context
            .detectors
            .iter()
            .filter(|info| info.role == role);
        let first = of_role.next().ok_or_else(|| {
            Absent::unknown(format!("no detector of the audit has the role `{role}`"))
        })?;
        match of_role.next() {
            None => Ok(first),
            Some(second) => Err(Absent::unknown(format!(
                "the detectors `{}` and `{}` both have the role `{role}`: choosing the better one would bias the result",
                first.id, second.id
            ))),
        }
    }

    /// The scores of one detector (or one of its features) on one side.
    pub fn scores(
        &self,
        detector: &DetectorInfo,
        feature: Option<usize>,
        of: Of,
    ) -> Result<Vec<Reading<'a>>, Absent> {
        let mut found = Vec::new();
        for score in self.evidence.scores.of(&detector.id, feature) {
            if self.holds(of, score.suite, score.condition)? {
                found.push(Reading {
                    item: score.item,
                    group: score.group,
                    value: score.value,
                });
            }
        }
        if found.is_empty() {
            return Err(Absent::unknown(
                self.nothing(of, &format!("scores of the detector `{}`", detector.id)),
            ));
        }
        if let Some(score) = found.iter().find(|score| !score.value.is_finite()) {
            return Err(Absent::unknown(format!(
                "the detector `{}` scores the item `{}` {}",
                detector.id, score.item, score.value
            )));
        }
        Ok(found)
    }

    /// Why there is no intervention of the wanted sort: nothing to explain if every pair was answered alike.
    pub fn no_intervention(&self, wanted: &str) -> Absent {
        let pairs = match self.pairs() {
            Ok(pairs) => pairs.pairs,
            Err(absent) => return absent,
        };
        let failed = pairs.iter().filter(|pair| pair.differs().is_none()).count();
        let changed = changed(&pairs);
        if changed == 0 && failed > 0 {
            return Absent::unknown(format!(
                "no change was seen, but the model could not be run on {failed} of {} pairs",
                pairs.len()
            ));
        }
        if changed == 0 {
            return Absent::NothingToExplain(format!(
                "the model answers all {} pairs alike, so there is no change to explain",
                pairs.len()
            ));
        }
        let why = self
            .evidence
            .unmeasured
            .iter()
            .find(|unmeasured| unmeasured.what.contains(wanted))
            .map_or_else(String::new, |unmeasured| format!(": {}", unmeasured.why));
        Absent::unknown(format!(
            "{changed} of {} pairs are answered differently, but there is no {wanted}{why}",
            pairs.len()
        ))
    }
}

/// Pairs that are answered differently.
pub(in crate::rules) fn changed(pairs: &[Pair<'_>]) -> usize {
    pairs
        .iter()
        .filter(|pair| pair.differs() == Some(true))
        .count()
}
