//! What was found on one model, with what binds it to the files that it speaks of.

use super::power::power;
use super::record::digest;
use super::score::Fit;
use super::study::Study;
use crate::detect::{Detector, FalsePositives, sae_agreements};
use crate::digest::sha256_of;
use crate::evidence::{Evidence, Unmeasured};
use crate::fault::Result;
use crate::lab::Subject;
use crate::report::{
    ArchitectureSummary, DetectorRecord, ExhibitContext, FileDigest, ModelAudit, SuiteRecord,
    accounts, exhibits, failed, items, refused, repeat, samples,
};
use crate::rules::{RESAMPLES, SEED, Verdict, worst};
use crate::stats::{Estimate, auroc_interval};
use crate::tokens::Suite;

/// Random input and output pairs of each suite.
const SAMPLES: usize = 5;

impl Study<'_> {
    /// Judges the evidence and gathers everything that was found on the model.
    ///
    /// # Errors
    /// The tokenizer cannot be read again for its digest, or an interval cannot be computed.
    pub(super) fn conclude(&self) -> Result<ModelAudit> {
        let evidence = &self.evidence;
        let seed = self.config.seed;
        let detectors = self.bench.detectors.iter();
        let detectors: Vec<DetectorRecord> =
            detectors.map(|detector| self.detector(detector)).collect();
        let context = ExhibitContext {
            detectors: &detectors,
            resamples: RESAMPLES,
            seed,
        };
        let exhibits = exhibits(evidence, &context)?;
        let repeat = repeat(evidence, &detectors);
        let accounts = accounts(evidence);
        let findings = self.judge();
        let verdicts: Vec<Verdict> = findings.iter().map(|finding| finding.verdict).collect();
        let subject = &self.bench.subject;
        Ok(ModelAudit {
            name: subject.name.clone(),
            files: files(subject)?,
            architecture: architecture(subject),
            verdict: worst(&verdicts).unwrap_or(Verdict::Inconclusive),
            findings,
            suites: self.prepared.suites.iter().map(suite_record).collect(),
            incomplete: failed(&accounts)
                .into_iter()
                .chain(self.incomplete())
                .collect(),
            accounts,
            instrument_difference: evidence.instrument_difference,
            caveats: self.bench.caveats.clone(),
            unmeasured: unmeasured(evidence),
            samples: samples(evidence, SAMPLES, seed),
            items: items(evidence, &detectors, repeat.as_ref()),
            family: self.family(),
            power: power(self.prepared, self.bench),
            repeat,
            exhibits,
            detectors,
        })
    }

    fn detector(&self, detector: &Detector) -> DetectorRecord {
        let card = &detector.card;
        let fit = self.fits.iter().find(|fit| fit.detector == card.id);
        let rate = |rates: &FalsePositives| Estimate {
            point: rates.rate,
            low: rates.interval.low,
            high: rates.interval.high,
            n: rates.n,
            clusters: rates.n,
        };
        let calibration = card.calibration.as_ref();
        DetectorRecord {
            id: card.id.clone(),
            role: card.role.clone(),
            kind: card.kind.to_string(),
            site: card.site.to_string(),
            threshold: calibration.map(|calibration| calibration.threshold),
            flags: calibration.map(|calibration| calibration.flags),
            declared_auroc: card.declares.and_then(|declares| declares.auroc),
            auroc: self.measured_auroc(detector),
            l0: fit.map(|fit| fit.measured.l0),
            explained_variance: fit.map(|fit| fit.measured.explained_variance),
            fpr_control: calibration.map(|calibration| rate(&calibration.control)),
            fpr_matched: calibration
                .and_then(|calibration| calibration.matched_honest.as_ref())
                .map(rate),
            digest: sha256_of(
                detector
                    .digests
                    .iter()
                    .map(|file| file.sha256.as_str())
                    .collect::<String>()
                    .as_bytes(),
            ),
            calibration_digest: calibration
                .map(|calibration| calibration.control.corpus_digest.clone()),
            model_digest: Some(card.model.sha256.clone()),
            limits: card.limits.clone(),
        }
    }

    /// AUROC of a probe between the conditions of the first contrast suite.
    fn measured_auroc(&self, detector: &Detector) -> Option<Estimate> {
        let (suite, contrast) = self
            .prepared
            .suites
            .iter()
            .find_map(|suite| Some((suite, suite.contrast.as_ref()?)))?;
        let scores: Vec<_> = self
            .evidence
            .scores
            .iter()
            .filter(|score| {
                score.suite == suite.id
                    && score.detector == detector.card.id
                    && score.feature.is_none()
            })
            .filter(|score| {
                score.condition == contrast.tested || score.condition == contrast.against
            })
            .collect();
        let values: Vec<f64> = scores.iter().map(|score| score.value).collect();
        let labels: Vec<bool> = scores
            .iter()
            .map(|score| score.condition == contrast.tested)
            .collect();
        let groups: Vec<&str> = scores.iter().map(|score| score.group.as_str()).collect();
        auroc_interval(&values, &labels, &groups, RESAMPLES, SEED).ok()
    }

    /// An SAE that does not fit the model's activations cannot clear it.
    fn incomplete(&self) -> Vec<Unmeasured> {
        let misfit = |fit: &Fit| {
            let mut detectors = self.bench.detectors.iter();
            let detector = detectors.find(|detector| detector.card.id == fit.detector)?;
            let off: Vec<String> = sae_agreements(&detector.card.declares?, &fit.measured)
                .into_iter()
                .filter(|agreement| !agreement.fits)
                .map(|agreement| {
                    format!(
                        "{} is {:.3} on this audit's activations and {:.3} on the card, where {} was asked",
                        agreement.what, agreement.measured, agreement.declared, agreement.criterion
                    )
                })
                .collect();
            (!off.is_empty()).then(|| Unmeasured {
                what: format!("the features of `{}`", fit.detector),
                why: format!(
                    "{}: the dictionary does not fit this model",
                    off.join(", and ")
                ),
            })
        };
        self.fits.iter().filter_map(misfit).collect()
    }
}

/// What could not be measured, with the pairs that were refused.
fn unmeasured(evidence: &Evidence) -> Vec<Unmeasured> {
    let mut all = evidence.unmeasured.clone();
    all.extend(refused(evidence));
    all
}

fn files(subject: &Subject) -> Result<Vec<FileDigest>> {
    let folder = subject.model.path().with_file_name("");
    let mut files: Vec<FileDigest> = subject
        .files
        .iter()
        .map(|file| FileDigest {
            path: folder.join(&file.path).display().to_string(),
            sha256: file.sha256.clone(),
            bytes: file.bytes,
        })
        .collect();
    files.push(digest(subject.tokenizer.path())?);
    Ok(files)
}

fn architecture(subject: &Subject) -> ArchitectureSummary {
    let arch = &subject.arch;
    ArchitectureSummary {
        n_layers: arch.n_layers,
        d_model: arch.d_model,
        n_heads: arch.n_heads,
        vocab_size: arch.vocab_size,
        family_hint: arch.family_hint.clone(),
        parallel: arch.blocks.iter().any(|block| block.parallel),
    }
}

fn suite_record(suite: &Suite) -> SuiteRecord {
    SuiteRecord {
        id: suite.id.clone(),
        purpose: suite.purpose.name().to_owned(),
        items: suite.items.len(),
        digest: suite.digest.clone(),
    }
}
