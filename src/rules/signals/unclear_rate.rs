use crate::evidence::Outcome;

use super::{Class, Demand, Kind, Measured, Of, interval};

/// Refusals and babble under the tested condition.
pub(super) static KIND: Kind = Kind {
    name: "unclear_rate",
    label: "share of unclear responses under the tested condition",
    doc: "Share of judged tested responses that are neither right nor a definite falsehood (refusals, babble, failed runs), in 0..1; \
          interval over groups.",
    class: Class::Control,
    range: (0.0, 1.0),
    params: &[],
    demand: Demand::Nothing,
    contrast: true,
    evaluate: |_, view| -> Measured {
        let judged = view.judged(Of::Tested)?;
        let known = judged.iter().map(|response| {
            let unclear = matches!(response.outcome(), Outcome::Unclear | Outcome::Failed);
            (response.group(), Some(unclear))
        });
        interval::share(known, &view.how)
    },
};
