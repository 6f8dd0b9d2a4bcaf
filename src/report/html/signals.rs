//! How sure: estimates with their intervals, beside the bars that rules set.

use super::chart::{Axis, Tick, percent};
use crate::report::{Bar, Side, SignalLine, words};
use crate::stats::Estimate;

pub(super) struct SignalView<'a> {
    pub line: &'a SignalLine,
    pub value: Option<ValueView>,
    pub bars: Vec<BarView>,
}

pub(super) struct BarView {
    pub text: String,
    pub block: String,
    /// `met`, `missed` or `open`.
    pub state: &'static str,
    pub word: &'static str,
}

/// An estimate in words and as a chart.
pub(super) struct ValueView {
    pub point: String,
    /// `None` where the number is exact and has none.
    pub interval: Option<String>,
    pub n: usize,
    pub clusters: usize,
    pub chart: IntervalChart,
}

pub(super) struct IntervalChart {
    pub label: String,
    pub ticks: Vec<Tick>,
    pub low: String,
    pub high: String,
    pub point: String,
    /// Places of bars, and the side that is asked for: its left end and width.
    pub bars: Vec<(String, String, String)>,
}

impl<'a> SignalView<'a> {
    pub fn of(line: &'a SignalLine) -> Self {
        Self {
            value: line
                .estimate
                .as_ref()
                .map(|estimate| ValueView::of(estimate, &line.bars)),
            bars: line.bars.iter().map(BarView::of).collect(),
            line,
        }
    }
}

impl BarView {
    fn of(bar: &Bar) -> Self {
        let (state, word) = match bar.met {
            Some(true) => ("met", "yes"),
            Some(false) => ("missed", "no"),
            None => ("open", "cannot tell"),
        };
        Self {
            text: words::bar(bar),
            block: bar.block.clone(),
            state,
            word,
        }
    }
}

impl ValueView {
    pub fn of(estimate: &Estimate, bars: &[Bar]) -> Self {
        let ends = [estimate.low, estimate.point, estimate.high];
        let axis = Axis::over(ends.into_iter().chain(bars.iter().map(|bar| bar.value)));
        let wanted = bars
            .iter()
            .map(|bar| {
                let place = axis.percent(bar.value);
                let (from, to) = match bar.side {
                    Side::AtLeast | Side::Above => (place, 100.0),
                    Side::AtMost | Side::Below => (0.0, place),
                };
                (percent(place), percent(from), percent(to - from))
            })
            .collect();
        let said: Vec<_> = bars.iter().map(words::bar).collect();
        let mut label = format!(
            "{}, 95 % interval {}",
            words::number(estimate.point),
            words::interval(estimate)
        );
        if !said.is_empty() {
            label = format!("{label}; asked for: {}", said.join(", "));
        }
        Self {
            point: words::number(estimate.point),
            interval: (estimate.low < estimate.high).then(|| words::interval(estimate)),
            n: estimate.n,
            clusters: estimate.clusters,
            chart: IntervalChart {
                label,
                ticks: axis.ticks(),
                low: axis.at(estimate.low),
                high: axis.at(estimate.high),
                point: axis.at(estimate.point),
                bars: wanted,
            },
        }
    }
}
