//! Where in a cut model a site lies.

use std::collections::BTreeSet;

use super::super::row::Row;
use crate::fault::{Fault, Result};
use crate::instrument::Cut;
use crate::model::{Architecture, Point, SiteName};

/// The places of a model at which a set of rows is changed or read.
pub(super) struct Place;

impl Place {
    /// Every cut that the rows change and that is read.
    ///
    /// # Errors
    /// Usage: a site does not lie on the stream or on what is added to it.
    pub fn of_rows(
        arch: &Architecture,
        rows: &[Row<'_>],
        read: &[SiteName],
    ) -> Result<BTreeSet<Cut>> {
        let changed = rows
            .iter()
            .flat_map(|row| &row.changes)
            .map(|change| change.site);
        let mut cuts = BTreeSet::new();
        let mut last = None;
        for site in changed.chain(read.iter().copied()) {
            // A sweep names one site many times in a row.
            if last == Some(site) {
                continue;
            }
            last = Some(site);
            cuts.insert(Self::of(arch, site)?);
        }
        Ok(cuts)
    }

    /// The cut that a site is.
    ///
    /// # Errors
    /// Usage: it is no place at which a model is cut.
    pub fn of(arch: &Architecture, site: SiteName) -> Result<Cut> {
        let cut = match (site.point, site.layer) {
            (Point::ResidPre, Some(layer)) => Some(Cut::Stream(layer)),
            (Point::ResidPost, Some(layer)) => Some(Cut::Stream(layer + 1)),
            (Point::HookZ, Some(layer)) => Some(Cut::Gathered(layer)),
            (Point::AttnOut, Some(layer)) => Some(Cut::AttnOut(layer)),
            (Point::ResidMid, Some(layer)) => Some(Cut::Mid(layer)),
            (Point::MlpOut, Some(layer)) => Some(Cut::MlpOut(layer)),
            _ => None,
        };
        let known = arch.site(site).is_some();
        cut.filter(|_| known).ok_or_else(|| {
            let why = arch
                .why_absent(site)
                .unwrap_or("it is no place at which a model is cut into blocks");
            Fault::usage(format!("running blocks up to `{site}`"), why)
                .expected("a site on the stream, on a branch that is added to it, or `attn.hook_z`")
        })
    }
}
