//! What was found of one detector.

use super::candidate::Candidate;
use super::transfer::Transfer;
use crate::detect::sae::Measured;
use crate::detect::{Agreement, Card, auroc_agreement, false_alarm_agreement};
use crate::evidence::Unmeasured;
use crate::lab::SpliceLoss;
use crate::model::SiteName;
use crate::stats::Estimate;

/// A detector that was checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    /// Its id, or where it lies.
    pub id: String,
    /// Its kind, or the architecture of an SAE.
    pub kind: String,
    /// Where it reads.
    pub site: SiteName,
    /// What its reconstruction stands for.
    pub site_out: SiteName,
    /// What has to be known of the numbers first.
    pub caveats: Vec<String>,
    /// How far it is not to be trusted, by its card.
    pub limits: Vec<String>,
    /// What an SAE does on the texts.
    pub sae: Option<SaeFound>,
    /// What it scores the items of each suite.
    pub suites: Vec<SuiteFound>,
    /// What another run of the same tokens gives.
    pub transfer: Option<Transfer>,
    /// What is declared, beside the same as it was measured.
    pub agreements: Vec<Agreement>,
    /// What could not be measured.
    pub unmeasured: Vec<Unmeasured>,
}

/// What an SAE does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SaeFound {
    /// Number of features.
    pub d_sae: usize,
    /// On the activations.
    pub measured: Measured,
    /// To the model's loss.
    pub loss: Option<SpliceLoss>,
}

/// What a detector scores the items of a suite, or the prompts of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct SuiteFound {
    /// Suite id.
    pub suite: Option<String>,
    /// SHA-256 of the suite.
    pub digest: Option<String>,
    /// Items.
    pub texts: usize,
    /// Items without a token of the detector's span.
    pub unread: usize,
    /// Share of all items that is flagged.
    pub flagged: Option<Estimate>,
    /// Share of harmless items that is flagged, and why they are harmless.
    pub false_alarms: Option<(Harmless, Estimate)>,
    /// Between the items' labels.
    pub auroc: Option<Estimate>,
}

/// Why items are harmless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harmless {
    /// The suite is one of control text.
    Control,
    /// They have the label that the detector does not flag.
    Labelled,
    /// They are of the condition that is compared with.
    Baseline,
}

/// Whether a detector fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conclusion {
    /// Everything that is declared and could be measured fits.
    Fits,
    /// Something does not.
    DoesNotFit,
    /// Nothing that is declared was measured.
    Untold,
}

impl Checked {
    pub(super) fn begin(candidate: &Candidate, caveats: Vec<String>) -> Self {
        let mut unmeasured = Vec::new();
        let card = candidate.card();
        if card.is_some_and(|card| card.calibration.is_none()) {
            unmeasured.push(Unmeasured {
                what: "false alarms".to_owned(),
                why: "its card has no calibration, and a score without a threshold decides nothing"
                    .to_owned(),
            });
        }
        Self {
            id: candidate.name(),
            kind: candidate.kind(),
            site: candidate.site(),
            site_out: candidate.site_out(),
            caveats,
            limits: card.map_or_else(Vec::new, |card| card.limits.clone()),
            sae: None,
            suites: Vec::new(),
            transfer: None,
            agreements: Vec::new(),
            unmeasured,
        }
    }

    /// Whether it fits: what is declared and what the reference run gives, whichever there is.
    #[must_use]
    pub fn conclusion(&self) -> Conclusion {
        let transferred = self.transfer.iter().flat_map(|found| &found.agreements);
        let mut all = self.agreements.iter().chain(transferred).peekable();
        if all.peek().is_none() {
            Conclusion::Untold
        } else if all.all(|agreement| agreement.fits) {
            Conclusion::Fits
        } else {
            Conclusion::DoesNotFit
        }
    }
}

impl Conclusion {
    /// Of several detectors: whether any does not fit, else whether any could be told.
    #[must_use]
    pub fn of_all(found: &[Checked]) -> Self {
        let mut worst = Self::Untold;
        for checked in found {
            worst = match (worst, checked.conclusion()) {
                (_, Self::DoesNotFit) | (Self::DoesNotFit, _) => Self::DoesNotFit,
                (_, Self::Fits) | (Self::Fits, _) => Self::Fits,
                (Self::Untold, Self::Untold) => Self::Untold,
            };
        }
        worst
    }

    /// As it is written in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fits => "fits",
            Self::DoesNotFit => "does-not-fit",
            Self::Untold => "untold",
        }
    }
}

impl Harmless {
    /// As it is written in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Control => "control text",
            Self::Labelled => "matched honest items",
            Self::Baseline => "items of the baseline condition",
        }
    }
}

impl SuiteFound {
    /// What the card declares, beside the same on this suite.
    pub(super) fn agreements(&self, card: &Card) -> Vec<Agreement> {
        let mut all = Vec::new();
        let suite = self.suite.as_deref();
        if let (Some(declares), Some(auroc)) = (&card.declares, &self.auroc) {
            all.extend(auroc_agreement(declares, auroc, suite));
        }
        let calibration = card.calibration.as_ref();
        if let (Some(calibration), Some((harmless, rate))) = (calibration, &self.false_alarms) {
            let declared = match harmless {
                Harmless::Control => Some(&calibration.control),
                // A threshold that was set on honest items has no other rate.
                Harmless::Labelled => Some(
                    calibration
                        .matched_honest
                        .as_ref()
                        .unwrap_or(&calibration.control),
                ),
                Harmless::Baseline => None,
            };
            all.extend(declared.map(|declared| false_alarm_agreement(declared, rate, suite)));
        }
        all
    }

    /// Whether the detector was trained on these very items.
    #[must_use]
    pub fn trained_on(&self, card: &Card) -> bool {
        let trained = card.trained_on.as_ref();
        trained.is_some_and(|trained| self.digest.as_ref() == Some(&trained.corpus_digest))
    }
}
