//! Judges stored evidence again, by other rules, waivers or another approved report, without running the model.

use std::path::Path;

use super::config::AuditConfig;
use super::judging::{Judging, Times};
use super::plan::Plan;
use super::seal::EVIDENCE;
use super::{Audited, record};
use crate::archive::Archive;
use crate::fault::Result;

/// Judges the evidence of an audit. `folder` is where that audit was written to, `into` where this one goes.
///
/// `config` names rules, waivers and the like; its models and suites are not looked at.
///
/// # Errors
/// The folder holds no evidence or evidence that was changed, the other one holds some, or rules and waivers are malformed.
pub fn rescore(folder: &Path, config: &AuditConfig, command: &str, into: &Path) -> Result<Audited> {
    let started = record::now();
    let stored = Archive::open(&folder.join(EVIDENCE))?;
    let plan = Plan::read(stored.plan())?;
    let models: Vec<&str> = plan.begun.models.iter().map(|m| m.name.as_str()).collect();
    let suites = plan.begun.models.iter().flat_map(|model| &model.suites);
    let suites: Vec<&str> = suites.map(|suite| suite.id.as_str()).collect();
    let judging = Judging::open(config, &models, &suites)?;
    let evidence = stored.copy_to(&into.join(EVIDENCE))?;
    let times = Times {
        started: &started,
        finished: &record::now(),
        command,
    };
    let report = judging.report(&evidence, &plan, times)?;
    Ok(Audited {
        report,
        evidence,
        judging,
    })
}
