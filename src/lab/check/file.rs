//! The file that `candor detectors check` writes, schema `candor/detector-check/v1`.

use serde::Serialize;

use super::found::{Checked, Conclusion, SaeFound, SuiteFound};
use super::transfer::{Columns, Flips, Transfer};
use crate::detect::Agreement;
use crate::detect::card::Interval;
use crate::detect::sae::Measured;
use crate::fault::{Fault, Result};
use crate::stats::Estimate;

/// What was checked, on what, and what was found. Numbers that could not be measured are null.
#[derive(Debug, Serialize)]
pub struct CheckFile {
    schema: &'static str,
    candor: &'static str,
    model: ModelLine,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference_sha256: Option<String>,
    detectors: Vec<DetectorLine>,
    /// `does-not-fit` if any detector does not, `untold` if none could be told, else `fits`.
    conclusion: &'static str,
}

#[derive(Debug, Serialize)]
struct ModelLine {
    name: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
struct DetectorLine {
    id: String,
    kind: String,
    site: String,
    /// What the reconstruction stands for.
    #[serde(skip_serializing_if = "Option::is_none")]
    site_out: Option<String>,
    conclusion: &'static str,
    caveats: Vec<String>,
    limits: Vec<String>,
    /// What is declared, beside the same as it was measured.
    agreements: Vec<AgreementLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sae: Option<SaeLine>,
    suites: Vec<SuiteLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    transfer: Option<TransferLine>,
    unmeasured: Vec<UnmeasuredLine>,
}

#[derive(Debug, Serialize)]
struct AgreementLine {
    what: &'static str,
    /// The suite that it was measured on.
    #[serde(skip_serializing_if = "Option::is_none")]
    on: Option<String>,
    declared: f64,
    declared_interval: Option<[f64; 2]>,
    measured: f64,
    interval: Option<[f64; 2]>,
    criterion: String,
    fits: bool,
}

#[derive(Debug, Serialize)]
struct MeasuredLine {
    tokens: usize,
    l0: f64,
    explained_variance: f64,
    cosine: f64,
    relative_error: f64,
    /// Features that never fired on these tokens.
    dead_features: usize,
}

#[derive(Debug, Serialize)]
struct SaeLine {
    d_sae: usize,
    #[serde(flatten)]
    measured: MeasuredLine,
    loss: Option<LossLine>,
}

/// Mean next-token cross-entropies, in nats.
#[derive(Debug, Serialize)]
struct LossLine {
    tokens: usize,
    clean: f64,
    spliced: f64,
    zero: f64,
    mean: f64,
    /// `(zero − spliced)/(zero − clean)`; null where zeros cost nothing.
    recovered: Option<f64>,
}

#[derive(Debug, Serialize)]
struct EstimateLine {
    point: f64,
    interval: [f64; 2],
    n: usize,
    clusters: usize,
}

#[derive(Debug, Serialize)]
struct SuiteLine {
    suite: Option<String>,
    digest: Option<String>,
    texts: usize,
    /// Texts without a token of the detector's span.
    unread: usize,
    flagged: Option<EstimateLine>,
    /// What the false alarms are counted on.
    harmless: Option<&'static str>,
    false_alarms: Option<EstimateLine>,
    auroc: Option<EstimateLine>,
}

#[derive(Debug, Serialize)]
struct TransferLine {
    tokens: usize,
    cosine: f64,
    relative_difference: f64,
    scores: Vec<ColumnsLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dictionaries: Option<DictionariesLine>,
    agreements: Vec<AgreementLine>,
}

#[derive(Debug, Serialize)]
struct ColumnsLine {
    #[serde(skip_serializing_if = "Option::is_none")]
    feature: Option<usize>,
    pearson: Option<f64>,
    spearman: Option<f64>,
    mean_difference: f64,
    largest_difference: f64,
    token_flips: Option<FlipsLine>,
    text_flips: Option<FlipsLine>,
}

#[derive(Debug, Serialize)]
struct FlipsLine {
    /// Flagged here and not in the reference run.
    on: usize,
    /// Flagged in the reference run and not here.
    off: usize,
    share: EstimateLine,
}

#[derive(Debug, Serialize)]
struct DictionariesLine {
    jaccard: f64,
    reference: MeasuredLine,
    here: MeasuredLine,
}

#[derive(Debug, Serialize)]
struct UnmeasuredLine {
    what: String,
    why: String,
}

impl CheckFile {
    /// The file of what was found on a model.
    #[must_use]
    pub fn of(name: &str, sha256: &str, reference: Option<&str>, found: &[Checked]) -> Self {
        Self {
            schema: "candor/detector-check/v1",
            candor: env!("CARGO_PKG_VERSION"),
            model: ModelLine {
                name: name.to_owned(),
                sha256: sha256.to_owned(),
            },
            reference_sha256: reference.map(str::to_owned),
            conclusion: Conclusion::of_all(found).name(),
            detectors: found.iter().map(DetectorLine::of).collect(),
        }
    }

    /// Its JSON, with a line break at the end.
    ///
    /// # Errors
    /// Never for plain data; the type is that of the library underneath.
    pub fn json(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self);
        text.map(|text| text + "\n")
            .map_err(|error| Fault::failed("writing JSON", error.to_string()))
    }
}

impl DetectorLine {
    fn of(found: &Checked) -> Self {
        Self {
            id: found.id.clone(),
            kind: found.kind.clone(),
            site: found.site.to_string(),
            site_out: (found.site_out != found.site).then(|| found.site_out.to_string()),
            conclusion: found.conclusion().name(),
            caveats: found.caveats.clone(),
            limits: found.limits.clone(),
            agreements: found.agreements.iter().map(AgreementLine::of).collect(),
            sae: found.sae.as_ref().map(SaeLine::of),
            suites: found.suites.iter().map(SuiteLine::of).collect(),
            transfer: found.transfer.as_ref().map(TransferLine::of),
            unmeasured: found
                .unmeasured
                .iter()
                .map(|missing| UnmeasuredLine {
                    what: missing.what.clone(),
                    why: missing.why.clone(),
                })
                .collect(),
        }
    }
}

impl AgreementLine {
    fn of(agreement: &Agreement) -> Self {
        Self {
            what: agreement.what,
            on: agreement.on.clone(),
            declared: agreement.declared,
            declared_interval: agreement.declared_interval.map(Into::into),
            measured: agreement.measured,
            interval: agreement.interval.map(Into::into),
            criterion: agreement.criterion.clone(),
            fits: agreement.fits,
        }
    }
}

impl MeasuredLine {
    fn of(measured: &Measured) -> Self {
        Self {
            tokens: measured.n,
            l0: measured.l0,
            explained_variance: measured.explained_variance,
            cosine: measured.cosine,
            relative_error: measured.relative_error,
            dead_features: measured.silent_features,
        }
    }
}

impl SaeLine {
    fn of(found: &SaeFound) -> Self {
        Self {
            d_sae: found.d_sae,
            measured: MeasuredLine::of(&found.measured),
            loss: found.loss.map(|loss| LossLine {
                tokens: loss.tokens,
                clean: loss.clean,
                spliced: loss.spliced,
                zero: loss.zero,
                mean: loss.mean,
                recovered: loss.recovered(),
            }),
        }
    }
}

impl EstimateLine {
    fn of(estimate: &Estimate) -> Self {
        Self {
            point: estimate.point,
            interval: Interval::of(estimate).into(),
            n: estimate.n,
            clusters: estimate.clusters,
        }
    }
}

impl SuiteLine {
    fn of(found: &SuiteFound) -> Self {
        Self {
            suite: found.suite.clone(),
            digest: found.digest.clone(),
            texts: found.texts,
            unread: found.unread,
            flagged: found.flagged.as_ref().map(EstimateLine::of),
            harmless: found.false_alarms.map(|(harmless, _)| harmless.name()),
            false_alarms: found
                .false_alarms
                .as_ref()
                .map(|(_, rate)| EstimateLine::of(rate)),
            auroc: found.auroc.as_ref().map(EstimateLine::of),
        }
    }
}

impl TransferLine {
    fn of(found: &Transfer) -> Self {
        Self {
            tokens: found.tokens,
            cosine: found.cosine,
            relative_difference: found.relative_difference,
            scores: found.scores.iter().map(ColumnsLine::of).collect(),
            note: found.note,
            dictionaries: found.dictionaries.map(|both| DictionariesLine {
                jaccard: both.jaccard,
                reference: MeasuredLine::of(&both.reference),
                here: MeasuredLine::of(&both.here),
            }),
            agreements: found.agreements.iter().map(AgreementLine::of).collect(),
        }
    }
}

impl ColumnsLine {
    fn of(found: &Columns) -> Self {
        Self {
            feature: found.feature,
            pearson: found.pearson,
            spearman: found.spearman,
            mean_difference: found.mean_difference,
            largest_difference: found.largest_difference,
            token_flips: found.token_flips.as_ref().map(FlipsLine::of),
            text_flips: found.text_flips.as_ref().map(FlipsLine::of),
        }
    }
}

impl FlipsLine {
    fn of(flips: &Flips) -> Self {
        Self {
            on: flips.on,
            off: flips.off,
            share: EstimateLine::of(&flips.share),
        }
    }
}
