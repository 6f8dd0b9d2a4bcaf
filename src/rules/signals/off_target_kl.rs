use super::interval::mean_of_groups;
use super::{Absent, Class, Demand, Kind, Measured, Param, ablations};

/// What an ablation does to unrelated text.
pub(super) static KIND: Kind = Kind {
    name: "off_target_kl",
    label: "off-target cost of the ablation on control prompts (KL, nats)",
    doc: "Mean KL divergence in nats of next-token distributions on control prompts, ablated against plain, 0 or more: an \
          ablation that wrecks unrelated text explains nothing. Interval by Student's t over groups, at least six of them.",
    class: Class::Causal,
    range: (0.0, f64::INFINITY),
    params: &[Param::Ablation, Param::Detector],
    demand: Demand::Ablation { random: false },
    contrast: true,
    evaluate: |params, view| -> Measured {
        let chosen = ablations::chosen(params, view)?;
        let costs = &chosen.ablation.costs;
        if costs.is_empty() {
            return Err(Absent::unknown(
                "the off-target cost was not measured: no control prompts",
            ));
        }
        let values: Vec<(&str, f64)> = costs
            .iter()
            .map(|cost| (cost.group.as_str(), cost.kl))
            .collect();
        let note = chosen
            .ablation
            .off_target_kl_random()
            .map(|random| format!("the mean random direction costs {random:.1e}"));
        Ok(mean_of_groups(&values)?.noted(note))
    },
};
