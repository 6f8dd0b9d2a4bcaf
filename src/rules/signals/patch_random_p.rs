use std::collections::BTreeSet;

use crate::evidence::PairMap;
use crate::stats::{empirical_p, mean};

use super::{Absent, Class, Demand, Kind, Measured, Measurement, Param, interval, patches};

/// Whether random directions of the same norm do as much.
pub(super) static KIND: Kind = Kind {
    name: "patch_random_p",
    label: "empirical p-value of the patching effect against norm-matched random directions",
    doc: "Empirical p-value, in 0..1, of the mean patching effect against the mean effects of norm-matched random directions \
          added at the same cell, by size whatever the sign: (1 + as strong) / (1 + directions), never 0. On the half of the \
          groups that the cell was not chosen on.",
    class: Class::Causal,
    range: (0.0, 1.0),
    params: &[Param::Mode],
    demand: Demand::Patching { random: true },
    contrast: true,
    evaluate: |params, view| -> Measured {
        let peak = patches::peak(view, params.mode()?)?;
        let map = peak.map;
        let mut effects = Vec::new();
        let mut random: Vec<&[f64]> = Vec::new();
        let mut groups = BTreeSet::new();
        // Stored evidence is judged again by strangers: a control of another cell, or of the pairs that chose it, is none.
        let there = |pair: &&PairMap| {
            peak.estimate_on.contains(pair.group.as_str())
                && pair.random_cell == Some(peak.cell)
                && !pair.random.is_empty()
        };
        for pair in map.pairs.iter().filter(there) {
            if let Some(effect) = map.effect(pair, peak.cell) {
                effects.push(effect);
                random.push(&pair.random);
                groups.insert(pair.group.as_str());
            }
        }
        let effect = mean(&effects)
            .ok_or_else(|| Absent::unknown("the control by random directions was not run"))?;
        let directions = random
            .iter()
            .map(|of_pair| of_pair.len())
            .min()
            .unwrap_or(0);
        let means: Vec<f64> = (0..directions)
            .filter_map(|direction| {
                let moved: Vec<f64> = random
                    .iter()
                    .filter_map(|of_pair| of_pair.get(direction))
                    .map(|recovery| map.mode.effect(*recovery))
                    .collect();
                mean(&moved).map(f64::abs)
            })
            .collect();
        let strongest = means.iter().copied().fold(0.0, f64::max);
        let note = format!(
            "mean effect {effect:.3}; the strongest of {directions} random directions reaches {strongest:.3}"
        );
        let p = empirical_p(effect, &means);
        Ok(Measurement::from(interval::exactly(p, effects.len(), groups.len())).noted(Some(note)))
    },
};
