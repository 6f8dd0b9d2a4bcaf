//! What people said before the audit: which findings they accept, and which model they approved.

use super::config::AuditConfig;
use super::preflight::Prepared;
use super::record::digest;
use crate::fault::Result;
use crate::report::{AuditReport, WaiverRecord};

/// Applies the waivers and holds the report against the approved one. Comes after judging, and changes no verdict.
///
/// # Errors
/// A waiver file cannot be read again for its digest, or an interval cannot be computed.
pub fn apply(report: &mut AuditReport, config: &AuditConfig, prepared: &Prepared) -> Result<()> {
    let waivers = &prepared.waivers;
    report.waivers = waivers.waivers.iter().map(WaiverRecord::from).collect();
    let digests = waivers.files.iter().map(|file| digest(file));
    report.waiver_files = digests.collect::<Result<_>>()?;
    report.apply_waivers();
    if let (Some(approved), Some(baseline)) = (&prepared.approved, &config.baseline) {
        report.compare(approved, &baseline.terms)?;
    }
    Ok(())
}
