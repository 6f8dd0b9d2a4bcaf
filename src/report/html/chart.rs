//! Horizontal axes: where a value lies between the ends of a chart, in percent of its width.

use crate::report::words;

/// Room at both ends, so that marks at the ends are drawn whole.
const MARGIN: f64 = 4.0;

/// On a longer axis 0 and 1 would lie on one another.
const CROWDED: f64 = 8.0;

/// A linear axis that holds 0, 1 and every finite value it was made from.
pub(super) struct Axis {
    low: f64,
    high: f64,
}

/// A labelled place on an axis.
pub(super) struct Tick {
    pub at: String,
    pub label: String,
}

impl Axis {
    pub fn over(values: impl IntoIterator<Item = f64>) -> Self {
        let (mut low, mut high) = (0.0_f64, 1.0_f64);
        for value in values.into_iter().filter(|value| value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        Self { low, high }
    }

    /// Percent from the left; what lies beyond the ends is drawn at the end.
    pub fn percent(&self, value: f64) -> f64 {
        let share = ((value - self.low) / (self.high - self.low)).clamp(0.0, 1.0);
        if share.is_nan() {
            return MARGIN;
        }
        MARGIN + share * (100.0 - 2.0 * MARGIN)
    }

    pub fn at(&self, value: f64) -> String {
        percent(self.percent(value))
    }

    /// 0 and 1, and the ends where they lie well beyond.
    pub fn ticks(&self) -> Vec<Tick> {
        let span = self.high - self.low;
        let labelled = |place: f64, label: String| Tick {
            at: self.at(place),
            label,
        };
        let mut ticks = vec![labelled(0.0, "0".to_owned())];
        if span <= CROWDED {
            ticks.push(labelled(1.0, "1".to_owned()));
        }
        if self.low < -0.25 * span {
            ticks.push(labelled(self.low, words::short(self.low)));
        }
        if self.high > 1.0 + 0.25 * span {
            ticks.push(labelled(self.high, words::short(self.high)));
        }
        ticks
    }
}

pub(super) fn percent(value: f64) -> String {
    format!("{value:.2}%")
}
