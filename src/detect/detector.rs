//! A detector's folder: its card, its weights, and whether it fits a model.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use super::binding;
use super::card::{self, Card, DetectorKind};
use super::probe::Probe;
use super::sae::{self, Columns, Normalization, Sae};
use super::tensors::{self, Tensors};
use super::train::ProbeKind;
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
    /// A probe.
    Probe(Probe),
    /// A sparse autoencoder.
    Sae(Box<Sae>),
}

/// A score of an item, and what is shown of its tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemScore {
    /// The feature of an SAE.
    pub feature: Option<usize>,
    /// The aggregated score.
    pub value: f64,
    /// One number for each token (see [`Aggregation::by_token`](super::Aggregation::by_token)).
    pub tokens: Vec<f32>,
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
                pools(&card, &path)?;
                Loaded::Probe(read_probe(&card, Tensors::of(&weights_path, &bytes)?)?)
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
        match self.sae().filter(|sae| sae.transcodes()) {
            Some(sae) => sae.fits_sites(architecture, self.card.site, self.site_out()?, &doing()),
            None => Ok(()),
        }
    }

    /// Token scores `[n, k]` of activations `x` `[n, d_in]`: the columns of a probe, or one for each of the card's features for
    /// an SAE, in the card's order.
    ///
    /// # Errors
    /// Rows of another width or values that are not finite.
    pub fn token_scores(&self, x: ArrayView2<f32>) -> Result<Array2<f32>> {
        match &self.weights {
            Loaded::Probe(probe) => probe.token_scores(x),
            Loaded::Sae(sae) => Ok(sae.encode(x)?.select(Axis(1), &self.features())),
        }
    }

    /// What an item's token scores `[seq, k]` come to over its span: one score for a probe, one for each of the card's features
    /// for an SAE.
    ///
    /// # Errors
    /// As for [`Aggregation::of_columns`](super::Aggregation::of_columns).
    pub fn item_scores(&self, scores: ArrayView2<f32>, span: &[usize]) -> Result<Vec<ItemScore>> {
        let aggregation = self.card.aggregation;
        let read = |feature: Option<usize>, scores: ArrayView2<f32>| {
            Ok(ItemScore {
                feature,
                value: aggregation.of_columns(scores, span)?,
                tokens: aggregation.by_token(scores, span)?,
            })
        };
        match &self.weights {
            Loaded::Probe(_) => Ok(vec![read(None, scores)?]),
            Loaded::Sae(_) => self
                .features()
                .into_iter()
                .zip(scores.axis_chunks_iter(Axis(1), 1))
                .map(|(feature, scores)| read(Some(feature), scores))
                .collect(),
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

    /// A head that puts out these features of an SAE in this order, or the columns of a probe, which has none.
    ///
    /// # Errors
    /// A feature that the SAE lacks.
    pub fn head_of(&self, features: &[usize]) -> Result<Head> {
        let (normalization, columns) = match &self.weights {
            Loaded::Probe(probe) => {
                let columns = Columns {
                    weight: probe.weight.clone(),
                    bias: probe.bias.clone(),
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

    /// The site whose activation its SAE reconstructs: where it reads, but for a transcoder.
    ///
    /// # Errors
    /// A transcoder that does not say which.
    pub fn site_out(&self) -> Result<SiteName> {
        let site = self.card.site;
        self.sae().map_or(Ok(site), |sae| sae.reconstructs(site))
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

/// Whether a probe's aggregation is one that its kind is made for.
fn pools(card: &Card, path: &Path) -> Result<()> {
    let DetectorKind::Probe(kind) = card.kind else {
        return Ok(());
    };
    let own = ProbeKind::named(kind).and_then(|kind| kind.pooling);
    if own.map_or(!card.aggregation.pools(), |own| own == card.aggregation) {
        return Ok(());
    }
    Err(Fault::usage(
        format!("checking the detector's card `{}`", path.display()),
        format!(
            "`aggregation`: {} of a probe of kind `{kind}`",
            card.aggregation
        ),
    )
    .expected(own.map_or_else(
        || "an aggregation of one column, such as `mean`".to_owned(),
        |own| format!("`{own}`, with which that kind is trained"),
    )))
}

/// `weight` `[d_in]` and `bias` `[1]`, or `[d_in, c]` and `[c]` where the aggregation pools columns.
fn read_probe(card: &Card, mut tensors: Tensors<'_>) -> Result<Probe> {
    let probe = if card.aggregation.pools() {
        let columns = tensors.columns("weight");
        let weight = tensors.matrix("weight", [card.d_in, columns])?;
        let bias = tensors.vector("bias", columns)?;
        Probe { weight, bias }
    } else {
        let weight = tensors.vector("weight", card.d_in)?;
        Probe::linear(weight, tensors.vector("bias", 1)?.sum())
    };
    tensors.finish()?;
    if card.aggregation.fits(probe.columns()) {
        return Ok(probe);
    }
    Err(Fault::usage(
        format!("reading the weights of the detector `{}`", card.id),
        format!(
            "{} columns for the aggregation `{}`",
            probe.columns(),
            card.aggregation
        ),
    )
    .expected("as many columns of queries as of values, at least one of each"))
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
