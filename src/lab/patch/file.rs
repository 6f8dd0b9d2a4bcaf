//! The file that `candor patch` writes.

use serde::Serialize;

use super::found::{Found, Map};
use super::{PatchRequest, Patched};
use crate::causal::{By, Grid, Metric, Pair};
use crate::fault::{Fault, Result};
use crate::model::SiteName;

/// What `candor patch` found. Rows are those of `sites`; columns are `positions`, or `heads` where these are given. Of several
/// pairs `clean`, `corrupt`, `metric` and `recovery` are means.
#[derive(Debug, Serialize)]
pub struct PatchFile {
    /// `denoising` (the corrupt run receives) or `noising` (the clean run does).
    pub mode: &'static str,
    /// What the columns are: `position`, `head`, `window` or `all_layers`.
    pub by: &'static str,
    /// The rows: sites, or windows of layers as `blocks.0-2.hook_resid_pre`.
    pub sites: Vec<String>,
    /// Positions that are changed; null where pairs differ in length.
    pub positions: Option<Vec<usize>>,
    /// The columns of a map by heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<Vec<usize>>,
    /// The sites of each row that are changed together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub windows: Option<Windows>,
    /// What is done at each cell.
    pub intervention: InterventionNote,
    /// What `clean`, `corrupt` and `metric` are.
    pub measure: Measure,
    /// What was found, at the first scale where there are several.
    #[serde(flatten)]
    pub found: Found,
    /// What was found at each scale, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub doses: Vec<Found>,
}

/// Windows of layers.
#[derive(Debug, Serialize)]
pub struct Windows {
    /// The sites of each row.
    pub sites: Vec<Vec<String>>,
    /// How to read them.
    pub note: &'static str,
}

/// What is done at each cell.
#[derive(Debug, Serialize)]
pub struct InterventionNote {
    /// `patch`, `zero`, `mean`, `resample`, `directional`, `add`, `feature_ablate`, `feature_set` or `feature_scale`.
    pub kind: &'static str,
    /// The seed of random edits, resampling and intervals.
    pub seed: u64,
}

/// What is read of a run.
#[derive(Debug, Serialize)]
pub struct Measure {
    /// `logit_difference`, `log_probability`, `kl`, `rank` or `detector`.
    pub name: &'static str,
    /// What a number of it counts.
    pub unit: &'static str,
    /// The detector's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detector: Option<String>,
    /// The site that the detector reads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<String>,
    /// Positions that it is read at, as their mean; null for the last one.
    pub at: Option<Vec<usize>>,
    /// What `recovery` means; null where there is none.
    pub recovery: Option<&'static str>,
}

const WINDOWS: &str = "each row changes several layers at once; the larger the window, the larger the effects: it says nothing of any single layer";

impl PatchFile {
    /// Lays out what was found.
    ///
    /// # Errors
    /// An interval cannot be computed.
    pub fn of(request: &PatchRequest<'_>, patched: &Patched) -> Result<Self> {
        let grid = &patched.grid;
        let doses = patched
            .doses
            .iter()
            .map(|dose| Found::of(request, dose))
            .collect::<Result<Vec<_>>>()?;
        let kind = patched.doses.first().map_or("", |dose| dose.name);
        let found = doses.first().cloned();
        let found = found.ok_or_else(|| Fault::no_inputs("patching", "no scale"))?;
        let doses = if doses.len() > 1 { doses } else { Vec::new() };
        let lengths = |pair: &Pair| pair.clean.ids.len();
        let first = request.pairs.first().map_or(0, lengths);
        let alike = request.pairs.iter().all(|pair| lengths(pair) == first);
        Ok(Self {
            mode: request.mode.name(),
            by: match grid.by() {
                By::Position => "position",
                By::Head => "head",
                By::Window(_) => "window",
                By::AllLayers => "all_layers",
            },
            sites: (0..grid.rows().len()).map(|row| grid.label(row)).collect(),
            positions: alike.then(|| grid.positions(first)),
            heads: match grid.by() {
                By::Head => Some(grid.columns(usize::MAX)?),
                _ => None,
            },
            windows: windows(grid),
            intervention: InterventionNote {
                kind,
                seed: request.seed,
            },
            measure: Measure::of(&request.metric, request.at.clone()),
            found,
            doses,
        })
    }

    /// The map that is shown first, where there is one.
    #[must_use]
    pub fn map(&self) -> Option<&Map> {
        self.found.map.as_ref()
    }
}

fn windows(grid: &Grid) -> Option<Windows> {
    if !matches!(grid.by(), By::Window(_) | By::AllLayers) {
        return None;
    }
    let names = |sites: &Vec<SiteName>| sites.iter().map(ToString::to_string).collect();
    Some(Windows {
        sites: grid.rows().iter().map(names).collect(),
        note: WINDOWS,
    })
}

impl Measure {
    fn of(metric: &Metric<'_>, at: Option<Vec<usize>>) -> Self {
        let (detector, site) = match metric {
            Metric::Score { name, site, .. } => (Some(name.clone()), Some(site.to_string())),
            _ => (None, None),
        };
        Self {
            name: metric.name(),
            unit: metric.unit(),
            detector,
            site,
            at,
            recovery: metric.recovery(),
        }
    }
}
