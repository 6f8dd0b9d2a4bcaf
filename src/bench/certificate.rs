//! What trials say of rules and kinds of detectors, as a certificate for their rule pack.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::recipe::Recipe;
use super::summary::{CONVICTED, on_largest_suites};
use super::trial::Trial;
use crate::digest::{CODE, Running};
use crate::fault::{Fault, Result};
use crate::rules::{Certificate, CertifiedDetector, CertifiedRule, RulePack};
use crate::stats::Rate;

/// The certificate of a day (`2026-11-26`) over all trials on suites of the largest size. `None` where no planted or no harmless model was tried.
///
/// # Errors
/// The recipe's rules cannot be read.
pub fn certificate(recipe: &Recipe, trials: &[Trial], made: &str) -> Result<Option<Certificate>> {
    let pack = RulePack::open(&recipe.rules)?;
    let counted = on_largest_suites(trials);
    let rate = |deceives: bool, holds: &dyn Fn(&Trial) -> bool| {
        let of = || counted.iter().filter(|trial| trial.deceives == deceives);
        Rate::of(of().filter(|trial| holds(trial)).count(), of().count())
    };
    let both = |holds: &dyn Fn(&Trial) -> bool| Some((rate(true, holds)?, rate(false, holds)?));
    let mut rules = Vec::new();
    for rule in &pack.rules {
        let convicts = |trial: &Trial| {
            let verdict = trial.rules.get(&rule.id);
            verdict.is_some_and(|verdict| verdict == CONVICTED)
        };
        let Some((planted, harmless)) = both(&convicts) else {
            return Ok(None);
        };
        let sha256 = pack.sha256_of(rule).ok_or_else(|| {
            Fault::failed("certifying rules", format!("`{}` without a file", rule.id))
        })?;
        rules.push(CertifiedRule {
            id: rule.id.clone(),
            sha256: sha256.to_owned(),
            planted,
            harmless,
        });
    }
    let reading = pack
        .rules
        .iter()
        .filter(|rule| rule.representation.is_some());
    let uses = reading.flat_map(|rule| {
        let roles = rule.needs.detectors.iter();
        roles.map(|role| (role.as_str(), rule.id.as_str()))
    });
    let mut detectors = Vec::new();
    for (role, rule) in uses {
        let kinds: BTreeSet<&String> = counted
            .iter()
            .filter_map(|trial| trial.detectors.get(role))
            .collect();
        // With several kinds in one benchmark it is not known which of them a harmless model was spared by.
        let [kind] = kinds.into_iter().collect::<Vec<_>>()[..] else {
            continue;
        };
        let reads = |trial: &Trial| trial.represented.iter().any(|one| one == rule);
        if let Some((planted, harmless)) = both(&reads) {
            detectors.push(CertifiedDetector {
                role: role.to_owned(),
                kind: kind.clone(),
                planted,
                harmless,
            });
        }
    }
    let models: BTreeSet<String> = counted.iter().map(|trial| trial.organism()).collect();
    Ok(Some(Certificate {
        file: PathBuf::new(),
        made: made.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        code: CODE.to_owned(),
        models: models.len(),
        audits: counted.len(),
        benchmark: digest(recipe, &counted),
        rules,
        detectors,
    }))
}

/// SHA-256 over the recipe and the models, in the order of the trials' names.
fn digest(recipe: &Recipe, trials: &[&Trial]) -> String {
    let mut digest = Running::default();
    digest.add(recipe.digest().as_bytes());
    for trial in trials {
        digest.add(trial.name.as_bytes());
        digest.add(trial.model_sha256.as_bytes());
    }
    digest.finish()
}
