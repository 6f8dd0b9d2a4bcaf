use std::collections::BTreeSet;

use super::{Absent, Class, Demand, Kind, Measured, interval};

/// Whether writing a run's own activations back changes nothing.
pub(super) static KIND: Kind = Kind {
    name: "self_patch",
    label: "largest change by writing a run's own activations back",
    doc: "Largest absolute change of the logit difference when a run's own activations are written back, over all patched \
          pairs, 0 or more: a patching result means nothing unless this is about 0.",
    class: Class::Control,
    range: (0.0, f64::INFINITY),
    params: &[],
    demand: Demand::Patching { random: false },
    contrast: true,
    evaluate: |_, view| -> Measured {
        let suite = &view.contrast()?.suite;
        let pairs: Vec<_> = view
            .evidence
            .maps
            .iter()
            .filter(|map| map.suite == *suite)
            .flat_map(|map| &map.pairs)
            .collect();
        if pairs.is_empty() {
            return Err(view.no_intervention("patching map"));
        }
        if let Some(pair) = pairs.iter().find(|pair| pair.self_patch.is_nan()) {
            return Err(Absent::unknown(format!(
                "the self-patch of the item `{}` is not a number",
                pair.item
            )));
        }
        let largest = pairs
            .iter()
            .map(|pair| pair.self_patch.abs())
            .fold(0.0, f64::max);
        let groups: BTreeSet<&str> = pairs.iter().map(|pair| pair.group.as_str()).collect();
        Ok(interval::exactly(largest, pairs.len(), groups.len()).into())
    },
};
