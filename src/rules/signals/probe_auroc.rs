use crate::stats::auroc_interval;

use super::interval::{RESAMPLES, SEED};
use super::{Class, Demand, Kind, Measured, Of, Param};

/// How well a probe tells the tested condition from the baseline.
pub(super) static KIND: Kind = Kind {
    name: "probe_auroc",
    label: "separation of the tested condition from the baseline by the probe (AUROC)",
    doc: "AUROC of a probe's scores, tested items against baseline items, in 0..1; interval by cluster bootstrap over \
          groups. It says what is represented, not what it is used for.",
    class: Class::Representation,
    range: (0.0, 1.0),
    params: &[Param::Detector],
    demand: Demand::Nothing,
    contrast: true,
    evaluate: |params, view| -> Measured {
        let detector = view.detector(params)?;
        let tested = view.scores(detector, None, Of::Tested)?;
        let against = view.scores(detector, None, Of::Against)?;
        let labels: Vec<bool> = tested
            .iter()
            .map(|_| true)
            .chain(against.iter().map(|_| false))
            .collect();
        let (values, groups): (Vec<f64>, Vec<&str>) = tested
            .iter()
            .chain(&against)
            .map(|score| (score.value, score.group))
            .unzip();
        Ok(auroc_interval(&values, &labels, &groups, RESAMPLES, SEED)?.into())
    },
};
