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

/// The best kind at the earliest site at which some kind reads as well as the best of all: its interval reaches that AUROC and
/// lies above chance. A direction is best removed where it first appears. Where none reads anything, the best point.
pub(super) fn chosen(candidates: &[Candidate]) -> Result<usize> {
    let quality = |at: &usize| candidates[*at].quality.as_ref().ok();
    let measured: Vec<usize> = (0..candidates.len())
        .filter(|at| quality(at).is_some())
        .collect();
    let point = |at: &usize| quality(at).map_or(0.0, |quality| quality.point);
    // Of equals the first.
    let best_of = |some: &mut dyn Iterator<Item = usize>| {
        some.reduce(|best, at| if point(&at) > point(&best) { at } else { best })
    };
    let Some(best) = best_of(&mut measured.iter().copied()) else {
        let mut faults = candidates.iter().rev();
        return Err(
            match faults.find_map(|candidate| candidate.quality.as_ref().err()) {
                Some(fault) => fault.clone(),
                None => Fault::usage("training a probe", "no candidate site")
                    .expected("at least one site"),
            },
        );
    };
    let as_good = |at: &usize| {
        quality(at).is_some_and(|quality| quality.low > 0.5 && quality.high >= point(&best))
    };
    let first = measured.iter().find(|at| as_good(at));
    let at_first =
        |at: &usize| first.is_some_and(|first| candidates[*first].site == candidates[*at].site);
    let of_site = measured
        .iter()
        .copied()
        .filter(|at| as_good(at) && at_first(at));
    Ok(best_of(&mut of_site.into_iter()).unwrap_or(best))
}
