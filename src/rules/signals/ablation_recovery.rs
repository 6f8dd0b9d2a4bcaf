use super::interval::mean_of_groups;
use super::{Absent, Class, Demand, Kind, Measured, Param, ablations};

/// How far removing a direction or features brings the baseline's answer back.
pub(super) static KIND: Kind = Kind {
    name: "ablation_recovery",
    label: "recovery of the baseline's answer by the ablation",
    doc: "Mean recovery of the baseline's logit difference when the detector's direction, or its SAE features, are removed: 1 is \
          the baseline, 0 no change, unclipped; interval by Student's t over groups, at least six of them. Patching can work where an \
          ablation fails: a low value does not show that there is no cause.",
    class: Class::Causal,
    range: (f64::NEG_INFINITY, f64::INFINITY),
    params: &[Param::Ablation, Param::Detector],
    demand: Demand::Ablation { random: false },
    contrast: true,
    evaluate: |params, view| -> Measured {
        let chosen = ablations::chosen(params, view)?;
        let values: Vec<(&str, f64)> = chosen
            .items
            .iter()
            .map(|item| (item.group.as_str(), item.recovery()))
            .filter(|(_, recovery)| recovery.is_finite())
            .collect();
        if values.is_empty() {
            return Err(Absent::unknown(
                "the recovery is undefined on every ablated item",
            ));
        }
        let note = chosen.note(chosen.items.len() - values.len());
        Ok(mean_of_groups(&values)?.noted(Some(note)))
    },
};
