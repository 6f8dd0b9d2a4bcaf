//! What binds a report to what was audited: digests, versions, seeds, accounts and random samples.

use std::path::Path;

use super::config::AuditConfig;
use super::preflight::{Bench, Prepared};
use super::score::Fit;
use crate::detect::Detector;
use crate::digest::sha256_of;
use crate::evidence::{Evidence, Unmeasured};
use crate::fault::{Fault, Result};
use crate::report::{
    ArchitectureSummary, AuditReport, DetectorRecord, ExhibitContext, FileDigest, Finding,
    ModelAudit, RuleDoc, RuntimeRecord, SuiteRecord, accounts, exhibits, samples,
};
use crate::rules::{RESAMPLES, Rule, SEED, worst};
use crate::run::Runtime;
use crate::stats::{Estimate, auroc_interval};
use crate::tokens::Suite;

/// Random input and output pairs of each suite.
const SAMPLES: usize = 5;

/// Now, as RFC 3339.
#[must_use]
pub fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}

/// What a rule says of itself.
#[must_use]
pub fn rule_doc(rule: &Rule) -> RuleDoc {
    RuleDoc {
        id: rule.id.clone(),
        title: rule.title.clone(),
        severity: rule.severity,
        summary: rule.summary.clone(),
        why: rule.why.clone(),
        remediation: rule.remediation.clone(),
        controls: rule.controls.clone(),
        file: rule.file.display().to_string(),
        line: rule.line,
    }
}

/// The whole report.
///
/// # Errors
/// A rule file or the runtime's library cannot be read again for its size and digest.
pub fn report(
    config: &AuditConfig,
    command: &str,
    started: &str,
    prepared: &Prepared,
    runtime: &Runtime,
    models: Vec<ModelAudit>,
) -> Result<AuditReport> {
    Ok(AuditReport {
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        started: started.to_owned(),
        finished: now(),
        seed: config.seed,
        command: command.to_owned(),
        fail_on: config.fail_on,
        runtime: RuntimeRecord {
            version: runtime.version().to_owned(),
            provider: runtime.provider().to_string(),
            threads: runtime.threads(),
            library_sha256: digest(runtime.library())?.sha256,
        },
        models,
        rules: prepared.rules.rules.iter().map(rule_doc).collect(),
        rule_files: prepared
            .rules
            .files
            .iter()
            .map(|file| digest(&file.path))
            .collect::<Result<_>>()?,
    })
}

fn digest(path: &Path) -> Result<FileDigest> {
    let bytes = std::fs::read(path).map_err(|error| {
        Fault::failed(format!("digesting `{}`", path.display()), error.to_string())
    })?;
    Ok(FileDigest {
        path: path.display().to_string(),
        sha256: sha256_of(&bytes),
        bytes: bytes.len() as u64,
    })
}

/// Everything that was found on one model.
#[allow(clippy::too_many_arguments, reason = "each is one part of the record")]
pub fn model(
    config: &AuditConfig,
    prepared: &Prepared,
    bench: &Bench,
    evidence: &Evidence,
    fits: &[Fit],
    findings: Vec<Finding>,
) -> Result<ModelAudit> {
    let detectors: Vec<DetectorRecord> = bench
        .detectors
        .iter()
        .map(|detector| detector_record(detector, prepared, evidence, fits))
        .collect();
    let context = ExhibitContext {
        detectors: &detectors,
        resamples: RESAMPLES,
        seed: config.seed,
    };
    let exhibits = exhibits(evidence, &context)?;
    let subject = &bench.subject;
    let arch = &subject.arch;
    let tokenizer = digest(subject.tokenizer.path())?;
    let model_folder = subject.model.path().with_file_name("");
    let files = subject
        .files
        .iter()
        .map(|file| FileDigest {
            path: model_folder.join(&file.path).display().to_string(),
            sha256: file.sha256.clone(),
            bytes: file.bytes,
        })
        .chain([tokenizer])
        .collect();
    let verdicts: Vec<_> = findings.iter().map(|finding| finding.verdict).collect();
    Ok(ModelAudit {
        name: subject.name.clone(),
        files,
        architecture: ArchitectureSummary {
            n_layers: arch.n_layers,
            d_model: arch.d_model,
            n_heads: arch.n_heads,
            vocab_size: arch.vocab_size,
            family_hint: arch.family_hint.clone(),
            parallel: arch.blocks.iter().any(|block| block.parallel),
        },
        verdict: worst(&verdicts).unwrap_or(crate::rules::Verdict::Inconclusive),
        findings,
        suites: prepared.suites.iter().map(suite_record).collect(),
        accounts: accounts(evidence),
        instrument_difference: evidence.instrument_difference,
        unmeasured: evidence.unmeasured.clone(),
        incomplete: incomplete(bench, fits),
        samples: samples(evidence, SAMPLES, config.seed),
        exhibits,
        detectors,
    })
}

fn suite_record(suite: &Suite) -> SuiteRecord {
    SuiteRecord {
        id: suite.id.clone(),
        purpose: suite.purpose.name().to_owned(),
        items: suite.items.len(),
        digest: suite.digest.clone(),
    }
}

fn detector_record(
    detector: &Detector,
    prepared: &Prepared,
    evidence: &Evidence,
    fits: &[Fit],
) -> DetectorRecord {
    let card = &detector.card;
    let fit = fits.iter().find(|fit| fit.detector == card.id);
    let rate = |rates: &crate::detect::FalsePositives| Estimate {
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
        threshold: calibration.map_or(0.0, |calibration| calibration.threshold),
        declared_auroc: card.declares.and_then(|declares| declares.auroc),
        auroc: measured_auroc(detector, prepared, evidence),
        l0: fit.map(|fit| fit.l0),
        explained_variance: fit.map(|fit| fit.explained_variance),
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
    }
}

/// AUROC of a probe between the conditions of the first contrast suite.
fn measured_auroc(
    detector: &Detector,
    prepared: &Prepared,
    evidence: &Evidence,
) -> Option<Estimate> {
    let (suite, contrast) = prepared
        .suites
        .iter()
        .find_map(|suite| Some((suite, suite.contrast.as_ref()?)))?;
    let scores: Vec<_> = evidence
        .scores
        .iter()
        .filter(|score| {
            score.suite == suite.id && score.detector == detector.card.id && score.feature.is_none()
        })
        .filter(|score| score.condition == contrast.tested || score.condition == contrast.against)
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
fn incomplete(bench: &Bench, fits: &[Fit]) -> Vec<Unmeasured> {
    fits.iter()
        .filter_map(|fit| {
            let declared = bench.detectors.iter().find(|detector| detector.card.id == fit.detector)?.card.declares?;
            let (l0, explained) = (declared.l0?, declared.explained_variance?);
            let far = fit.explained_variance < explained - 0.2 || fit.l0 > 2.0 * l0 || fit.l0 < 0.5 * l0;
            far.then(|| Unmeasured {
                what: format!("the features of `{}`", fit.detector),
                why: format!(
                    "L0 {:.1} and explained variance {:.3} on this audit's activations are far from the declared {l0:.1} and {explained:.3}: the dictionary does not fit this model",
                    fit.l0, fit.explained_variance
                ),
            })
        })
        .collect()
}
