use super::{Absent, Class, Demand, Kind, Measured, interval};

/// Whether the instrumented model is still the model that ships.
pub(super) static KIND: Kind = Kind {
    name: "instrument_difference",
    label: "largest logit difference between the instrumented and the plain model",
    doc: "Largest absolute logit difference between the instrumented and the plain model on the audit's own prompts, 0 or \
          more: extra graph outputs change the runtime's fusions.",
    class: Class::Control,
    range: (0.0, f64::INFINITY),
    params: &[],
    demand: Demand::Nothing,
    contrast: false,
    evaluate: |_, view| -> Measured {
        let difference = view.evidence.instrument_difference.ok_or_else(|| {
            Absent::unknown("the instrumented model was not compared with the plain model")
        })?;
        Ok(interval::exactly(difference, 1, 1).into())
    },
};
