//! Judges stored evidence again, by other rules, waivers or another approved report, without running the model.

use std::path::{Path, PathBuf};

use super::config::BaselineConfig;
use super::judging::Judging;
use super::plan::Plan;
use super::seal::{EVIDENCE, RECORD};
use super::{Audited, judged, record};
use crate::archive::Archive;
use crate::fault::Result;
use crate::rules::Severity;

/// By what evidence is judged again. What is not given stays as it was.
#[derive(Debug, Clone, Default)]
pub struct Again {
    /// Rule files or folders.
    pub rules: Vec<PathBuf>,
    /// Waiver files or folders.
    pub waivers: Vec<PathBuf>,
    /// The approved report.
    pub baseline: Option<BaselineConfig>,
    /// The severity from which a finding gates.
    pub fail_on: Option<Severity>,
}

/// Judges the evidence of an audit. `folder` is where that audit was written to, `into` where this one goes.
///
/// # Errors
/// The folder holds no evidence or evidence that was changed, the other one holds some, or rules and waivers are malformed.
pub fn rescore(folder: &Path, by: &Again, command: &str, into: &Path) -> Result<Audited> {
    let started = record::now();
    let stored = Archive::open(&folder.join(EVIDENCE))?;
    let plan = Plan::read(stored.plan())?;
    let judging = Judging::kept(&folder.join(RECORD))?.by(by)?;
    let models: Vec<&str> = plan.begun.models.iter().map(|m| m.name.as_str()).collect();
    let suites = plan.begun.models.iter().flat_map(|model| &model.suites);
    let suites: Vec<&str> = suites.map(|suite| suite.id.as_str()).collect();
    judging.fits(&models, &suites)?;
    let evidence = stored.copy_to(&into.join(EVIDENCE))?;
    judged(judging, evidence, &plan, &started, command)
}
