use super::{Absent, Class, Demand, Kind, Measured, Param, patches};

/// How much of the change one place inside the model carries.
pub(super) static KIND: Kind = Kind {
    name: "patch_peak",
    label: "effect of patching the place inside the model at which the decision arrives",
    doc: "Mean effect of patching at one cell behind the first block's input, a cell being a layer and a class of positions \
          (differing, answer, other): 1 moves the receiving run all the way to the other run, 0 not at all, unclipped. Of the \
          cells that carry at least nine tenths of the strongest's effect it is the earliest at the answer's position, or else \
          the latest elsewhere. All positions of a class are patched at once. The cell is chosen on one half of the groups and \
          measured on the other, at least six of them; interval by Student's t over groups. Denoising tests sufficiency, noising necessity (Heimersheim & Nanda, arXiv 2404.15255).",
    class: Class::Causal,
    range: (f64::NEG_INFINITY, f64::INFINITY),
    params: &[Param::Mode],
    demand: Demand::Patching { random: false },
    contrast: true,
    evaluate: |params, view| -> Measured {
        let peak = patches::peak(view, params.mode()?)?;
        let measurement = peak.estimate(peak.cell)?.ok_or_else(|| {
            Absent::unknown(
                "the strongest cell is undefined on the half of the groups to measure it on",
            )
        })?;
        Ok(measurement.noted(Some(peak.note())))
    },
};
