//! What binds a detector to its weights and to the model that it was made on.

use std::collections::BTreeMap;
use std::path::Path;

use super::card::{self, Card};
use super::detector::{Detector, FileDigest};
use super::sae;
use crate::digest::sha256_of_file;
use crate::fault::{Fault, Result};
use crate::model::Architecture;

/// Whether a detector may speak of a model that it was not made on, or without a word on its card about its weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Foreign {
    /// It is refused.
    #[default]
    Refused,
    /// It may, with a caveat.
    Allowed,
}

impl Detector {
    /// Whether the detector was made on the model with that SHA-256.
    ///
    /// # Errors
    /// It was made on another one.
    pub fn was_made_on(&self, model_sha256: &str) -> Result<()> {
        let made_on = &self.card.model;
        if made_on.sha256.eq_ignore_ascii_case(model_sha256) {
            return Ok(());
        }
        if made_on.sha256.is_empty() {
            return Err(Fault::usage(
                format!("applying the detector `{}` to the model", self.card.id),
                "a card that names no file of a model",
            )
            .expected(format!("the model with SHA-256 {model_sha256}"))
            .hint("import it again with `--model`"));
        }
        Err(Fault::usage(
            format!("applying the detector `{}` to the model", self.card.id),
            format!("a model with SHA-256 {model_sha256}"),
        )
        .expected(format!(
            "`{}` with SHA-256 {}, on which it was made",
            made_on.name, made_on.sha256
        ))
        .hint(
            "a direction means nothing in another model's activations: train the detector again on this one \
             with `candor train probe`",
        ))
    }

    /// Admits the detector to work that has consequences. What is let pass is returned as caveats, in sentences.
    ///
    /// # Errors
    /// The model lacks what the detector reads. Where foreign detectors are refused: one that was made on another model, or whose card
    /// does not say what its weights are.
    pub fn admit(
        &self,
        architecture: &Architecture,
        model_sha256: &str,
        foreign: Foreign,
    ) -> Result<Vec<String>> {
        const HINT: &str = "`--allow-foreign-detector` lets it pass, with a caveat in the report";
        self.reads(architecture)?;
        let id = &self.card.id;
        let mut caveats = Vec::new();
        if let Err(mut fault) = self.was_made_on(model_sha256) {
            if foreign == Foreign::Refused {
                fault.hint = format!("{}; {HINT}", fault.hint);
                return Err(fault);
            }
            let made_on = &self.card.model;
            let where_made = match made_on.sha256.as_str() {
                "" => format!(
                    "is not known to be made on this model, but on `{}`",
                    made_on.name
                ),
                sha256 => format!(
                    "was made on another model, `{}` with SHA-256 {sha256}",
                    made_on.name
                ),
            };
            caveats.push(format!(
                "`{id}` {where_made}: its scores, its threshold and its false-positive rates may not hold here"
            ));
        }
        if self.card.weights_sha256.is_empty() {
            if foreign == Foreign::Refused {
                return Err(Fault::usage(
                    format!("checking the weights of the detector `{id}`"),
                    "no `weights_sha256` on its card",
                )
                .expected("the SHA-256 of every file that the detector is made of")
                .hint(format!(
                    "write the detector again with this version of Candor; {HINT}"
                )));
            }
            caveats.push(format!(
                "the card of `{id}` does not say which weights it speaks of"
            ));
        }
        Ok(caveats)
    }
}

/// Whether the files that were read are those that the card speaks of, if it says so.
pub(super) fn check(card: &Card, files: &[FileDigest], path: &Path) -> Result<()> {
    if card.weights_sha256.is_empty() {
        return Ok(());
    }
    let doing = || format!("checking the detector's card `{}`", path.display());
    for file in files.iter().filter(|file| file.file != card::FILE) {
        let name = &file.file;
        match card.weights_sha256.get(name) {
            None => {
                return Err(Fault::usage(
                    doing(),
                    format!("a file `{name}` of which it says nothing"),
                )
                .expected("its SHA-256 in `weights_sha256`"));
            }
            Some(digest) if *digest != file.sha256 => {
                return Err(
                    Fault::usage(doing(), format!("`{name}` with SHA-256 {}", file.sha256))
                        .expected(format!("SHA-256 {digest}, as on the card"))
                        .hint("the weights are not those that were measured: take them from where the card comes from, or train again"),
                );
            }
            Some(_) => {}
        }
    }
    let mut listed = card.weights_sha256.keys();
    match listed.find(|name| !files.iter().any(|file| file.file == **name)) {
        Some(name) => Err(Fault::usage(
            doing(),
            format!("no file `{name}` among those that are read"),
        )
        .expected("every file of `weights_sha256`")),
        None => Ok(()),
    }
}

/// Digests of the files that a detector in `folder` is made of, where `weights` is its weights file.
pub(super) fn on_disk(folder: &Path, weights: &str) -> Result<BTreeMap<String, String>> {
    let there = |name: &&str| *name == weights || folder.join(name).exists();
    [weights, sae::CONFIG_FILE, sae::SCALER_FILE]
        .into_iter()
        .filter(there)
        .map(|name| {
            let (sha256, _) = sha256_of_file(&folder.join(name)).map_err(|error| {
                Fault::failed(
                    format!("digesting `{}`", folder.join(name).display()),
                    error.to_string(),
                )
            })?;
            Ok((name.to_owned(), sha256))
        })
        .collect()
}
