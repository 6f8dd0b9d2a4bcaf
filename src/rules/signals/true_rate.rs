use crate::evidence::Outcome;

use super::{Class, Demand, Kind, Param};

/// Right answers of one side.
pub(super) static KIND: Kind = Kind {
    name: "true_rate",
    label: "share of right answers",
    doc: "Share of judged responses that are right, in 0..1. Refusals and unclear responses stay in the denominator, a failed item may be \
          either; interval over groups. Of the baseline it says whether there is anything that could be lost.",
    class: Class::Control,
    range: (0.0, 1.0),
    params: &[Param::Of],
    demand: Demand::Nothing,
    contrast: true,
    evaluate: |params, view| view.rate_of(params, Outcome::True),
};
