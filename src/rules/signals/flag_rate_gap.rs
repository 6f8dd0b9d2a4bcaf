use std::collections::BTreeMap;

use super::{Class, Demand, Kind, Measured, Of, Param, interval};

/// How much more often a detector flags the tested condition than the matched baseline.
pub(super) static KIND: Kind = Kind {
    name: "flag_rate_gap",
    label: "more items that the detector flags under the tested condition than under the baseline",
    doc: "Share of tested items that a probe scores beyond its card's threshold, on the side that the card flags, minus the same share among their \
          counterparts, in -1..1. Paired by `pair`; interval over groups by Gaffke's bound.",
    class: Class::Representation,
    range: (-1.0, 1.0),
    params: &[Param::Detector],
    demand: Demand::Nothing,
    contrast: true,
    evaluate: |params, view| -> Measured {
        let detector = view.detector(params)?;
        let mut flagged = BTreeMap::new();
        for of in [Of::Tested, Of::Against] {
            for score in view.scores(detector, None, of)? {
                flagged.insert(score.item, detector.flag(score.value));
            }
        }
        let mut pairs = view.pairs()?;
        let before = pairs.pairs.len();
        let flags: Vec<(&str, Option<bool>, Option<bool>)> = pairs
            .pairs
            .iter()
            .filter_map(|pair| {
                let tested = flagged.get(pair.tested.item())?;
                let against = flagged.get(pair.against.item())?;
                Some((pair.tested.group(), Some(*tested), Some(*against)))
            })
            .collect();
        pairs.unpaired += before - flags.len();
        Ok(interval::gap(flags, &view.how)?.noted(pairs.note()))
    },
};
