//! Whether what was measured fits what is declared. The criteria stand here and nowhere else.

use super::calibration::FalsePositives;
use super::card::{Declares, Interval};
use super::sae::Measured;
use crate::stats::Estimate;

/// How far explained variance may lie below what is declared.
const VARIANCE_BELOW: f64 = 0.2;
/// By which factor L0 may be off, either way.
const L0_FACTOR: f64 = 2.0;

/// Something that is declared, beside the same as it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Agreement {
    /// What it is.
    pub what: &'static str,
    /// The suite that it was measured on, where it is one of items.
    pub on: Option<String>,
    /// As it is declared.
    pub declared: f64,
    /// The declared 95 % interval.
    pub declared_interval: Option<Interval>,
    /// As it was measured.
    pub measured: f64,
    /// The 95 % interval of the measurement.
    pub interval: Option<Interval>,
    /// Whether the two fit.
    pub fits: bool,
    /// What is asked for, in words.
    pub criterion: String,
}

/// Holds an SAE's measured L0 and explained variance against what is declared, each where it is.
#[must_use]
pub fn sae_agreements(declares: &Declares, measured: &Measured) -> Vec<Agreement> {
    let l0 = declares.l0.map(|declared| Agreement {
        what: "L0",
        on: None,
        declared,
        declared_interval: None,
        measured: measured.l0,
        interval: None,
        fits: measured.l0 <= L0_FACTOR * declared && measured.l0 * L0_FACTOR >= declared,
        criterion: format!("within a factor of {L0_FACTOR}"),
    });
    let explained = declares.explained_variance.map(|declared| Agreement {
        what: "explained variance",
        on: None,
        declared,
        declared_interval: None,
        measured: measured.explained_variance,
        interval: None,
        fits: measured.explained_variance >= declared - VARIANCE_BELOW,
        criterion: format!("at most {VARIANCE_BELOW} below"),
    });
    l0.into_iter().chain(explained).collect()
}

/// Holds a measured AUROC against the declared one: it does not fit if its whole interval lies below the declared interval.
#[must_use]
pub fn auroc_agreement(
    declares: &Declares,
    measured: &Estimate,
    suite: Option<&str>,
) -> Option<Agreement> {
    let declared = declares.auroc?;
    let low = declares.auroc_interval.map_or(declared, |own| own.low);
    Some(Agreement {
        what: "AUROC",
        on: suite.map(str::to_owned),
        declared,
        declared_interval: declares.auroc_interval,
        measured: measured.point,
        interval: Some(Interval::of(measured)),
        fits: measured.high >= low,
        criterion: "interval not wholly below".to_owned(),
    })
}

/// Holds a measured rate of false alarms against the declared one: it does not fit if its whole interval lies above the declared
/// interval.
#[must_use]
pub fn false_alarm_agreement(
    declared: &FalsePositives,
    measured: &Estimate,
    suite: Option<&str>,
) -> Agreement {
    Agreement {
        what: "false alarms",
        on: suite.map(str::to_owned),
        declared: declared.rate,
        declared_interval: Some(declared.interval),
        measured: measured.point,
        interval: Some(Interval::of(measured)),
        fits: measured.low <= declared.interval.high,
        criterion: "interval not wholly above".to_owned(),
    }
}

/// Holds the share of items that change sides of a threshold, between a reference run and another, against the declared rate of false
/// alarms: if more items do than may be false alarms, the threshold means something else.
#[must_use]
pub fn flip_agreement(declared: &FalsePositives, share: &Estimate) -> Agreement {
    Agreement {
        what: "flips beside false alarms",
        criterion: "interval not wholly above that of false alarms".to_owned(),
        ..false_alarm_agreement(declared, share, None)
    }
}

impl Interval {
    /// The interval of an estimate.
    #[must_use]
    pub fn of(estimate: &Estimate) -> Self {
        Self {
            low: estimate.low,
            high: estimate.high,
        }
    }
}
