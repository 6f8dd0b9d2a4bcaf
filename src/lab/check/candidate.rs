//! What is checked: a detector with its card, or the files of an SAE alone.

use std::path::{Path, PathBuf};

use crate::detect::card::{self, Declares};
use crate::detect::sae::{Asked, Opened};
use crate::detect::{Card, Detector, Foreign, Sae};
use crate::fault::{Fault, Result};
use crate::lab::detector_folders;
use crate::model::{Architecture, SiteName};

/// One of the detectors that are checked.
#[derive(Debug)]
pub struct Candidate {
    made: Made,
    site: SiteName,
    site_out: SiteName,
}

#[derive(Debug)]
enum Made {
    /// A folder with a card.
    Detector(Box<Detector>),
    /// The files of an SAE, in any format.
    Sae(PathBuf, Box<Sae>),
}

impl Candidate {
    /// Opens detectors: folders with a card, folders of such folders, or the files of SAEs and transcoders. `asked` says where those
    /// read and write that do not say so themselves.
    ///
    /// # Errors
    /// Nothing there can be opened, or an SAE is of no known site.
    pub fn open_all(paths: &[PathBuf], asked: &Asked) -> Result<Vec<Self>> {
        let mut all = Vec::new();
        for path in paths {
            match detector_folders(std::slice::from_ref(path)) {
                Ok(folders) => {
                    for folder in folders {
                        all.push(Self::of(Detector::open(&folder)?)?);
                    }
                }
                // An empty folder and a missing one are no SAE either.
                Err(fault) if !holds_files(path) => return Err(fault),
                Err(_) => all.push(Self::raw(path, asked)?),
            }
        }
        Ok(all)
    }

    /// A detector that is open already.
    ///
    /// # Errors
    /// A transcoder that does not say what it reconstructs.
    pub fn of(detector: Detector) -> Result<Self> {
        Ok(Self {
            site: detector.card.site,
            site_out: detector.site_out()?,
            made: Made::Detector(Box::new(detector)),
        })
    }

    fn raw(path: &Path, asked: &Asked) -> Result<Self> {
        let sae = Opened::open(path, asked)?.sae;
        let hook = sae.config().hook_name.as_deref().ok_or_else(|| {
            Fault::usage(
                format!("opening the SAE `{}`", path.display()),
                "no word on the site that it reads",
            )
            .expected("a site in its config, or `--site`")
        })?;
        let site = hook.parse()?;
        Ok(Self {
            site,
            site_out: sae.reconstructs(site)?,
            made: Made::Sae(path.to_owned(), Box::new(sae)),
        })
    }

    /// The detector's id, or where the SAE lies.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.made {
            Made::Detector(detector) => detector.card.id.clone(),
            Made::Sae(path, _) => path.display().to_string(),
        }
    }

    /// What it is made of.
    #[must_use]
    pub fn kind(&self) -> String {
        match &self.made {
            Made::Detector(detector) => detector.card.kind.to_string(),
            Made::Sae(_, sae) => sae.config().architecture.to_owned(),
        }
    }

    /// Where it reads.
    #[must_use]
    pub fn site(&self) -> SiteName {
        self.site
    }

    /// What its reconstruction stands for: where it reads, but for a transcoder.
    #[must_use]
    pub fn site_out(&self) -> SiteName {
        self.site_out
    }

    /// Its card, if it has one.
    #[must_use]
    pub fn card(&self) -> Option<&Card> {
        self.detector().map(|detector| &detector.card)
    }

    /// The detector, if it has a card.
    #[must_use]
    pub fn detector(&self) -> Option<&Detector> {
        match &self.made {
            Made::Detector(detector) => Some(detector),
            Made::Sae(..) => None,
        }
    }

    /// Its SAE, if it is one.
    #[must_use]
    pub fn sae(&self) -> Option<&Sae> {
        match &self.made {
            Made::Detector(detector) => detector.sae(),
            Made::Sae(_, sae) => Some(sae),
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
        match &self.made {
            Made::Detector(detector) => detector.admit(arch, sha256, foreign),
            Made::Sae(_, sae) => {
                let doing = format!("applying `{}` to the model", self.name());
                sae.fits_sites(arch, self.site, self.site_out, &doing)?;
                Ok(Vec::new())
            }
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
