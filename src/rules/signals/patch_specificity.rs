use crate::evidence::{MapCell, PositionClass};
use crate::stats::Estimate;

use super::patches;
use super::{Absent, Class, Demand, Kind, Measured, Measurement, Param};

/// Whether patching works at that place only.
pub(super) static KIND: Kind = Kind {
    name: "patch_specificity",
    label: "effect of patching the same layer at the wrong positions",
    doc: "Largest absolute mean effect of patching at the layer of `patch_peak`'s cell but at the other classes of positions, \
          0 or more, on the half of the groups that the cell was not chosen on: small where the effect is localised.",
    class: Class::Causal,
    range: (0.0, f64::INFINITY),
    params: &[Param::Mode],
    demand: Demand::Patching { random: false },
    contrast: true,
    evaluate: |params, view| -> Measured {
        let peak = patches::peak(view, params.mode()?)?;
        let site = peak.cell.site;
        let mut worst: Option<Estimate> = None;
        for class in PositionClass::ALL
            .into_iter()
            .filter(|class| *class != peak.cell.class)
        {
            if let Some(measured) = peak.estimate(MapCell { site, class })? {
                let size = size_of(measured.estimate);
                worst = Some(worst.map_or(size, |other| larger(other, size)));
            }
        }
        let estimate =
            worst.ok_or_else(|| Absent::unknown("the pairs have no other positions to patch"))?;
        Ok(Measurement::from(estimate).noted(Some(format!("against the peak {}", peak.note()))))
    },
};

/// The absolute value of an estimate.
fn size_of(estimate: Estimate) -> Estimate {
    let (a, b) = (estimate.low.abs(), estimate.high.abs());
    let crosses = estimate.low < 0.0 && estimate.high > 0.0;
    Estimate {
        point: estimate.point.abs(),
        low: if crosses { 0.0 } else { a.min(b) },
        high: a.max(b),
        ..estimate
    }
}

/// The larger of two: its interval holds whatever either allows.
fn larger(a: Estimate, b: Estimate) -> Estimate {
    Estimate {
        point: a.point.max(b.point),
        low: a.low.max(b.low),
        high: a.high.max(b.high),
        n: a.n.min(b.n),
        clusters: a.clusters.min(b.clusters),
    }
}
