//! The parts of one model: what each is called, and writing them.

use serde::Serialize;

use super::load::{DIFFERENCE, FITS, MapHead, REPEATS};
use super::{Answers, Archive, Stamp, ablations, patches, responses, scores};
use crate::digest::sha256_of;
use crate::evidence::{
    Ablation, Fit, PatchMap, Repeated, Response, Score, TokenScores, Unmeasured,
};
use crate::fault::{Fault, Result};

/// The parts of one model.
#[derive(Debug)]
pub struct Shelf<'a> {
    archive: &'a mut Archive,
    folder: String,
    stamp: Stamp,
}

/// Which part of a patching map.
#[derive(Debug, Clone, Copy)]
pub struct MapPart<'a> {
    /// Number of the suite in the audit, from 1.
    pub suite: usize,
    /// Number of the intervention among those that the rules demand, from 1.
    pub request: usize,
    /// `denoising` or `noising`.
    pub mode: &'a str,
}

impl MapPart<'_> {
    fn name(&self, kind: &str) -> String {
        let Self {
            suite,
            request,
            mode,
        } = self;
        format!("suite-{suite}/{kind}-{request}-{mode}")
    }
}

impl<'a> Shelf<'a> {
    pub(super) fn new(archive: &'a mut Archive, number: usize, model: &str) -> Self {
        let stamp = Stamp {
            model: model.to_owned(),
            plan: sha256_of(archive.plan()),
        };
        Self {
            archive,
            folder: format!("model-{number}"),
            stamp,
        }
    }

    /// Whether the responses of a chunk of a suite are there.
    #[must_use]
    pub fn has_responses(&self, suite: usize, chunk: usize) -> bool {
        self.holds(&Answers::file(suite, chunk))
    }

    /// Adds the responses of a chunk.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put_responses(&mut self, suite: usize, chunk: usize, rows: &[Response]) -> Result<()> {
        let bytes = responses::bytes(&self.stamp, rows)?;
        self.put(vec![(Answers::file(suite, chunk), bytes)])
    }

    /// What was said so far.
    #[must_use]
    pub fn answers(&self) -> Answers<'_> {
        Answers::new(self.archive, self.folder.clone())
    }

    /// Whether the scores of a chunk of a suite are there.
    #[must_use]
    pub fn has_scores(&self, suite: usize, chunk: usize) -> bool {
        self.holds(&format!("suite-{suite}/tokens-{chunk:05}.parquet"))
    }

    /// Adds the scores of a chunk, of items and of their tokens.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put_scores(
        &mut self,
        suite: usize,
        chunk: usize,
        rows: &[Score<'_>],
        tokens: &[TokenScores],
    ) -> Result<()> {
        let values = scores::values(&self.stamp, rows)?;
        let tokens = scores::tokens(&self.stamp, tokens)?;
        self.put(vec![
            (format!("suite-{suite}/scores-{chunk:05}.parquet"), values),
            (format!("suite-{suite}/tokens-{chunk:05}.parquet"), tokens),
        ])
    }

    /// Whether a chunk of a patching map is there.
    #[must_use]
    pub fn has_map(&self, part: MapPart<'_>, chunk: usize) -> bool {
        self.holds(&format!("{}-{chunk:05}.parquet", part.name("cells")))
    }

    /// Adds a chunk of a patching map, without its controls.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put_map(&mut self, part: MapPart<'_>, chunk: usize, map: &PatchMap) -> Result<()> {
        let head = MapHead {
            suite: map.suite.clone(),
            mode: map.mode.name().to_owned(),
            sites: map.sites.iter().map(ToString::to_string).collect(),
            refused: map.refused.clone(),
        };
        let file = |kind, ending| format!("{}-{chunk:05}.{ending}", part.name(kind));
        self.put(vec![
            (file("map", "json"), json(&head)?),
            (file("pairs", "parquet"), patches::pairs(&self.stamp, map)?),
            (file("cells", "parquet"), patches::cells(&self.stamp, map)?),
        ])
    }

    /// A patching map, put together from its chunks.
    ///
    /// # Errors
    /// A part cannot be read or was changed.
    pub fn map(&self, part: MapPart<'_>) -> Result<PatchMap> {
        super::load::map(self.archive, &self.path(&part.name("map")))
    }

    /// Whether the controls of a patching map are there.
    #[must_use]
    pub fn has_controls(&self, part: MapPart<'_>) -> bool {
        self.holds(&format!("{}.parquet", part.name("controls")))
    }

    /// Adds the controls of a whole map.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put_controls(&mut self, part: MapPart<'_>, map: &PatchMap) -> Result<()> {
        let bytes = patches::controls(&self.stamp, map)?;
        self.put(vec![(format!("{}.parquet", part.name("controls")), bytes)])
    }

    /// Whether the ablation that a request makes with one detector is there.
    #[must_use]
    pub fn has_ablation(&self, suite: usize, request: usize, detector: usize) -> bool {
        self.holds(&format!(
            "suite-{suite}/ablation-{request}-{detector}.parquet"
        ))
    }

    /// Adds an ablation.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put_ablation(
        &mut self,
        suite: usize,
        request: usize,
        detector: usize,
        ablation: &Ablation,
    ) -> Result<()> {
        let bytes = ablations::bytes(&self.stamp, ablation)?;
        self.put(vec![(
            format!("suite-{suite}/ablation-{request}-{detector}.parquet"),
            bytes,
        )])
    }

    /// Whether it is noted what could not be measured in a step of the work.
    #[must_use]
    pub fn has_unmeasured(&self, step: &str) -> bool {
        self.holds(&format!("unmeasured-{step}.json"))
    }

    /// Notes what could not be measured in a step of the work.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put_unmeasured(&mut self, step: &str, unmeasured: &[Unmeasured]) -> Result<()> {
        self.put(vec![(format!("unmeasured-{step}.json"), json(unmeasured)?)])
    }

    /// Whether the instrumented model was compared with the plain one.
    #[must_use]
    pub fn has_difference(&self) -> bool {
        self.holds(&format!("{DIFFERENCE}.json"))
    }

    /// Notes the largest logit difference between the instrumented and the plain model.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put_difference(&mut self, difference: f64) -> Result<()> {
        self.put(vec![(format!("{DIFFERENCE}.json"), json(&difference)?)])
    }

    /// Whether items were asked a second time.
    #[must_use]
    pub fn has_repeats(&self) -> bool {
        self.holds(&format!("{REPEATS}.json"))
    }

    /// Adds what items gave when they were asked a second time.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put_repeats(&mut self, repeats: &[Repeated]) -> Result<()> {
        self.put(vec![(format!("{REPEATS}.json"), json(repeats)?)])
    }

    /// Whether the fits of the SAEs are there.
    #[must_use]
    pub fn has_fits(&self) -> bool {
        self.holds(&format!("{FITS}.json"))
    }

    /// Adds how the SAEs fit.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn put_fits(&mut self, fits: &[Fit]) -> Result<()> {
        self.put(vec![(format!("{FITS}.json"), json(fits)?)])
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn holds(&self, name: &str) -> bool {
        self.archive.holds(&self.path(name))
    }

    fn put(&mut self, files: Vec<(String, Vec<u8>)>) -> Result<()> {
        let files: Vec<_> = files
            .into_iter()
            .map(|(name, bytes)| (self.path(&name), bytes))
            .collect();
        self.archive.put(&files)
    }
}

fn json(value: &(impl Serialize + ?Sized)) -> Result<Vec<u8>> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Fault::failed("writing evidence as JSON", error.to_string()))?;
    Ok((text + "\n").into_bytes())
}
