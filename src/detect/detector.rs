//! A detector's folder: its card, its weights, and whether it fits a model.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array1, Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::binding;
use super::card::{self, Card, DetectorKind};
use super::probe::LinearProbe;
use super::sae::{self, Columns, Normalization, Sae};
use super::tensors::{self, Tensors};
use crate::digest::sha256_of;
use crate::fault::{Fault, Result};
use crate::instrument::{Activation, Head};
use crate::model::{Architecture, SiteName};

/// A detector, loaded and checked against its own card.
#[derive(Debug)]
pub struct Detector {
    /// What it says of itself.
    pub card: Card,
    /// Where it was opened.
    pub folder: PathBuf,
    /// Its weights.
    pub weights: Loaded,
    /// SHA-256 of each of its files.
    pub digests: Vec<FileDigest>,
}

/// Loaded weights.
#[derive(Debug)]
pub enum Loaded {
    /// A linear probe.
    Probe(LinearProbe),
    /// A sparse autoencoder.
    Sae(Box<Sae>),
}

/// A file and its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    /// Name within the folder.
    pub file: String,
    /// SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// A card is a page of text; more is not one.
const LARGEST_CARD: u64 = 4 << 20;

impl Detector {
    /// Opens `folder` and checks the weights against the card.
    ///
    /// # Errors
    /// A card or weights that are missing or damaged; a weights file outside the folder; tensors that are missing, extra,
    /// of another shape or type, or not finite; a width, site, feature or digest that contradicts the card.
    pub fn open(folder: &Path) -> Result<Self> {
        let path = folder.join(card::FILE);
        let text = read_card(&path)?;
        let card = card::read(&text, &path)?;
        let mut digests = vec![FileDigest::of(card::FILE, text.as_bytes())];
        let weights_path = inside(folder, &card.weights)?;
        let bytes = tensors::open(&weights_path)?;
        let weights = match card.kind {
            DetectorKind::Probe(_) => {
                let mut tensors = Tensors::of(&weights_path, &bytes)?;
                let weight = tensors.vector("weight", card.d_in)?;
                let bias = tensors.vector("bias", 1)?;
                tensors.finish()?;
                Loaded::Probe(LinearProbe {
                    weight,
                    bias: bias.sum(),
                })
            }
            DetectorKind::Sae => {
                let config = sae::read_config(&inside(folder, sae::CONFIG_FILE)?)?;
                digests.push(FileDigest::of(sae::CONFIG_FILE, config.as_bytes()));
                let sae = Sae::from_saelens(folder, &config, &weights_path, &bytes)?;
                if folder.join(sae::SCALER_FILE).exists() {
                    let scaler = tensors::open(&inside(folder, sae::SCALER_FILE)?)?;
                    digests.push(FileDigest::of(sae::SCALER_FILE, &scaler));
                }
                agrees(&card, &sae, &path)?;
                Loaded::Sae(Box::new(sae))
            }
        };
        // Last: weights that cannot be are refused before they are read through.
        digests.insert(1, FileDigest::of(&card.weights, &bytes));
        binding::check(&card, &digests, &path)?;
        Ok(Self {
            card,
            folder: folder.to_owned(),
            weights,
            digests,
        })
    }

    /// Whether the detector can speak about this model.
    ///
    /// # Errors
    /// A site that the model lacks, an activation of another width, or a model other than the one it was made on.
    pub fn fits(&self, architecture: &Architecture, model_sha256: &str) -> Result<()> {
        self.reads(architecture)?;
        self.was_made_on(model_sha256)
    }

    /// Whether the model has what the detector reads.
    ///
    /// # Errors
    /// A site that the model lacks, or an activation of another width.
    pub fn reads(&self, architecture: &Architecture) -> Result<()> {
        let doing = || format!("applying the detector `{}` to the model", self.card.id);
        let Some(site) = architecture.site(self.card.site) else {
            let why = architecture.why_absent(self.card.site);
            return Err(Fault::usage(
                doing(),
                format!(
                    "no site `{}` in a model of {} layers{}",
                    self.card.site,
                    architecture.n_layers,
                    why.map_or_else(String::new, |why| format!(": {why}"))
                ),
            )
            .expected("a site that the model has")
            .hint("`candor inspect MODEL` lists the sites of a model"));
        };
        if let Some(module) = &self.card.module {
            architecture.module(&module.path, self.card.site.layer)?;
        }
        let width = site.layout.per_position();
        if width != Some(self.card.d_in) {
            let found = width.map_or_else(
                || "attention weights, as many as the prompt has tokens".into(),
                |width| format!("activations of width {width}"),
            );
            return Err(Fault::usage(doing(), found)
                .expected(format!("width {}", self.card.d_in))
                .hint(format!(
                    "the detector was made on `{}`; train one on this model",
                    self.card.model.name
                )));
        }
        Ok(())
    }

    /// Token scores `[n, k]` of activations `x` `[n, d_in]`: one column for a probe, one for each of the card's
    /// features for an SAE, in the card's order.
    ///
    /// # Errors
    /// Rows of another width or values that are not finite.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "token scores are single precision, as those from the graph are"
    )]
    pub fn token_scores(&self, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        match &self.weights {
            Loaded::Probe(probe) => Ok(probe
                .score(x)?
                .mapv(|score| score as f32)
                .insert_axis(Axis(1))),
            Loaded::Sae(sae) => Ok(sae.encode(x)?.select(Axis(1), &self.features())),
        }
    }

    /// The same read-out as a head inside the graph; `None` for an SAE without selected features. Where features compete
    /// (top-k) it holds the whole encoder.
    ///
    /// # Errors
    /// None for a detector that was opened.
    pub fn head(&self) -> Result<Option<Head>> {
        let features = self.features();
        if features.is_empty() && matches!(self.weights, Loaded::Sae(_)) {
            return Ok(None);
        }
        self.head_of(&features).map(Some)
    }

    /// A head that puts out these features of an SAE in this order, or the score of a probe, which has none.
    ///
    /// # Errors
    /// A feature that the SAE lacks.
    pub fn head_of(&self, features: &[usize]) -> Result<Head> {
        let (normalization, columns) = match &self.weights {
            Loaded::Probe(probe) => {
                let columns = Columns {
                    weight: probe.weight.clone().insert_axis(Axis(1)),
                    bias: Array1::from_elem(1, probe.bias),
                    activation: Activation::Linear,
                };
                (Normalization::None, columns)
            }
            Loaded::Sae(sae) => (sae.config().normalization, sae.columns(features)?),
        };
        Ok(Head {
            id: self.card.id.clone(),
            site: self.card.site,
            normalization,
            weight: columns.weight,
            bias: columns.bias,
            activation: columns.activation,
        })
    }

    /// Its SAE, if it is one.
    #[must_use]
    pub fn sae(&self) -> Option<&Sae> {
        match &self.weights {
            Loaded::Sae(sae) => Some(sae),
            Loaded::Probe(_) => None,
        }
    }

    /// Indices of the card's features, in the card's order.
    #[must_use]
    pub fn features(&self) -> Vec<usize> {
        self.card
            .features
            .iter()
            .map(|feature| feature.index)
            .collect()
    }
}

impl FileDigest {
    /// A file by its path within `root`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of_file(path: &Path, root: &Path) -> Result<Self> {
        let bytes = tensors::map(path)?;
        let within = path.strip_prefix(root).ok();
        let within = within.filter(|within| *within != Path::new(""));
        let within = within.or(path.file_name().map(Path::new)).unwrap_or(path);
        Ok(Self::of(&within.display().to_string(), &bytes))
    }

    pub(super) fn of(file: &str, bytes: &[u8]) -> Self {
        Self {
            file: file.to_owned(),
            sha256: sha256_of(bytes),
        }
    }
}

fn read_card(path: &Path) -> Result<String> {
    let fault = |found: String| {
        Fault::usage(
            format!("reading the detector's card `{}`", path.display()),
            found,
        )
        .expected("the folder of a detector, with a `detector.yaml` and its weights")
    };
    let size = fs::metadata(path)
        .map_err(|error| fault(error.to_string()))?
        .len();
    if size > LARGEST_CARD {
        return Err(fault(format!("{size} bytes")));
    }
    fs::read_to_string(path).map_err(|error| fault(error.to_string()))
}

/// The path of `file` if it lies within `folder`, symbolic links followed.
fn inside(folder: &Path, file: &str) -> Result<PathBuf> {
    let path = folder.join(file);
    let fault = |found: String| Fault::usage(format!("opening `{}`", path.display()), found);
    let real = path
        .canonicalize()
        .map_err(|error| fault(error.to_string()).expected("a file in the detector's folder"))?;
    let root = folder
        .canonicalize()
        .map_err(|error| fault(error.to_string()))?;
    if real.starts_with(&root) {
        Ok(path)
    } else {
        Err(fault(format!("a link to `{}`", real.display()))
            .expected("a file inside the detector's folder")
            .hint("copy the file into the folder: what is audited has to be complete"))
    }
}

/// Whether card and SAE say the same of each other.
fn agrees(card: &Card, sae: &Sae, path: &Path) -> Result<()> {
    let doing = || format!("checking the detector's card `{}`", path.display());
    if sae.d_in() != card.d_in {
        return Err(Fault::usage(doing(), format!("`d_in`: {}", card.d_in))
            .expected(format!("{}, as in `cfg.json`", sae.d_in())));
    }
    if let Some(feature) = card
        .features
        .iter()
        .find(|feature| feature.index >= sae.d_sae())
    {
        return Err(Fault::usage(doing(), format!("feature {}", feature.index))
            .expected(format!("an index below d_sae = {}", sae.d_sae())));
    }
    let trained_at = sae
        .config()
        .hook_name
        .as_deref()
        .map(str::parse::<SiteName>);
    if let Some(Ok(site)) = trained_at
        && site != card.site
    {
        return Err(Fault::usage(doing(), format!("`site`: {}", card.site))
            .expected(format!("`{site}`, where the SAE was trained (`cfg.json`)")));
    }
    Ok(())
}
