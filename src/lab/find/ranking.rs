//! What a feature search found, as plain data: the file that `candor detectors find --out` writes.

use serde::Serialize;

use crate::stats::Estimate;

/// Schema of the file.
pub const SCHEMA: &str = "candor/feature-ranking/v1";

/// All live features of an SAE by how well they separate labelled items, beside probes on the same activations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureRanking {
    /// `candor/feature-ranking/v1`.
    pub schema: &'static str,
    /// The model, and its file's SHA-256.
    pub model: Named,
    /// The suite, and its digest.
    pub suite: Named,
    /// Where the SAE reads.
    pub site: String,
    /// Features of the SAE.
    pub d_sae: usize,
    /// Width of what it reads.
    pub d_in: usize,
    /// Tokens that are read.
    pub span: String,
    /// How the activations of a span's tokens become one.
    pub aggregation: String,
    /// What p-values are adjusted for: `benjamini_hochberg` or `bonferroni`.
    pub adjustment: &'static str,
    /// Bootstrap resamples.
    pub resamples: usize,
    /// Seeds the split and the bootstrap.
    pub seed: u64,
    /// Items that rank and train.
    pub train: Side,
    /// Items of other groups, which measure.
    pub held_out: Side,
    /// Features that are not equal on every training item: the number of hypotheses.
    pub live: usize,
    /// All live features, the best on the training items first.
    pub features: Vec<FeatureLine>,
    /// Probes on the mean activation of the span, trained and measured on the same items.
    pub probes: Vec<ReaderLine>,
    /// Logistic regression on the best few features (Gurnee et al. 2023).
    pub sparse: Vec<ReaderLine>,
    /// Whether features beat the probe.
    pub verdict: Verdict,
}

/// A name with a digest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Named {
    /// The name.
    pub name: String,
    /// SHA-256.
    pub sha256: String,
}

/// One side of the split.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Side {
    /// Items.
    pub items: usize,
    /// Those of label 1.
    pub positive: usize,
    /// Groups.
    pub groups: usize,
}

/// A number with its 95 % interval, bootstrap clustered by group.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bounds {
    /// The point estimate.
    pub point: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}

impl From<Estimate> for Bounds {
    fn from(estimate: Estimate) -> Self {
        Self {
            point: estimate.point,
            low: estimate.low,
            high: estimate.high,
        }
    }
}

/// One feature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureLine {
    /// Column of the SAE.
    pub index: usize,
    /// 1 if it is more active on label 1, −1 if on label 0.
    pub sign: i8,
    /// AUROC on the training items in the direction of `sign`.
    pub auroc: Bounds,
    /// Two-sided Mann–Whitney p-value there.
    pub p: f64,
    /// The same, adjusted over the live features.
    pub p_adjusted: f64,
    /// AUROC in the same direction on the held-out items.
    pub held_out: Bounds,
    /// Share of the training items of label 1 on which it is active.
    pub active_positive: f64,
    /// The same of label 0.
    pub active_negative: f64,
}

/// A probe or a few features, on the held-out items.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReaderLine {
    /// `logistic_regression`, `difference_of_means`, or `k = 4`.
    pub name: String,
    /// The features, the best first; empty for probes.
    pub features: Vec<usize>,
    /// AUROC on the held-out items.
    pub held_out: Bounds,
    /// AUROC cross-validated within the training groups, by which the verdict chooses. `None` where they are too few.
    pub cross_validated: Option<f64>,
    /// Held-out AUROC minus that of the verdict's probe, paired; `None` for that probe itself.
    pub over_probe: Option<Bounds>,
}

/// Whether features beat the probe at the same site.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The number of features, chosen on the training groups.
    pub k: usize,
    /// The probe, chosen on the training groups.
    pub probe: String,
    /// Held-out AUROC of the features minus that of the probe, paired.
    pub difference: Bounds,
    /// The same in a sentence.
    pub text: String,
}
