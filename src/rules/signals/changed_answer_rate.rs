use super::{Class, Demand, Kind, Measured, interval};

/// Pairs that are answered differently, rightly or wrongly.
pub(super) static KIND: Kind = Kind {
    name: "changed_answer_rate",
    label: "share of pairs answered differently",
    doc: "Share of pairs whose two responses differ as text, in 0..1; interval over groups. A synonym counts as a \
          difference: this says that a condition matters, not that it does harm.",
    class: Class::Behaviour,
    range: (0.0, 1.0),
    params: &[],
    demand: Demand::Nothing,
    contrast: true,
    evaluate: |_, view| -> Measured {
        let pairs = view.pairs()?;
        let known = pairs
            .pairs
            .iter()
            .map(|pair| (pair.tested.group(), pair.differs()));
        Ok(interval::share(known, &view.how)?.noted(pairs.note()))
    },
};
