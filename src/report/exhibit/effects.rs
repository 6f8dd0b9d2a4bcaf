//! Effects of interventions beside those of random ones of the same norm.

use super::{EffectExhibit, ExhibitContext, Share};
use crate::evidence::{Ablation, AblationKind, Evidence, PatchMap, PatchMode};
use crate::fault::Result;
use crate::stats::{clustered_bootstrap, empirical_p, mean};

pub(super) fn effects(evidence: &Evidence, context: &ExhibitContext) -> Result<Vec<EffectExhibit>> {
    let mut all = Vec::new();
    for map in &evidence.maps {
        all.extend(patching(map, context)?);
    }
    for ablation in &evidence.ablations {
        all.extend(removal(ablation, context)?);
    }
    Ok(all)
}

/// One item's effect and that of each random direction.
struct Row<'a> {
    group: &'a str,
    effect: f64,
    random: Vec<f64>,
}

/// Patching the true activations against adding random vectors at the same cell. Noising takes a decision away, so its
/// effect is what is lost.
fn patching(map: &PatchMap, context: &ExhibitContext) -> Result<Option<EffectExhibit>> {
    let effect = |recovery: f64| match map.mode {
        PatchMode::Denoising => recovery,
        PatchMode::Noising => 1.0 - recovery,
    };
    let rows = map.pairs.iter().filter_map(|pair| {
        let recovery = *pair.recovery.get(pair.random_cell?)?;
        Some(Row {
            group: &pair.group,
            effect: effect(recovery),
            random: pair.random.iter().map(|value| effect(*value)).collect(),
        })
    });
    let title = match map.mode {
        PatchMode::Denoising => "Activation patched in (denoising)",
        PatchMode::Noising => "Activation patched out (noising): what is lost",
    };
    exhibit(title.to_owned(), &map.suite, rows.collect(), context)
}

fn removal(ablation: &Ablation, context: &ExhibitContext) -> Result<Option<EffectExhibit>> {
    let rows = ablation.items.iter().map(|item| Row {
        group: &item.group,
        effect: item.recovery(),
        random: item.random_recovery(),
    });
    let what = match ablation.kind {
        AblationKind::Directional => "Direction of".to_owned(),
        AblationKind::Feature => format!("{} SAE features of", ablation.features.len()),
    };
    let title = format!("{what} {} removed at {}", ablation.detector, ablation.site);
    let mut made = exhibit(title, &ablation.suite, rows.collect(), context)?;
    if let Some(made) = &mut made {
        made.off_target_kl = ablation.off_target_kl;
        made.off_target_kl_random = ablation.off_target_kl_random;
        made.restored = Some(Share {
            hits: ablation.items.iter().filter(|item| item.restored).count(),
            of: ablation.items.len(),
        });
    }
    Ok(made)
}

fn exhibit(
    title: String,
    suite: &str,
    mut rows: Vec<Row>,
    context: &ExhibitContext,
) -> Result<Option<EffectExhibit>> {
    rows.retain(|row| row.effect.is_finite());
    if rows.is_empty() {
        return Ok(None);
    }
    let values: Vec<_> = rows.iter().map(|row| (row.group, row.effect)).collect();
    let effect = clustered_bootstrap(&values, context.resamples, context.seed)?;
    let directions = rows.iter().map(|row| row.random.len()).min().unwrap_or(0);
    let random: Vec<f64> = (0..directions)
        .filter_map(|direction| {
            let over_items: Vec<f64> = rows
                .iter()
                .filter_map(|row| row.random.get(direction).copied())
                .collect();
            mean(&over_items)
        })
        .collect();
    Ok(Some(EffectExhibit {
        title,
        suite: suite.to_owned(),
        p_value: (!random.is_empty()).then(|| empirical_p(effect.point, &random)),
        effect,
        random,
        off_target_kl: None,
        off_target_kl_random: None,
        restored: None,
    }))
}
