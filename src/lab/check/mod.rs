//! `candor detectors check`: what detectors do on the model at hand, beside what they declare and beside a reference run.

mod candidate;
mod file;
mod found;
mod reference;
mod scores;
mod texts;
mod transfer;

use ndarray::{Array2, ArrayView2, Axis};

use super::chunks::chunks;
use super::progress::Progress;
use super::splice::{SpliceLoss, splice_loss};
use crate::causal::{Engine, Runs as _};
use crate::detect::sae::Measuring;
use crate::detect::{Foreign, Sae, sae_agreements};
use crate::evidence::Unmeasured;
use crate::fault::{Fault, Kind, Result};
use crate::model::{Architecture, Model, SiteName};
use crate::run::Runtime;
use crate::tokens::Tokenizer;

pub use candidate::Candidate;
pub use file::CheckFile;
pub use found::{Checked, Conclusion, Harmless, SaeFound, SuiteFound};
pub use reference::Reference;
use scores::Tally;
pub use texts::Texts;
pub use transfer::{Columns, Dictionaries, Flips, Transfer};

/// Tokens whose activations are held at once.
const TOKENS_AT_ONCE: usize = 4096;

/// What is checked, on what.
pub struct CheckRequest<'a> {
    /// Runs the model.
    pub runtime: &'a Runtime,
    /// The model at hand.
    pub model: &'a Model,
    /// What its structure says.
    pub arch: &'a Architecture,
    /// SHA-256 of the `.onnx` file.
    pub sha256: &'a str,
    /// Tells special tokens of a reference run; texts are encoded already.
    pub tokenizer: Option<&'a Tokenizer>,
    /// The detectors.
    pub candidates: &'a [Candidate],
    /// What they read.
    pub texts: Option<&'a Texts<'a>>,
    /// Activations of another run of the same tokens.
    pub reference: Option<&'a Reference>,
}

/// Checks every detector on every text, and against the reference run.
///
/// # Errors
/// A site that the model lacks, an activation of another width, a reference without a detector's site, or a failed run.
pub fn check(request: &CheckRequest<'_>, progress: &dyn Progress) -> Result<Vec<Checked>> {
    let mut all = request
        .candidates
        .iter()
        .map(|candidate| begin(request, candidate))
        .collect::<Result<Vec<Checked>>>()?;
    let reader = Reader::open(request)?;
    if let Some(texts) = request.texts {
        reader.read(texts, &mut all, progress)?;
        reader.splice(texts, &mut all, progress)?;
    }
    if let Some(reference) = request.reference {
        progress.stage("comparing with the reference", reference.texts());
        let found = transfer::compare(&reader, reference, progress)?;
        for (checked, transfer) in all.iter_mut().zip(found) {
            checked.transfer = Some(transfer);
        }
    }
    for (checked, candidate) in all.iter_mut().zip(request.candidates) {
        checked.compare(candidate);
    }
    Ok(all)
}

/// A detector of which nothing but its words is known yet.
fn begin(request: &CheckRequest<'_>, candidate: &Candidate) -> Result<Checked> {
    let caveats = candidate.admit(request.arch, request.sha256, Foreign::Allowed)?;
    Ok(Checked::begin(candidate, caveats))
}

/// The model with everything tapped that a detector reads or reconstructs.
struct Reader<'a> {
    request: &'a CheckRequest<'a>,
    engine: Engine,
    sites: Vec<SiteName>,
}

impl<'a> Reader<'a> {
    fn open(request: &'a CheckRequest<'a>) -> Result<Self> {
        let mut sites: Vec<SiteName> = Vec::new();
        for candidate in request.candidates {
            for site in [candidate.site(), candidate.site_out()] {
                if !sites.contains(&site) {
                    sites.push(site);
                }
            }
        }
        let engine = Engine::open(
            request.runtime,
            request.model,
            request.arch,
            &sites,
            &[],
            Vec::new(),
        )?;
        Ok(Self {
            request,
            engine,
            sites,
        })
    }

    /// Activations `[seq, width]` of each prompt, in the order of the sites.
    fn activations(&self, prompts: &[&[i64]]) -> Result<Vec<Vec<Array2<f32>>>> {
        self.engine.plain_activations(prompts, &self.sites)
    }

    /// What a site holds, of one prompt's activations.
    fn at<'v>(&self, site: SiteName, of_prompt: &'v [Array2<f32>]) -> Result<ArrayView2<'v, f32>> {
        let place = self.sites.iter().position(|one| *one == site);
        place
            .and_then(|place| of_prompt.get(place))
            .map(|values| values.view())
            .ok_or_else(|| Fault::failed(format!("reading `{site}`"), "a site that was not tapped"))
    }

    /// Scores items, and measures dictionaries.
    fn read(&self, texts: &Texts<'_>, all: &mut [Checked], progress: &dyn Progress) -> Result<()> {
        let candidates = self.request.candidates;
        let mut measuring: Vec<Option<Measuring<'_>>> = candidates
            .iter()
            .map(|candidate| candidate.sae().map(Measuring::new))
            .collect();
        progress.stage("reading activations", texts.len());
        for corpus in texts.corpora() {
            let mut tallies: Vec<Option<Tally<'_>>> = candidates
                .iter()
                .map(|candidate| Tally::begin(candidate, corpus, candidates))
                .collect();
            for some in chunks(&corpus.texts, TOKENS_AT_ONCE, |text| text.ids.len()) {
                let prompts: Vec<&[i64]> = some.iter().map(|text| text.ids.as_slice()).collect();
                let activations = self.activations(&prompts)?;
                for (text, of_prompt) in some.iter().zip(&activations) {
                    let plain = texts::plain(text);
                    for ((candidate, measuring), tally) in
                        candidates.iter().zip(&mut measuring).zip(&mut tallies)
                    {
                        let x = self.at(candidate.site(), of_prompt)?;
                        if let Some(measuring) = measuring {
                            let y = self.at(candidate.site_out(), of_prompt)?;
                            measuring.add(
                                x.select(Axis(0), &plain).view(),
                                y.select(Axis(0), &plain).view(),
                            )?;
                        }
                        if let Some(tally) = tally {
                            tally.add(text, x)?;
                        }
                    }
                }
                progress.step(some.len());
            }
            for (checked, tally) in all.iter_mut().zip(tallies) {
                checked.suites.extend(tally.map(Tally::finish).transpose()?);
            }
        }
        for ((checked, measuring), candidate) in all.iter_mut().zip(&measuring).zip(candidates) {
            if let Some(measuring) = measuring {
                checked.sae = Some(SaeFound {
                    d_sae: candidate.sae().map_or(0, Sae::d_sae),
                    measured: measuring.finish()?,
                    loss: None,
                });
            }
        }
        Ok(())
    }

    /// Measures what each dictionary costs the model.
    fn splice(
        &self,
        texts: &Texts<'_>,
        all: &mut [Checked],
        progress: &dyn Progress,
    ) -> Result<()> {
        let dictionaries = self
            .request
            .candidates
            .iter()
            .zip(all)
            .filter_map(|(candidate, checked)| Some((candidate, candidate.sae()?, checked)));
        let dictionaries: Vec<_> = dictionaries.collect();
        progress.stage("splicing reconstructions in", dictionaries.len());
        let (prompts, keep) = texts.prompts();
        for (candidate, sae, checked) in dictionaries {
            match self.loss(candidate, sae, &prompts, &keep) {
                Ok(loss) => {
                    if let Some(found) = &mut checked.sae {
                        found.loss = Some(loss);
                    }
                }
                // A run that fails ends the check; a model that cannot be spliced says why.
                Err(fault) if fault.kind == Kind::Failed => return Err(fault),
                Err(fault) => checked.unmeasured.push(Unmeasured {
                    what: "the loss with its reconstruction spliced in".to_owned(),
                    why: format!("{}: {}", fault.doing, fault.found),
                }),
            }
            progress.step(1);
        }
        Ok(())
    }

    fn loss(
        &self,
        candidate: &Candidate,
        sae: &Sae,
        prompts: &[Vec<i64>],
        keep: &[Vec<bool>],
    ) -> Result<SpliceLoss> {
        splice_loss(
            self.request.runtime,
            self.request.model,
            self.request.arch,
            candidate.site(),
            candidate.site_out(),
            prompts,
            &mut |x| sae.decode(sae.encode(x)?.view(), x),
            keep,
        )
    }
}

impl Checked {
    /// Holds what was measured against what is declared.
    fn compare(&mut self, candidate: &Candidate) {
        if let (Some(found), Some(declares)) = (&self.sae, candidate.declares()) {
            self.agreements
                .extend(sae_agreements(&declares, &found.measured));
        }
        let Some(card) = candidate.card() else {
            return;
        };
        for suite in &self.suites {
            self.agreements.extend(suite.agreements(card));
            if let (Some(id), true) = (&suite.suite, suite.trained_on(card)) {
                self.caveats.push(format!(
                    "it was trained on items of `{id}`: what it reaches there flatters it"
                ));
            }
        }
    }
}
