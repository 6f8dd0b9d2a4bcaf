use std::collections::BTreeSet;

use crate::stats::{empirical_p, mean};

use super::{Absent, Class, Demand, Kind, Measured, Measurement, Param, ablations, interval};

/// Whether random perturbations of the same norm do as much.
pub(super) static KIND: Kind = Kind {
    name: "ablation_random_p",
    label: "empirical p-value of the ablation against norm-matched random directions",
    doc: "Empirical p-value, in 0..1, of the mean recovery by the ablation against the mean recoveries by norm-matched random \
          perturbations of the same items, by size whatever the sign: (1 + as strong) / (1 + directions), never 0.",
    class: Class::Causal,
    range: (0.0, 1.0),
    params: &[Param::Ablation, Param::Detector],
    demand: Demand::Ablation { random: true },
    contrast: true,
    evaluate: |params, view| -> Measured {
        let chosen = ablations::chosen(params, view)?;
        let items: Vec<_> = chosen
            .items
            .iter()
            .filter(|item| !item.random.is_empty() && item.recovery().is_finite())
            .collect();
        let recoveries: Vec<f64> = items.iter().map(|item| item.recovery()).collect();
        let effect = mean(&recoveries)
            .ok_or_else(|| Absent::unknown("the control by random directions was not run"))?;
        let random: Vec<Vec<f64>> = items.iter().map(|item| item.random_recovery()).collect();
        let directions = random.iter().map(Vec::len).min().unwrap_or(0);
        let means: Vec<f64> = (0..directions)
            .filter_map(|direction| {
                let of_direction: Vec<f64> = random
                    .iter()
                    .filter_map(|of_item| of_item.get(direction).copied())
                    .collect();
                mean(&of_direction).map(f64::abs)
            })
            .collect();
        let strongest = means.iter().copied().fold(0.0, f64::max);
        let note = format!(
            "mean recovery {effect:.3}; the strongest of {directions} random directions reaches {strongest:.3}; {}",
            chosen.note(chosen.items.len() - items.len())
        );
        let groups: BTreeSet<&str> = items.iter().map(|item| item.group.as_str()).collect();
        let p = empirical_p(effect, &means);
        Ok(Measurement::from(interval::exactly(p, items.len(), groups.len())).noted(Some(note)))
    },
};
