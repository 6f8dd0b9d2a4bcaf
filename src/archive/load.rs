//! From the parts of a model back to its evidence.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Archive, ablations, patches, responses, scores};
use crate::evidence::{Evidence, PatchMap, Scores, Unmeasured};
use crate::fault::{Fault, Result};

/// The largest logit difference between the instrumented and the plain model.
pub(super) const DIFFERENCE: &str = "difference";
pub(super) const FITS: &str = "fits";
pub(super) const REPEATS: &str = "repeats";

/// The evidence of a model, without texts and token scores. Parts are read in the order in which they were made.
pub(super) fn load(archive: &Archive, folder: &str) -> Result<Evidence> {
    let mut evidence = Evidence::default();
    let mut seen = Vec::new();
    for part in parts(archive, folder) {
        match part.kind {
            "responses" => {
                let bytes = archive.read(part.file)?;
                for row in responses::read(part.file, bytes, false)? {
                    evidence.responses.note(&row);
                }
            }
            "scores" => {
                let bytes = archive.read(part.file)?;
                if evidence.scores.is_empty() {
                    evidence.scores = Scores::beside(&evidence.responses);
                }
                scores::read_values(part.file, bytes, &mut |score| {
                    evidence.scores.push(score);
                })?;
            }
            "map" => {
                let key = part.key();
                if !seen.contains(&key) {
                    evidence.maps.push(map(archive, &key)?);
                    seen.push(key);
                }
            }
            "ablation" => {
                let read = ablations::read(part.file, archive.read(part.file)?)?;
                evidence.ablations.extend(read);
            }
            "unmeasured" => {
                let notes: Vec<Unmeasured> = json(archive, part.file)?;
                evidence.unmeasured.extend(notes);
            }
            DIFFERENCE => evidence.instrument_difference = json(archive, part.file)?,
            FITS => evidence.fits = json(archive, part.file)?,
            REPEATS => evidence.repeats = json(archive, part.file)?,
            _ => {}
        }
    }
    Ok(evidence)
}

impl Archive {
    /// The evidence of a model, without texts and token scores.
    ///
    /// # Errors
    /// A part cannot be read or was changed.
    pub fn load(&self, number: usize) -> Result<Evidence> {
        load(self, &format!("model-{number}"))
    }

    /// Adds the texts of the items that are wanted, and of those that are shown their token scores too.
    ///
    /// # Errors
    /// A part cannot be read or was changed.
    pub fn fill(
        &self,
        number: usize,
        evidence: &mut Evidence,
        wanted: &BTreeSet<(String, String)>,
        shown: &BTreeSet<(String, String)>,
    ) -> Result<()> {
        let mut place = 0;
        for part in parts(self, &format!("model-{number}")) {
            match part.kind {
                "responses" => {
                    for row in responses::read(part.file, self.read(part.file)?, true)? {
                        if wanted.contains(&(row.suite, row.item)) {
                            evidence.responses.tell(place, row.prompt, row.text);
                        }
                        place += 1;
                    }
                }
                "tokens" => {
                    let read = scores::read_tokens(part.file, self.read(part.file)?, shown)?;
                    evidence.tokens.extend(read);
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// What every chunk of a map says of it, beside its pairs and cells.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MapHead {
    pub suite: String,
    pub mode: String,
    pub sites: Vec<String>,
    pub refused: Vec<Unmeasured>,
}

/// A patching map, put together from its chunks and its controls. `key` is what its files have before the number of the chunk, with `map` for the kind:
/// `model-1/suite-1/map-1-denoising`.
pub(super) fn map(archive: &Archive, key: &str) -> Result<PatchMap> {
    let mut whole: Option<PatchMap> = None;
    let heads = archive.chain().links().iter();
    let heads = heads.filter(|link| {
        let rest = link.file.strip_prefix(key);
        rest.is_some_and(|rest| rest.starts_with('-'))
    });
    for head in heads {
        let of_kind = |kind: &str| {
            let (folder, name) = head.file.rsplit_once('/').unwrap_or(("", &head.file));
            let name = name.replacen("map", kind, 1).replace(".json", ".parquet");
            format!("{folder}/{name}")
        };
        let said: MapHead = json(archive, &head.file)?;
        let file = of_kind("pairs");
        let mut pairs = patches::read_pairs(&file, archive.read(&file)?)?;
        let file = of_kind("cells");
        patches::read_cells(&file, archive.read(&file)?, &said.sites, &mut pairs)?;
        let map = match &mut whole {
            Some(map) => map,
            None => whole.insert(empty(&head.file, &said)?),
        };
        map.pairs.extend(pairs);
        map.refused.extend(said.refused);
    }
    let mut whole = whole.ok_or_else(|| {
        Fault::usage(format!("reading the evidence `{key}`"), "no part of it")
            .expected("a patching map that `candor audit` wrote")
    })?;
    let controls = key.replacen("/map-", "/controls-", 1) + ".parquet";
    if archive.holds(&controls) {
        patches::read_controls(&controls, archive.read(&controls)?, &mut whole)?;
    }
    Ok(whole)
}

fn empty(file: &str, said: &MapHead) -> Result<PatchMap> {
    let wrong = |found: String| {
        Fault::usage(format!("reading the evidence `{file}`"), found)
            .expected("a patching map that `candor audit` wrote")
    };
    let sites = said.sites.iter().map(|site| site.parse());
    Ok(PatchMap {
        suite: said.suite.clone(),
        mode: patches::mode_named(&said.mode)
            .ok_or_else(|| wrong(format!("the mode `{}`", said.mode)))?,
        sites: sites
            .collect::<Result<_>>()
            .map_err(|fault| wrong(fault.to_string()))?,
        pairs: Vec::new(),
        refused: Vec::new(),
    })
}

/// A part by its name, such as `model-1/suite-1/responses-00000.parquet`.
struct Part<'a> {
    file: &'a str,
    kind: &'a str,
}

impl Part<'_> {
    /// What the files of all chunks have in common.
    fn key(&self) -> String {
        let key = self.file.rsplit_once('-');
        key.map_or_else(|| self.file.to_owned(), |(key, _)| key.to_owned())
    }
}

fn parts<'a>(archive: &'a Archive, folder: &'a str) -> impl Iterator<Item = Part<'a>> {
    archive.chain().links().iter().filter_map(move |link| {
        let within = link.file.strip_prefix(folder)?.strip_prefix('/')?;
        let (_, name) = within.rsplit_once('/').unwrap_or(("", within));
        let kind = name.split(['-', '.']).next().unwrap_or(name);
        Some(Part {
            file: &link.file,
            kind,
        })
    })
}

fn json<T: DeserializeOwned>(archive: &Archive, file: &str) -> Result<T> {
    let bytes = archive.read(file)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        Fault::usage(format!("reading the evidence `{file}`"), error.to_string())
            .expected("what `candor audit` wrote")
            .hint("`candor verify` names every file that was changed")
    })
}
