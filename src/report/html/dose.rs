//! Dose and response: the effect of parts of a patch, beside random edits of the same lengths.

use super::chart::Axis;
use crate::report::{DosePoint, words};

/// Pixels of the plot: its upper and lower end.
const TOP: f64 = 8.0;
const FLOOR: f64 = 104.0;

pub(super) struct DoseView {
    pub points: Vec<Mark>,
    /// Between neighbours: from and to, of the edit and of random ones.
    pub lines: Vec<(Spot, Spot)>,
    pub random: Vec<(Spot, Spot)>,
    /// Heights of the effects 0 and 1.
    pub zero: String,
    pub one: String,
    /// Items that it was measured on.
    pub n: usize,
}

/// Percent from the left and pixels from the top.
#[derive(Clone)]
pub(super) struct Spot {
    pub x: String,
    pub y: String,
}

pub(super) struct Mark {
    pub spot: Spot,
    pub random: Spot,
    pub low: String,
    pub high: String,
    pub share: String,
    pub effect: String,
    pub interval: String,
    pub random_effect: String,
}

impl DoseView {
    pub fn of(dose: &[DosePoint]) -> Option<Self> {
        let n = dose.last()?.effect.n;
        let across = Axis::over(dose.iter().map(|point| point.share));
        let up = Axis::over(dose.iter().flat_map(|point| {
            [
                point.effect.low,
                point.effect.point,
                point.effect.high,
                point.random,
            ]
        }));
        let height = |value: f64| {
            let share = up.percent(value) / 100.0;
            format!("{:.1}", FLOOR - share * (FLOOR - TOP))
        };
        let spot = |share: f64, value: f64| Spot {
            x: across.at(share),
            y: height(value),
        };
        let points: Vec<Mark> = dose
            .iter()
            .map(|point| Mark {
                spot: spot(point.share, point.effect.point),
                random: spot(point.share, point.random),
                low: height(point.effect.low),
                high: height(point.effect.high),
                share: words::trimmed(point.share),
                effect: words::short(point.effect.point),
                interval: words::interval(&point.effect),
                random_effect: words::short(point.random),
            })
            .collect();
        let joined = |of: &dyn Fn(&Mark) -> &Spot| {
            points
                .windows(2)
                .filter_map(|pair| match pair {
                    [a, b] => Some((of(a).clone(), of(b).clone())),
                    _ => None,
                })
                .collect()
        };
        Some(Self {
            lines: joined(&|mark| &mark.spot),
            random: joined(&|mark| &mark.random),
            zero: height(0.0),
            one: height(1.0),
            n,
            points,
        })
    }
}
