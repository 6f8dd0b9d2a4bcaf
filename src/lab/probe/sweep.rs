//! Every kind at every site, fitted on one part of the items and compared on another.

use rayon::prelude::*;

use super::super::labelled::Labelled;
use super::super::progress::Progress;
use super::Split;
use super::fitting::Fitting;
use crate::detect::train::ProbeKind;
use crate::fault::{Fault, Result};
use crate::stats::Estimate;

/// A kind of probe at a site.
pub(super) struct Candidate {
    /// Its place among the request's sites.
    pub site: usize,
    pub kind: &'static ProbeKind,
    /// AUROC on the items that choose, or why there is no probe.
    pub quality: Result<Estimate>,
}

/// Candidates site by site.
pub(super) fn sweep(
    work: &Fitting<'_>,
    kinds: &[&'static ProbeKind],
    data: &Labelled<'_>,
    split: &Split,
    progress: &dyn Progress,
) -> Result<Vec<Candidate>> {
    let sites = work.request.sites.len();
    progress.stage("fitting probes", sites);
    let mut candidates = Vec::with_capacity(sites * kinds.len());
    for (site, activations) in data.activations.iter().take(sites).enumerate() {
        let rows = work.rows(activations, &split.fitting, work.labels)?;
        let of_site: Vec<Candidate> = kinds
            .par_iter()
            .map(|&kind| {
                let quality = kind.train(&rows.set(), work.options).and_then(|probe| {
                    let scores = work.scores(kind, &probe, activations, &split.choosing)?;
                    work.quality(&scores, &split.choosing)
                });
                // A site at which the labels are the same (the embedding of one and the same last token) is no candidate.
                if let Err(fault) = &quality {
                    let site = work.request.sites[site];
                    tracing::info!(%site, kind = kind.name, "no probe: {}", fault.found);
                }
                Candidate {
                    site,
                    kind,
                    quality,
                }
            })
            .collect();
        candidates.extend(of_site);
        progress.step(1);
    }
    Ok(candidates)
}

/// The best kind at the earliest site at which some kind reads as well as the best of all: its interval reaches that AUROC. A
/// direction is best removed where it first appears.
pub(super) fn chosen(candidates: &[Candidate]) -> Result<usize> {
    let point = |candidate: &Candidate| candidate.quality.as_ref().ok().map(|q| q.point);
    let best = candidates.iter().filter_map(point).max_by(f64::total_cmp);
    let as_good = |candidate: &Candidate| {
        let high = candidate.quality.as_ref().ok().map(|quality| quality.high);
        high.zip(best).is_some_and(|(high, best)| high >= best)
    };
    let Some(first) = candidates.iter().find(|candidate| as_good(candidate)) else {
        let fault = candidates
            .iter()
            .rev()
            .find_map(|candidate| candidate.quality.as_ref().err());
        return Err(match fault {
            Some(fault) => fault.clone(),
            None => {
                Fault::usage("training a probe", "no candidate site").expected("at least one site")
            }
        });
    };
    let mut chosen: Option<usize> = None;
    for (at, candidate) in candidates.iter().enumerate() {
        let better = chosen.is_none_or(|chosen| point(candidate) > point(&candidates[chosen]));
        if candidate.site == first.site && as_good(candidate) && better {
            chosen = Some(at);
        }
    }
    Ok(chosen.unwrap_or_default())
}
