//! Runs a random sample of a finished audit again on its models, and holds what they say now against what is stored.

use std::path::{Path, PathBuf};

use super::config::{AuditConfig, ModelConfig};
use super::judging::Judging;
use super::plan::{self, Plan};
use super::seal::{EVIDENCE, RECORD};
use super::{preflight, repeat, score};
use crate::archive::Archive;
use crate::detect::Foreign;
use crate::evidence::{Evidence, Repeated};
use crate::fault::{Fault, Result};
use crate::lab::Progress;
use crate::report::ModelAudit;
use crate::rules::Severity;
use crate::run::Runtime;

/// How much of an audit is run again.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Items of each model.
    pub items: usize,
    /// Chooses them. Nobody who makes up evidence should be able to know it.
    pub seed: u64,
    /// How far a score may be off, as a part of its size or of 1, whichever is larger.
    pub tolerance: f64,
}

/// What running again has shown.
#[derive(Debug, Clone, Default)]
pub struct Rerun {
    /// Items that were run again.
    pub items: usize,
    /// Scores that were compared.
    pub scores: usize,
    /// The largest difference of a score, as a part of its size or of 1.
    pub largest: f64,
    /// What does not hold, a line each.
    pub mismatches: Vec<String>,
}

/// Runs a sample of each model's items again. Files are looked for where the audit found them, from the folder that this is run in.
///
/// # Errors
/// A model, suite or detector is not there any more, or a run fails.
pub fn rerun(
    folder: &Path,
    sample: Sample,
    obtain: impl FnOnce() -> Result<Runtime>,
    progress: &dyn Progress,
) -> Result<Rerun> {
    let evidence = Archive::open(&folder.join(EVIDENCE))?;
    let plan = Plan::read(evidence.plan())?;
    let judging = Judging::kept(&folder.join(RECORD))?;
    let config = config(&plan)?;
    let suites = preflight::suites(&config)?;
    let benches = preflight::benches(&config, &suites)?;
    let records: Vec<_> = suites.iter().map(plan::suite_record).collect();
    let mut rerun = Rerun::default();
    for (bench, begun) in benches.iter().zip(&plan.begun.models) {
        rerun.same(begun, &plan::model(bench, &records)?);
    }
    if !rerun.mismatches.is_empty() {
        return Ok(rerun);
    }
    let runtime = obtain()?;
    for (bench, number) in benches.iter().zip(1..) {
        let stored = evidence.load(number)?;
        let answers = evidence.answers(number);
        let chosen = repeat::chosen(&suites, &answers, sample.items, sample.seed)?;
        progress.stage(
            &format!("{}: running again", bench.subject.name),
            chosen.len(),
        );
        let engine = score::instrument(&runtime, bench, &judging.rules)?;
        let again = repeat::ask_again(bench, &engine, &chosen, &|| progress.step(1))?;
        for (before, one) in chosen.iter().zip(&again) {
            rerun.compare(
                &bench.subject.name,
                &stored,
                &before.said,
                one,
                sample.tolerance,
            );
        }
    }
    Ok(rerun)
}

/// The audit that a plan belongs to, as far as models, suites and detectors go.
fn config(plan: &Plan) -> Result<AuditConfig> {
    let models = plan.begun.models.iter().map(|model| {
        let (Some(first), Some(last)) = (model.files.first(), model.files.last()) else {
            return Err(
                Fault::usage("running an audit again", "a model without files")
                    .expected("the paths of its model and its tokenizer"),
            );
        };
        Ok(ModelConfig {
            name: model.name.clone(),
            model: PathBuf::from(&first.path),
            tokenizer: Some(PathBuf::from(&last.path)),
            detectors: model
                .detectors
                .iter()
                .map(|detector| PathBuf::from(&detector.path))
                .collect(),
        })
    });
    let suites = plan.begun.models.first().map(|model| &model.suites);
    Ok(AuditConfig {
        title: String::new(),
        seed: plan.begun.seed,
        fail_on: Severity::High,
        models: models.collect::<Result<_>>()?,
        suites: suites
            .into_iter()
            .flatten()
            .map(|suite| PathBuf::from(&suite.path))
            .collect(),
        rules: Vec::new(),
        // What was admitted then is admitted now; the report says so.
        foreign: Foreign::Allowed,
        waivers: Vec::new(),
        baseline: None,
    })
}

impl Rerun {
    /// Whether the files are those of the audit.
    fn same(&mut self, then: &ModelAudit, now: &ModelAudit) {
        let mut differs = |path: &str, then: &str, now: &str| {
            if then != now {
                self.mismatches.push(format!(
                    "{path}: SHA-256 {now} now, and {then} in the audit"
                ));
            }
        };
        for (then, now) in then.files.iter().zip(&now.files) {
            differs(&then.path, &then.sha256, &now.sha256);
        }
        for (then, now) in then.suites.iter().zip(&now.suites) {
            differs(&then.path, &then.digest, &now.digest);
        }
        for (then, now) in then.detectors.iter().zip(&now.detectors) {
            differs(&then.path, &then.digest, &now.digest);
        }
    }

    fn compare(
        &mut self,
        model: &str,
        stored: &Evidence,
        before: &str,
        again: &Repeated,
        tolerance: f64,
    ) {
        self.items += 1;
        let name = format!("`{}` of `{}` on `{model}`", again.item, again.suite);
        if before != again.text {
            self.mismatches.push(format!(
                "{name}: it says `{}` now, and `{before}` in the evidence",
                again.text
            ));
        }
        for score in &again.scores {
            let mut of = stored.scores.of(&score.detector, score.feature);
            let Some(then) = of.find(|one| one.suite == again.suite && one.item == again.item)
            else {
                self.mismatches.push(format!(
                    "{name}: no score of `{}` in the evidence",
                    score.detector
                ));
                continue;
            };
            self.scores += 1;
            let off = (score.value - then.value).abs() / then.value.abs().max(1.0);
            self.largest = self.largest.max(off);
            if off.is_nan() || off > tolerance {
                self.mismatches.push(format!(
                    "{name}: `{}` scores {} now, and {} in the evidence",
                    score.detector, score.value, then.value
                ));
            }
        }
    }
}
