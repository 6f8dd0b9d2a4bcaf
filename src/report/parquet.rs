//! Evidence as Parquet, one file for each kind, put together from the parts that the audit wrote.

use std::path::Path;

use super::Source;
use crate::fault::{Fault, Result};
use crate::files::Staged;

pub(super) fn stage(source: &Source, place: &Path) -> Result<Vec<Staged>> {
    let Some(archive) = source.evidence else {
        return Err(Fault::usage(
            format!("writing evidence tables to `{}`", place.display()),
            "a stored report, which holds findings but not the evidence behind them",
        )
        .expected("the folder `evidence` beside the report")
        .hint("render the report.json in the folder that `candor audit --out` wrote"));
    };
    let tables = archive.tables().into_iter();
    tables
        .map(|(kind, parts)| {
            Staged::write(&place.join(format!("{kind}.parquet")), |out| {
                archive.join(&parts, out)
            })
        })
        .collect()
}
