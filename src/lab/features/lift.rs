//! How much more often a feature is active on one label than on the other.
#![allow(clippy::cast_precision_loss, reason = "item counts are far below 2^52")]

use super::super::find::Bounds;
use super::file::{LabelLift, Shown};
use super::texts::Text;
use crate::detect::FeatureActs;
use crate::fault::Result;
use crate::stats::{Estimate, Resampling, bounded_mean, clustered_bootstrap_of};

/// Shares of the items of each label on which the feature is active, and their difference, on the same resamples. `None` without
/// items of both labels.
pub fn of(
    acts: &FeatureActs,
    feature: usize,
    texts: &[Text],
    (resamples, seed): (usize, u64),
) -> Result<Option<LabelLift>> {
    let acts = acts.dense(feature);
    let rows: Vec<(bool, bool, &str)> = texts
        .iter()
        .zip(&acts)
        .filter_map(|(text, act)| Some((text.label?, *act != 0.0, text.group.as_str())))
        .collect();
    let side = |wanted: bool| -> Result<Option<Shown>> {
        let values: Vec<(&str, f64)> = rows
            .iter()
            .filter(|(label, _, _)| *label == wanted)
            .map(|(_, active, group)| (*group, f64::from(u8::from(*active))))
            .collect();
        if values.is_empty() {
            return Ok(None);
        }
        let how = Resampling::at_95(resamples, seed);
        let over_groups = bounded_mean(&values, (0.0, 1.0), &how)?;
        let active = values.iter().filter(|(_, active)| *active > 0.0).count();
        // A page counts texts, which groups of many texts sway; the interval is over groups.
        let point = active as f64 / values.len() as f64;
        let share = Estimate {
            point,
            low: over_groups.low.min(point),
            high: over_groups.high.max(point),
            ..over_groups
        };
        Ok(Some(Shown {
            active,
            of: values.len(),
            share: share.into(),
        }))
    };
    let (Some(positive), Some(negative)) = (side(true)?, side(false)?) else {
        return Ok(None);
    };
    let groups: Vec<&str> = rows.iter().map(|row| row.2).collect();
    let share = |chosen: &[usize], wanted: bool| {
        let (mut active, mut of) = (0_usize, 0_usize);
        for (label, is_active, _) in chosen.iter().filter_map(|row| rows.get(*row)) {
            if *label == wanted {
                of += 1;
                active += usize::from(*is_active);
            }
        }
        (of > 0).then(|| active as f64 / of as f64)
    };
    let difference = |chosen: &[usize]| Some(share(chosen, true)? - share(chosen, false)?);
    let difference =
        clustered_bootstrap_of(&groups, Some((-1.0, 1.0)), resamples, seed, difference)?;
    Ok(Some(LabelLift {
        positive,
        negative,
        difference: Bounds::from(difference),
        ratio: (negative.active > 0).then(|| positive.share.point / negative.share.point),
    }))
}
