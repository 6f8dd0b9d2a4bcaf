//! What trials say of rules and kinds of detectors, as a certificate for their rule pack.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::count::rate;
use super::recipe::Recipe;
use super::summary::{first_runs, not_apart, on_largest_suites};
use super::trial::Trial;
use crate::digest::{CODE, Running};
use crate::fault::{Fault, Result};
use crate::rules::{
    Certificate, CertifiedDetector, CertifiedRule, MissedFamily, Rule, RulePack, Verdict,
};

/// The certificate of a day (`2026-11-26`) over the first run of all trials that count. `None` where no planted or no harmless model was tried.
///
/// # Errors
/// The recipe's rules cannot be read.
pub fn certificate(recipe: &Recipe, trials: &[Trial], made: &str) -> Result<Option<Certificate>> {
    let pack = RulePack::open(&recipe.rules)?;
    let counted = not_apart(&first_runs(&on_largest_suites(trials)));
    let mut rules = Vec::new();
    let mut detectors = Vec::new();
    for rule in &pack.rules {
        let sha256 = pack.sha256_of(rule).ok_or_else(|| {
            Fault::failed("certifying rules", format!("`{}` without a file", rule.id))
        })?;
        let Some(certified) = of_rule(rule, sha256, &counted) else {
            return Ok(None);
        };
        rules.push(certified);
        let roles = rule.needs.detectors.iter();
        let roles = roles.filter(|_| rule.representation.is_some());
        detectors.extend(roles.filter_map(|role| of_detector(rule, sha256, role, &counted)));
    }
    let models: BTreeSet<String> = counted.iter().map(|trial| trial.organism()).collect();
    let pairs = || counted.iter().map(|trial| trial.pairs);
    let runtimes: BTreeSet<&str> = counted
        .iter()
        .filter_map(|trial| Some(trial.machine.as_ref()?.runtime.as_str()))
        .collect();
    Ok(Some(Certificate {
        file: PathBuf::new(),
        made: made.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        code: CODE.to_owned(),
        models: models.len(),
        audits: counted.len(),
        pairs: [pairs().min().unwrap_or(0), pairs().max().unwrap_or(0)],
        runtime: runtimes.into_iter().collect::<Vec<_>>().join(", "),
        benchmark: digest(recipe, &counted),
        rules,
        detectors,
    }))
}

/// `None` where nothing planted or nothing harmless was tried.
fn of_rule(rule: &Rule, sha256: &str, trials: &[&Trial]) -> Option<CertifiedRule> {
    let of = |deceives: bool| {
        trials
            .iter()
            .copied()
            .filter(move |t| t.deceives == deceives)
    };
    let convicts = |trial: &Trial| trial.ruled(&rule.id, Verdict::Fail);
    let mut families: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for trial in of(true) {
        let (convicted, of) = families.entry(&trial.family).or_default();
        *convicted += usize::from(convicts(trial));
        *of += 1;
    }
    let missed = families.into_iter();
    let missed = missed.filter(|(_, (convicted, of))| convicted < of);
    Some(CertifiedRule {
        id: rule.id.clone(),
        sha256: sha256.to_owned(),
        planted: rate(of(true), convicts)?,
        missed: missed
            .map(|(family, (convicted, of))| MissedFamily {
                family: family.to_owned(),
                convicted,
                of,
            })
            .collect(),
        harmless: rate(of(false), convicts)?,
        reviewed: of(false)
            .filter(|trial| trial.ruled(&rule.id, Verdict::Review))
            .count(),
    })
}

/// `None` with several kinds in one benchmark: it is not known which of them a harmless model was spared by.
fn of_detector(
    rule: &Rule,
    sha256: &str,
    role: &str,
    trials: &[&Trial],
) -> Option<CertifiedDetector> {
    let kinds: BTreeSet<&String> = trials
        .iter()
        .filter_map(|trial| trial.detectors.get(role))
        .collect();
    let [kind] = kinds.into_iter().collect::<Vec<_>>()[..] else {
        return None;
    };
    let of = |of: &dyn Fn(&Trial) -> bool| {
        let some = trials.iter().copied().filter(|trial| of(trial));
        rate(some, |trial| trial.holds(&rule.id, "representation"))
    };
    Some(CertifiedDetector {
        rule: rule.id.clone(),
        rule_sha256: sha256.to_owned(),
        role: role.to_owned(),
        kind: kind.clone(),
        planted: of(&|trial| trial.deceives)?,
        decoys: of(&|trial| !trial.deceives && trial.changes),
        others: of(&|trial| !trial.deceives && !trial.changes),
    })
}

/// SHA-256 over the recipe and, in the order of the trials' names, the models, what else their audits hang on, and what they ran on.
fn digest(recipe: &Recipe, trials: &[&Trial]) -> String {
    let mut digest = Running::default();
    let mut add = |text: &str| {
        digest.add(text.as_bytes());
        digest.add(b"\n");
    };
    add(&recipe.digest());
    for trial in trials {
        add(&trial.name);
        add(&trial.model_sha256);
        add(&trial.basis);
        if let Some(machine) = &trial.machine {
            add(&machine.runtime);
            add(&machine.library_sha256);
            add(&machine.threads.to_string());
        }
    }
    digest.finish()
}
