//! What is checked: a detector with its card, or the files of an SAE alone.

use std::path::{Path, PathBuf};

use crate::detect::card::{self, Declares};
use crate::detect::{Card, Detector, Foreign, Sae};
use crate::fault::{Fault, Result};
use crate::lab::detector_folders;
use crate::model::{Architecture, SiteName};

/// One of the detectors that are checked.
#[derive(Debug)]
pub enum Candidate {
    /// A folder with a card.
    Detector(Box<Detector>),
    /// The files of an SAE, in any format.
    Sae {
        /// Where they lie.
        path: PathBuf,
        /// Where it reads.
        site: SiteName,
        /// The SAE.
        sae: Box<Sae>,
    },
}

impl Candidate {
    /// Opens detectors: folders with a card, folders of such folders, or the files of SAEs. `site` says where an SAE reads that does
    /// not say so itself, or otherwise.
    ///
    /// # Errors
    /// Nothing there can be opened, or an SAE is of no known site.
    pub fn open_all(paths: &[PathBuf], site: Option<SiteName>) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for path in paths {
            match detector_folders(std::slice::from_ref(path)) {
                Ok(folders) => {
                    for folder in folders {
                        all.push(Self::Detector(Box::new(Detector::open(&folder)?)));
                    }
                }
                // An empty folder and a missing one are no SAE either.
                Err(fault) if !holds_files(path) => return Err(fault),
                Err(_) => all.push(Self::raw(path, site)?),
            }
        }
        Ok(all)
    }

    fn raw(path: &Path, site: Option<SiteName>) -> Result<Self> {
        let sae = Sae::open(path)?;
        let own = sae.config().hook_name.as_deref().map(str::parse);
        let site = match (site, own) {
            (Some(site), _) | (None, Some(Ok(site))) => site,
            (None, Some(Err(fault))) => return Err(fault),
            (None, None) => {
                return Err(Fault::usage(
                    format!("opening the SAE `{}`", path.display()),
                    "no word on the site that it reads",
                )
                .expected("a site in its config, or `--site`"));
            }
        };
        Ok(Self::Sae {
            path: path.to_owned(),
            site,
            sae: Box::new(sae),
        })
    }

    /// The detector's id, or where the SAE lies.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Detector(detector) => detector.card.id.clone(),
            Self::Sae { path, .. } => path.display().to_string(),
        }
    }

    /// What it is made of.
    #[must_use]
    pub fn kind(&self) -> String {
        match self {
            Self::Detector(detector) => detector.card.kind.to_string(),
            Self::Sae { sae, .. } => sae.config().architecture.to_owned(),
        }
    }

    /// Where it reads.
    #[must_use]
    pub fn site(&self) -> SiteName {
        match self {
            Self::Detector(detector) => detector.card.site,
            Self::Sae { site, .. } => *site,
        }
    }

    /// What its reconstruction stands for: where it reads, but for a transcoder.
    #[must_use]
    pub fn site_out(&self) -> SiteName {
        self.site()
    }

    /// Its card, if it has one.
    #[must_use]
    pub fn card(&self) -> Option<&Card> {
        match self {
            Self::Detector(detector) => Some(&detector.card),
            Self::Sae { .. } => None,
        }
    }

    /// The detector, if it has a card.
    #[must_use]
    pub fn detector(&self) -> Option<&Detector> {
        match self {
            Self::Detector(detector) => Some(detector),
            Self::Sae { .. } => None,
        }
    }

    /// Its SAE, if it is one.
    #[must_use]
    pub fn sae(&self) -> Option<&Sae> {
        match self {
            Self::Detector(detector) => detector.sae(),
            Self::Sae { sae, .. } => Some(sae),
        }
    }

    /// What is declared of it: on its card, or by its own config, where top-k says how many features are active.
    #[must_use]
    pub fn declares(&self) -> Option<Declares> {
        let declared = self.card().and_then(|card| card.declares);
        let k = self.sae().and_then(|sae| sae.config().k);
        #[allow(clippy::cast_precision_loss, reason = "k is far below 2^52")]
        let own = k.map(|k| Declares {
            l0: Some(k as f64),
            ..Declares::default()
        });
        declared.or(own)
    }

    /// Whether it can speak of the model, with caveats (see [`Detector::admit`]).
    ///
    /// # Errors
    /// As [`Detector::admit`].
    pub fn admit(
        &self,
        arch: &Architecture,
        sha256: &str,
        foreign: Foreign,
    ) -> Result<Vec<String>> {
        match self {
            Self::Detector(detector) => detector.admit(arch, sha256, foreign),
            Self::Sae { site, sae, .. } => self.reads(arch, *site, sae).map(|()| Vec::new()),
        }
    }

    fn reads(&self, arch: &Architecture, site: SiteName, sae: &Sae) -> Result<()> {
        let doing = || format!("applying `{}` to the model", self.name());
        let Some(found) = arch.site(site) else {
            let why = arch
                .why_absent(site)
                .unwrap_or("the model has no such site");
            return Err(Fault::usage(doing(), format!("no site `{site}`: {why}"))
                .expected("a site that the model has")
                .hint("`candor inspect MODEL` lists the sites of a model"));
        };
        match found.layout.per_position() {
            Some(width) if width == sae.d_in() => Ok(()),
            width => Err(Fault::usage(
                doing(),
                width.map_or_else(
                    || "attention weights".to_owned(),
                    |width| format!("activations of width {width} at `{site}`"),
                ),
            )
            .expected(format!("width {}", sae.d_in()))),
        }
    }
}

/// Whether there is anything at a path that an SAE could be read from.
fn holds_files(path: &Path) -> bool {
    if path.is_file() {
        return true;
    }
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    path.join(card::FILE).exists() || entries.map(|entry| entry.path()).any(|path| path.is_file())
}
