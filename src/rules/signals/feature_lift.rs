use statrs::distribution::{ContinuousCDF, Normal};

use crate::stats::{CONFIDENCE, Estimate, auroc_interval};

use super::interval::{RESAMPLES, SEED};
use super::{Absent, Class, Demand, Kind, Measured, Measurement, Of, Param, View};
use crate::rules::context::DetectorInfo;

/// How well the best of an SAE's selected features tells the tested condition from the baseline.
pub(super) static KIND: Kind = Kind {
    name: "feature_lift",
    label: "separation of the tested condition from the baseline by the best SAE feature (AUROC)",
    doc: "Largest AUROC, over the SAE features that the detector's card selects, of their activations on tested items against \
          baseline items, in 0..1; every feature's interval is widened for the number of features (Bonferroni), so that the \
          best of many is not credited with its luck.",
    class: Class::Representation,
    range: (0.0, 1.0),
    params: &[Param::Detector],
    demand: Demand::Nothing,
    contrast: true,
    evaluate: |params, view| -> Measured {
        let detector = view.detector(params)?;
        let widening = widening(detector.features.len());
        let mut best: Option<(usize, Estimate)> = None;
        for feature in &detector.features {
            let estimate = widened(separation(view, detector, *feature)?, widening);
            best = Some(match best {
                None => (*feature, estimate),
                Some((other, so_far)) => (
                    if estimate.point > so_far.point {
                        *feature
                    } else {
                        other
                    },
                    Estimate {
                        point: so_far.point.max(estimate.point),
                        low: so_far.low.max(estimate.low),
                        high: so_far.high.max(estimate.high),
                        ..estimate
                    },
                ),
            });
        }
        let (feature, estimate) = best.ok_or_else(|| {
            Absent::unknown(format!(
                "the card of the detector `{}` selects no features",
                detector.id
            ))
        })?;
        let note = format!("feature {feature}, the best of {}", detector.features.len());
        Ok(Measurement::from(estimate).noted(Some(note)))
    },
};

fn separation(
    view: &View<'_>,
    detector: &DetectorInfo,
    feature: usize,
) -> Result<Estimate, Absent> {
    let tested = view.scores(detector, Some(feature), Of::Tested)?;
    let against = view.scores(detector, Some(feature), Of::Against)?;
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
    Ok(auroc_interval(&values, &labels, &groups, RESAMPLES, SEED)?)
}

/// How much wider a normal interval is at `1 − 0.05/m` than at 0.95.
#[allow(
    clippy::cast_precision_loss,
    reason = "numbers of features are far below 2^52"
)]
fn widening(features: usize) -> f64 {
    let tail = (1.0 - CONFIDENCE) / 2.0;
    let normal = Normal::standard();
    normal.inverse_cdf(tail / features.max(1) as f64) / normal.inverse_cdf(tail)
}

fn widened(estimate: Estimate, factor: f64) -> Estimate {
    Estimate {
        low: (estimate.point - (estimate.point - estimate.low) * factor).max(0.0),
        high: (estimate.point + (estimate.high - estimate.point) * factor).min(1.0),
        ..estimate
    }
}

#[cfg(test)]
mod tests {
    use super::widening;

    #[test]
    fn one_feature_is_not_widened_and_ten_are_by_the_normal_quantiles() {
        assert!((widening(1) - 1.0).abs() < 1e-12);
        // Normal quantiles of 0.0025 and 0.025: 2.807034 and 1.959964.
        assert!((widening(10) - 2.807_034 / 1.959_964).abs() < 1e-5);
    }
}
