//! What a detector says of itself: plain data, read from and written to `detector.yaml` by `wire`.

mod limits;
mod problems;
mod wire;

use std::collections::BTreeMap;
use std::fmt;

pub use wire::{read, write};

use serde::{Deserialize, Serialize};

use super::aggregation::Aggregation;
use super::calibration::Calibration;
use super::detector::FileDigest;
use super::features::SelectedFeature;
use super::span::Span;
use super::train;
use crate::fault::{Fault, Result};
use crate::model::{ModulePath, SiteName};

/// The card's file name inside a detector's folder.
pub const FILE: &str = "detector.yaml";

/// A detector's description of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    /// Names the detector in evidence and reports.
    pub id: String,
    /// What rules refer to it by, such as `condition`, `truth`, `deception` or `features`.
    pub role: String,
    /// What it is made of.
    pub kind: DetectorKind,
    /// Where it reads.
    pub site: SiteName,
    /// The Hugging Face module, if the card named the site by one.
    pub module: Option<Module>,
    /// Width of the activation that it reads.
    pub d_in: usize,
    /// Name of the weights file, inside the folder.
    pub weights: String,
    /// SHA-256 of each file beside the card that the detector is made of; empty on a card that does not say.
    pub weights_sha256: BTreeMap<String, String>,
    /// Which tokens it reads.
    pub span: Span,
    /// How token scores become one score.
    pub aggregation: Aggregation,
    /// What a high score means, in words.
    pub positive: String,
    /// The model that it was made on.
    pub model: MadeOn,
    /// Its threshold, and the false-positive rates there.
    pub calibration: Option<Calibration>,
    /// What it was trained on and by which command.
    pub trained_on: Option<TrainedOn>,
    /// What it declares of its own quality; an audit measures again and compares.
    pub declares: Option<Declares>,
    /// The features in use, for an SAE.
    pub features: Vec<SelectedFeature>,
    /// What simpler means reach on the same split.
    pub baselines: Option<Baselines>,
    /// How far it is not to be trusted, a sentence each; written with the card (see [`Card::known_limits`]).
    pub limits: Vec<String>,
    /// The files that it was imported from.
    pub source: Option<Source>,
}

/// The files of another format that a detector was imported from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Name of the format, of [`super::sae::FORMATS`].
    pub format: String,
    /// Each file that was read.
    pub files: Vec<FileDigest>,
}

/// A site that is named by the module whose output it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// As it is written.
    pub text: String,
    /// What it means.
    pub path: ModulePath,
}

/// What a detector is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetectorKind {
    /// A linear probe trained by the kind of this name in [`train::PROBE_KINDS`].
    Probe(&'static str),
    /// A sparse autoencoder.
    Sae,
}

impl DetectorKind {
    /// The kind of that name.
    ///
    /// # Errors
    /// An unknown name, with those that are known.
    pub fn named(name: &str) -> Result<Self> {
        if name == "sae" {
            return Ok(Self::Sae);
        }
        train::PROBE_KINDS
            .iter()
            .find(|kind| kind.name == name)
            .map(|kind| Self::Probe(kind.name))
            .ok_or_else(|| {
                let mut known: Vec<String> = train::PROBE_KINDS
                    .iter()
                    .map(|kind| format!("`{}`", kind.name))
                    .collect();
                known.push("`sae`".to_owned());
                Fault::usage("reading a detector's kind", format!("`{name}`"))
                    .expected(format!("one of {}", known.join(", ")))
            })
    }
}

impl fmt::Display for DetectorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Probe(name) => name,
            Self::Sae => "sae",
        })
    }
}

/// The model that a detector was made on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MadeOn {
    /// For people.
    pub name: String,
    /// SHA-256 of the `.onnx` file, 64 lower-case hexadecimal digits; empty where it was imported without a model.
    pub sha256: String,
}

/// What a detector was trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrainedOn {
    /// Suite id.
    pub suite: String,
    /// SHA-256 of the corpus.
    pub corpus_digest: String,
    /// Items.
    pub n: usize,
    /// Groups among them.
    pub groups: usize,
    /// Seed of split and training.
    pub seed: u64,
    /// The command that makes the detector again.
    pub command: String,
}

/// What a detector declares of its own quality, each where it applies.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Declares {
    /// AUROC on held-out groups.
    pub auroc: Option<f64>,
    /// Its 95 % interval.
    pub auroc_interval: Option<Interval>,
    /// Mean number of active SAE features a token.
    pub l0: Option<f64>,
    /// Fraction of the activations' variance that the SAE reconstructs.
    pub explained_variance: Option<f64>,
}

/// AUROCs of simpler means on the same held-out items.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Baselines {
    /// Logistic regression on word counts.
    pub bag_of_words_auroc: Option<f64>,
    /// The number of tokens alone.
    pub length_auroc: f64,
    /// The same probe on the embedding.
    pub layer0_auroc: Option<f64>,
    /// The same training with labels permuted.
    pub permutation_auroc: f64,
}

/// A closed interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
}
