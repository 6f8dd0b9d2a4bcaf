//! What people said before the audit: which findings they accept, and which model they approved.

use std::path::PathBuf;

use super::config::BaselineConfig;
use super::record::digest;
use crate::fault::Result;
use crate::report::{Approved, AuditReport, Terms, WaiverRecord};
use crate::rules::Waivers;

/// Waivers and the approved report, opened and checked.
pub struct Gate {
    waivers: Waivers,
    approved: Option<(Approved, Terms)>,
}

impl Gate {
    /// Opens both for an audit of these models and suites, by their names.
    ///
    /// # Errors
    /// A file is missing or malformed, or the approved report cannot be compared with this audit.
    pub fn open(
        waivers: &[PathBuf],
        baseline: Option<&BaselineConfig>,
        models: &[&str],
        suites: &[&str],
    ) -> Result<Self> {
        let waivers = Waivers::open(waivers)?;
        let approved = baseline
            .map(|baseline| {
                let approved = Approved::open(&baseline.report)?;
                approved.check(models, suites, &baseline.terms)?;
                Ok((approved, baseline.terms.clone()))
            })
            .transpose()?;
        Ok(Self { waivers, approved })
    }

    /// Applies the waivers and holds the report against the approved one. Comes after judging, and changes no verdict.
    ///
    /// # Errors
    /// A waiver file cannot be read again for its digest, or an interval cannot be computed.
    pub fn apply(&self, report: &mut AuditReport) -> Result<()> {
        let waivers = self.waivers.waivers.iter();
        report.waivers = waivers.map(WaiverRecord::from).collect();
        let digests = self.waivers.files.iter().map(|file| digest(file));
        report.waiver_files = digests.collect::<Result<_>>()?;
        report.apply_waivers();
        if let Some((approved, terms)) = &self.approved {
            report.compare(approved, terms)?;
        }
        Ok(())
    }
}
