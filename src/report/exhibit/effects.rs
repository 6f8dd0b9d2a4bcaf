//! Effects of interventions beside those of random ones of the same norm.

use super::{Aim, DosePoint, EffectExhibit, Share};
use crate::evidence::{Ablation, AblationKind, Evidence, PatchMap, PatchMode};
use crate::fault::Result;
use crate::report::words;
use crate::stats::{clustered_mean, empirical_p, mean};

pub(super) fn effects(evidence: &Evidence) -> Result<Vec<EffectExhibit>> {
    let mut all = Vec::new();
    for map in &evidence.maps {
        all.extend(patching(map)?);
    }
    for ablation in &evidence.ablations {
        all.extend(removal(ablation)?);
    }
    Ok(all)
}

/// What an edit of one item did.
#[derive(Clone, Copy)]
struct Edit {
    effect: f64,
    /// Logit difference (baseline answer − tested answer) after it.
    metric: f64,
}

impl Edit {
    fn turned(self, aim: Aim) -> bool {
        match aim {
            Aim::Restore => self.metric > 0.0,
            Aim::Remove => self.metric < 0.0,
        }
    }
}

/// One item's edit and that along each random direction.
struct Row<'a> {
    group: &'a str,
    edit: Edit,
    random: Vec<Edit>,
}

/// Patching the true activations against adding random vectors at the same cell.
fn patching(map: &PatchMap) -> Result<Option<EffectExhibit>> {
    let rows = map.pairs.iter().filter_map(|pair| {
        let edit = |recovery: f64| Edit {
            effect: map.mode.effect(recovery),
            metric: pair.corrupt + recovery * (pair.clean - pair.corrupt),
        };
        Some(Row {
            group: &pair.group,
            edit: edit(pair.recovery_of(pair.random_cell?)?),
            random: pair.random.iter().map(|value| edit(*value)).collect(),
        })
    });
    let place = map.pairs.iter().find_map(|pair| {
        let cell = pair.random_cell?;
        let class = words::position(cell.class);
        Some(format!("`{}` at {class}", map.sites.get(cell.site)?))
    });
    let Some(place) = place else { return Ok(None) };
    let (aim, run) = match map.mode {
        PatchMode::Denoising => (Aim::Restore, "tested"),
        PatchMode::Noising => (Aim::Remove, "baseline"),
    };
    let title = format!("patching {place} into the {run} run");
    let mut made = exhibit(title, aim, &map.suite, rows.collect())?;
    if let Some(made) = &mut made {
        made.dose = doses(map)?;
    }
    Ok(made)
}

/// The mean over pairs at each share; every pair that was dosed was given the same shares.
fn doses(map: &PatchMap) -> Result<Vec<DosePoint>> {
    let dosed = || map.pairs.iter().filter(|pair| !pair.dose.is_empty());
    let shares = dosed().map(|pair| pair.dose.len()).min().unwrap_or(0);
    (0..shares)
        .filter_map(|at| {
            let points = || {
                let points = dosed().filter_map(|pair| Some((pair, pair.dose.get(at)?)));
                points.filter(|(_, dose)| dose.recovery.is_finite() && dose.random.is_finite())
            };
            let values: Vec<(&str, f64)> = points()
                .map(|(pair, dose)| (pair.group.as_str(), map.mode.effect(dose.recovery)))
                .collect();
            let random: Vec<f64> = points()
                .map(|(_, dose)| map.mode.effect(dose.random))
                .collect();
            Some((points().next()?.1.share, values, mean(&random)?))
        })
        .map(|(share, values, random)| {
            let mut effect = clustered_mean(&values)?;
            if share == 0.0 {
                // No edit is no effect: known, and not a sample's.
                (effect.low, effect.high) = (effect.point, effect.point);
            }
            Ok(DosePoint {
                share,
                effect,
                random,
            })
        })
        .collect()
}

fn removal(ablation: &Ablation) -> Result<Option<EffectExhibit>> {
    let rows = ablation.items.iter().map(|item| Row {
        group: &item.group,
        edit: Edit {
            effect: item.recovery(),
            metric: item.after,
        },
        random: item
            .random_recovery()
            .into_iter()
            .zip(&item.random)
            .map(|(effect, metric)| Edit {
                effect,
                metric: *metric,
            })
            .collect(),
    });
    let what = match (ablation.kind, ablation.features.len()) {
        (AblationKind::Directional, _) => "the direction".to_owned(),
        (AblationKind::Feature, 1) => "1 SAE feature".to_owned(),
        (AblationKind::Feature, many) => format!("{many} SAE features"),
    };
    let title = format!(
        "removing {what} of `{}` at `{}`",
        ablation.detector, ablation.site
    );
    let rows = rows.collect();
    let mut made = exhibit(title, Aim::Restore, &ablation.suite, rows)?;
    if let Some(made) = &mut made {
        made.off_target_kl = ablation.off_target_kl();
        made.off_target_kl_random = ablation.off_target_kl_random();
        made.turned_removed = worst_removed(ablation);
        made.restored = Some(Share {
            hits: ablation.items.iter().filter(|item| item.restored).count(),
            of: ablation.items.len(),
        });
    }
    Ok(made)
}

/// Items whose logit difference prefers the baseline's answer after a random direction was removed, for the direction that
/// turned most.
fn worst_removed(ablation: &Ablation) -> Option<Share> {
    let directions = ablation.items.iter().map(|item| item.random_removed.len());
    (0..directions.min()?)
        .map(|direction| Share {
            hits: ablation
                .items
                .iter()
                .filter(|item| {
                    item.random_removed
                        .get(direction)
                        .is_some_and(|&after| after > 0.0)
                })
                .count(),
            of: ablation.items.len(),
        })
        .max_by_key(|share| share.hits)
}

fn exhibit(
    title: String,
    aim: Aim,
    suite: &str,
    mut rows: Vec<Row>,
) -> Result<Option<EffectExhibit>> {
    rows.retain(|row| row.edit.effect.is_finite());
    if rows.is_empty() {
        return Ok(None);
    }
    let values: Vec<_> = rows
        .iter()
        .map(|row| (row.group, row.edit.effect))
        .collect();
    let effect = clustered_mean(&values)?;
    let directions = rows.iter().map(|row| row.random.len()).min().unwrap_or(0);
    let along = |direction: usize| -> Vec<Edit> {
        rows.iter()
            .filter_map(|row| row.random.get(direction).copied())
            .collect()
    };
    let random: Vec<f64> = (0..directions)
        .filter_map(|direction| {
            let effects: Vec<f64> = along(direction).iter().map(|edit| edit.effect).collect();
            mean(&effects)
        })
        .collect();
    let turned = |edits: Vec<Edit>| Share {
        hits: edits.iter().filter(|edit| edit.turned(aim)).count(),
        of: edits.len(),
    };
    Ok(Some(EffectExhibit {
        title,
        aim,
        suite: suite.to_owned(),
        p_value: (!random.is_empty()).then(|| empirical_p(effect.point, &random)),
        effect,
        random,
        turned: turned(rows.iter().map(|row| row.edit).collect()),
        turned_random: (0..directions)
            .map(|direction| turned(along(direction)))
            .max_by_key(|share| share.hits),
        off_target_kl: None,
        off_target_kl_random: None,
        turned_removed: None,
        restored: None,
        dose: Vec::new(),
    }))
}
