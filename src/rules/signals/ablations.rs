//! What the ablation signals share: which ablation is read.

use crate::evidence::{AblatedItem, Ablation, halves};
use crate::stats::mean;

use super::{Absent, Params, View};

/// An ablation and the items of it to measure on.
pub(super) struct Chosen<'a> {
    pub ablation: &'a Ablation,
    pub items: Vec<&'a AblatedItem>,
    note: Option<String>,
}

/// The ablation of the signal's detector on the context's suite. If it was made at several sites, the strongest one is
/// chosen on one half of the groups and measured on the other.
pub(super) fn chosen<'a>(params: &Params, view: &View<'a>) -> Result<Chosen<'a>, Absent> {
    let detector = view.detector(params)?;
    let kind = params.ablation()?;
    let suite = &view.contrast()?.suite;
    let made: Vec<&Ablation> = view
        .evidence
        .ablations
        .iter()
        .filter(|made| made.kind == kind && made.detector == detector.id && made.suite == *suite)
        .filter(|made| !made.items.is_empty())
        .collect();
    let first = made
        .first()
        .ok_or_else(|| view.no_intervention("ablation"))?;
    if made.len() == 1 {
        return Ok(Chosen {
            ablation: first,
            items: first.items.iter().collect(),
            note: None,
        });
    }
    let groups = made
        .iter()
        .flat_map(|made| &made.items)
        .map(|item| item.group.as_str());
    let halves = halves(groups).ok_or_else(|| {
        Absent::unknown("all ablated items are of one group: a site cannot be chosen and measured on different ones")
    })?;
    let strength = |made: &Ablation| {
        let values: Vec<f64> = made
            .items
            .iter()
            .filter(|item| halves.choose.contains(item.group.as_str()))
            .map(AblatedItem::recovery)
            .filter(|recovery| recovery.is_finite())
            .collect();
        mean(&values).unwrap_or(f64::NEG_INFINITY)
    };
    let best = made
        .iter()
        .copied()
        .max_by(|a, b| strength(a).total_cmp(&strength(b)))
        .unwrap_or(first);
    let items: Vec<_> = best
        .items
        .iter()
        .filter(|item| halves.estimate.contains(item.group.as_str()))
        .collect();
    Ok(Chosen {
        ablation: best,
        items,
        note: Some(format!(
            "the strongest of {} sites, chosen on one half of the groups, measured on the other",
            made.len()
        )),
    })
}

impl Chosen<'_> {
    /// Where it was made, how it was chosen and what of it is undefined.
    pub fn note(&self, undefined: usize) -> String {
        let site = format!("at {}", self.ablation.site);
        let undefined = (undefined > 0).then(|| {
            format!(
                "the recovery of {undefined} items is undefined because the two runs hardly differ on them"
            )
        });
        [Some(site), self.note.clone(), undefined]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(", ")
    }
}
