//! `report.html`

use super::report::ProbeReport;
use crate::fault::Result;

/// The page.
///
/// # Errors
/// Never.
pub fn probe_page(_report: &ProbeReport) -> Result<String> {
    Ok(String::new())
}
