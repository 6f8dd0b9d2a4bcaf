use super::{Class, Demand, Kind, Measured, Of, Param, interval};

/// How often a detector flags one side.
pub(super) static KIND: Kind = Kind {
    name: "flag_rate",
    label: "share of items that the detector flags",
    doc: "Share of items that a probe scores beyond its card's threshold, on the side that the card flags, in 0..1; exact interval where every group has one \
          item, otherwise over groups.",
    class: Class::Representation,
    range: (0.0, 1.0),
    params: &[Param::Detector, Param::OfOrControl],
    demand: Demand::Nothing,
    contrast: false,
    evaluate: |params, view| -> Measured {
        let detector = view.detector(params)?;
        let of = params.of()?;
        let scores = view.scores(detector, None, of)?;
        let known = scores
            .iter()
            .map(|score| (score.group, Some(detector.flag(score.value))));
        let own = (of == Of::Control && !detector.calibrated_on.is_empty()).then(|| {
            format!(
                "the detector's threshold was set on `{}` itself: on other text it may flag more",
                detector.calibrated_on.join("`, `")
            )
        });
        Ok(interval::share(known, &view.how)?.noted(own))
    },
};
