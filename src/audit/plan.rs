//! What an audit will measure and with what: everything that decides its evidence, and nothing that only decides what evidence means.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::AuditConfig;
use super::preflight::{Bench, Prepared};
use super::record;
use crate::detect::{Detector, FalsePositives};
use crate::digest::sha256_of;
use crate::fault::{Fault, Result};
use crate::lab::Subject;
use crate::report::{
    ArchitectureSummary, AuditReport, ContrastRecord, DetectorRecord, Exhibits, Family, FileDigest,
    Items, ModelAudit, SuiteRecord, json,
};
use crate::rules::{Rule, RulePack, Verdict};
use crate::run::Runtime;
use crate::stats::Estimate;
use crate::tokens::{StoredItems, Suite};

const SCHEMA: &str = "candor/evidence/v1";

/// The plan of an audit: a report without findings, and the interventions that its rules demand.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What is audited, with what and on what. It has no findings, no rules and no times.
    pub begun: AuditReport,
    /// The interventions, in order.
    pub demands: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    schema: String,
    demands: Vec<String>,
    audit: Value,
}

impl Plan {
    /// The plan of an audit that is about to run.
    ///
    /// # Errors
    /// A tokenizer or the runtime's library cannot be read again for its digest.
    pub fn of(config: &AuditConfig, prepared: &Prepared, runtime: &Runtime) -> Result<Self> {
        let mut begun = record::begun(config, runtime)?;
        let suites: Vec<SuiteRecord> = prepared.suites.iter().map(suite_record).collect();
        for bench in &prepared.benches {
            begun.models.push(model(bench, &suites)?);
        }
        Ok(Self {
            begun,
            demands: demands(&prepared.judging.rules),
        })
    }

    /// As `plan.json`, a field on each line.
    ///
    /// # Errors
    /// Never for plain data; the type is that of the library underneath.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let wire = Wire {
            schema: SCHEMA.to_owned(),
            demands: self.demands.clone(),
            audit: json::begun(&self.begun)?,
        };
        let text = serde_json::to_string_pretty(&wire)
            .map_err(|error| Fault::failed("writing the plan of the audit", error.to_string()))?;
        Ok((text + "\n").into_bytes())
    }

    /// Reads `plan.json`.
    ///
    /// # Errors
    /// It is none, or of another version.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let doing = "reading the plan of an audit";
        let wrong = |found: String| {
            Fault::usage(doing, found)
                .expected(format!("a plan.json with `\"schema\": \"{SCHEMA}\"`"))
                .hint("give the folder that `candor audit --out` of this version wrote")
        };
        let wire: Wire = serde_json::from_slice(bytes).map_err(|error| wrong(error.to_string()))?;
        if wire.schema != SCHEMA {
            return Err(wrong(format!("the schema `{}`", wire.schema)));
        }
        Ok(Self {
            begun: json::read_begun(wire.audit)?,
            demands: wire.demands,
        })
    }

    /// Interventions that rules demand and that are not part of the plan.
    #[must_use]
    pub fn lacks(&self, rules: &RulePack) -> Vec<String> {
        let mut lacking = demands(rules);
        lacking.retain(|demand| !self.demands.contains(demand));
        lacking
    }
}

/// The interventions that rules demand, each once and in the order in which they are run.
fn demands(rules: &RulePack) -> Vec<String> {
    let all: std::collections::BTreeSet<_> = rules.rules.iter().flat_map(Rule::evidence).collect();
    all.into_iter().map(ToString::to_string).collect()
}

pub(super) fn model(bench: &Bench, suites: &[SuiteRecord]) -> Result<ModelAudit> {
    let subject = &bench.subject;
    Ok(ModelAudit {
        name: subject.name.clone(),
        files: files(subject)?,
        architecture: architecture(subject),
        verdict: Verdict::Inconclusive,
        findings: Vec::new(),
        suites: suites.to_vec(),
        detectors: bench.detectors.iter().map(detector).collect(),
        accounts: Vec::new(),
        instrument_difference: None,
        caveats: bench.caveats.clone(),
        unmeasured: Vec::new(),
        incomplete: Vec::new(),
        samples: Vec::new(),
        items: Items::default(),
        family: Family::default(),
        power: Vec::new(),
        repeat: None,
        exhibits: Exhibits::default(),
    })
}

fn detector(detector: &Detector) -> DetectorRecord {
    let card = &detector.card;
    let rate = |rates: &FalsePositives| Estimate {
        point: rates.rate,
        low: rates.interval.low,
        high: rates.interval.high,
        n: rates.n,
        clusters: rates.n,
    };
    let calibration = card.calibration.as_ref();
    let digests = detector.digests.iter().map(|file| file.sha256.as_str());
    DetectorRecord {
        id: card.id.clone(),
        path: detector.folder.display().to_string(),
        role: card.role.clone(),
        kind: card.kind.to_string(),
        site: card.site.to_string(),
        span: card.span.to_string(),
        threshold: calibration.map(|calibration| calibration.threshold),
        flags: calibration.map(|calibration| calibration.flags),
        features: detector.features(),
        declared_auroc: card.declares.and_then(|declares| declares.auroc),
        declared_l0: card.declares.and_then(|declares| declares.l0),
        declared_explained_variance: card
            .declares
            .and_then(|declares| declares.explained_variance),
        auroc: None,
        l0: None,
        explained_variance: None,
        fpr_control: calibration.map(|calibration| rate(&calibration.control)),
        fpr_matched: calibration
            .and_then(|calibration| calibration.matched_honest.as_ref())
            .map(rate),
        digest: sha256_of(digests.collect::<String>().as_bytes()),
        calibration_digest: calibration
            .map(|calibration| calibration.control.corpus_digest.clone()),
        model_digest: Some(card.model.sha256.clone()),
        limits: card.limits.clone(),
    }
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
    files.push(record::digest(subject.tokenizer.path())?);
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

pub(super) fn suite_record(suite: &Suite<StoredItems>) -> SuiteRecord {
    SuiteRecord {
        id: suite.id.clone(),
        path: suite.path.display().to_string(),
        purpose: suite.purpose.name().to_owned(),
        items: suite.items.len(),
        digest: suite.digest.clone(),
        contrast: suite.contrast.as_ref().map(|contrast| ContrastRecord {
            tested: contrast.tested.clone(),
            against: contrast.against.clone(),
        }),
    }
}
