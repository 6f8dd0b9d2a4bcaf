use super::{Absent, Class, Demand, Kind, Measured, Measurement, Param, ablations, interval};

/// What an ablation does to unrelated text.
pub(super) static KIND: Kind = Kind {
    name: "off_target_kl",
    label: "off-target cost of the ablation on control prompts (KL, nats)",
    doc: "Mean KL divergence in nats of next-token distributions on control prompts, ablated against plain, 0 or more: an \
          ablation that wrecks unrelated text explains nothing.",
    class: Class::Causal,
    range: (0.0, f64::INFINITY),
    params: &[Param::Ablation, Param::Detector],
    demand: Demand::Ablation { random: false },
    contrast: true,
    evaluate: |params, view| -> Measured {
        let chosen = ablations::chosen(params, view)?;
        let cost = chosen
            .ablation
            .off_target_kl
            .filter(|cost| !cost.is_nan())
            .ok_or_else(|| {
                Absent::unknown("the off-target cost was not measured: no control prompts")
            })?;
        let note = chosen
            .ablation
            .off_target_kl_random
            .map(|random| format!("the mean random direction costs {random:.1e}"));
        Ok(Measurement::from(interval::exactly(cost, 1, 1)).noted(note))
    },
};
