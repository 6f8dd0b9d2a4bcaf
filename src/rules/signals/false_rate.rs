use crate::evidence::Outcome;

use super::{Class, Demand, Kind, Param};

/// Definite falsehoods of one side.
pub(super) static KIND: Kind = Kind {
    name: "false_rate",
    label: "share of falsehoods",
    doc: "Share of judged responses that are definite falsehoods, in 0..1. Refusals and unclear responses stay in the \
          denominator, a failed item may be either; interval over groups.",
    class: Class::Behaviour,
    range: (0.0, 1.0),
    params: &[Param::Of],
    demand: Demand::Nothing,
    contrast: true,
    evaluate: |params, view| view.rate_of(params, Outcome::False),
};
