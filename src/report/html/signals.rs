//! How sure: every measurement once, with its interval beside the bars that rules set, and what each rule made of it.

use super::chart::{Axis, Tick, percent};
use super::{Prose, prose};
use crate::report::{Bar, Finding, Range, Side, SignalLine, words};
use crate::stats::Estimate;

/// In the order in which a rule argues.
const BLOCKS: [&str; 4] = ["behaviour", "representation", "causal", "validity"];

/// The block whose bars are held against simultaneous intervals.
const ACCUSING: &str = "behaviour";

/// Rules share measurements: each is drawn once, and findings refer to it.
pub(super) struct Measures<'a> {
    pub blocks: Vec<(&'a str, Vec<Measure<'a>>)>,
    /// Why not, and what was therefore not measured.
    pub missing: Vec<(&'a str, Vec<String>)>,
}

pub(super) struct Measure<'a> {
    pub anchor: String,
    pub line: &'a SignalLine,
    pub label: String,
    pub meaning: Prose,
    pub note: Option<String>,
    pub value: ValueView,
    /// Texts of the bars, without repetition.
    pub asked: Vec<String>,
}

/// A bar of a finding and the measurement that it was compared with.
pub(super) struct Check<'a> {
    pub block: &'a str,
    pub label: String,
    /// Where the measurement is drawn.
    pub anchor: Option<String>,
    pub value: Option<String>,
    pub interval: Option<String>,
    pub joint: Option<String>,
    pub asked: String,
    /// `met`, `missed` or `open`.
    pub state: &'static str,
    pub word: &'static str,
}

/// An estimate in words and as a chart.
pub(super) struct ValueView {
    pub point: String,
    /// `None` where the number is exact and has none.
    pub interval: Option<String>,
    /// The simultaneous interval, where bars are held against it.
    pub joint: Option<String>,
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
    /// Ends of the simultaneous interval.
    pub joint: Option<(String, String)>,
    /// Places of bars, and the side that is asked for: its left end and width.
    pub bars: Vec<(String, String, String)>,
}

impl<'a> Measures<'a> {
    /// `anchor` begins the anchors, unique on the page.
    pub fn of(findings: &[&'a Finding], anchor: &str) -> Self {
        let mut made = Self {
            blocks: Vec::new(),
            missing: Vec::new(),
        };
        let mut seen: Vec<&SignalLine> = Vec::new();
        let all = || findings.iter().flat_map(|finding| &finding.signals);
        for line in all() {
            if seen.iter().any(|other| same(other, line)) {
                continue;
            }
            seen.push(line);
            let Some(estimate) = &line.estimate else {
                made.miss(line);
                continue;
            };
            let alike = || all().filter(|other| same(other, line));
            let bars: Vec<Bar> = alike().flat_map(|other| other.bars.clone()).collect();
            let joint = alike().find_map(|other| other.joint);
            let mut asked: Vec<String> = bars.iter().map(words::bar).collect();
            asked.sort();
            asked.dedup();
            let block = line.bars.first().map_or("other", |bar| bar.block.as_str());
            let measure = Measure {
                anchor: format!("{anchor}-s{}", seen.len()),
                line,
                label: words::sentence(&line.label),
                meaning: prose(&line.meaning),
                note: line.note.as_deref().map(words::sentence),
                value: ValueView::of(estimate, joint, &bars),
                asked,
            };
            match made.blocks.iter_mut().find(|(name, _)| *name == block) {
                Some((_, measures)) => measures.push(measure),
                None => made.blocks.push((block, vec![measure])),
            }
        }
        made.blocks
            .sort_by_key(|(name, _)| BLOCKS.iter().position(|block| block == name));
        made
    }

    fn miss(&mut self, line: &'a SignalLine) {
        let why = line.why_not.as_deref().unwrap_or("no reason was given");
        let label = line.label.clone();
        match self.missing.iter_mut().find(|(other, _)| *other == why) {
            Some((_, labels)) => labels.push(label),
            None => self.missing.push((why, vec![label])),
        }
    }

    fn anchor(&self, line: &SignalLine) -> Option<String> {
        let mut measures = self.blocks.iter().flat_map(|(_, measures)| measures);
        let found = measures.find(|measure| same(measure.line, line))?;
        Some(found.anchor.clone())
    }

    /// Every bar of a finding, by block.
    pub fn checks(&self, finding: &'a Finding) -> Vec<Check<'a>> {
        let mut checks: Vec<Check<'a>> = finding
            .signals
            .iter()
            .flat_map(|line| line.bars.iter().map(move |bar| self.check(line, bar)))
            .collect();
        let order = |check: &Check| {
            let mut blocks = finding.blocks.iter();
            blocks.position(|block| block.name == check.block)
        };
        checks.sort_by_key(order);
        checks
    }

    fn check(&self, line: &'a SignalLine, bar: &'a Bar) -> Check<'a> {
        let (state, word) = match bar.met {
            Some(true) => ("met", "yes"),
            Some(false) => ("missed", "no"),
            None => ("open", "cannot tell"),
        };
        Check {
            block: &bar.block,
            label: words::sentence(&line.label),
            anchor: self.anchor(line),
            value: line.estimate.map(|estimate| words::number(estimate.point)),
            interval: line.estimate.as_ref().and_then(uncertain),
            joint: line.joint.filter(|_| bar.block == ACCUSING).map(joint),
            asked: words::bar(bar),
            state,
            word,
        }
    }
}

/// Whether two rules show one and the same measurement.
fn same(a: &SignalLine, b: &SignalLine) -> bool {
    (&a.kind, &a.label, &a.note, &a.why_not) == (&b.kind, &b.label, &b.note, &b.why_not)
        && a.estimate.map(bits) == b.estimate.map(bits)
}

/// Equal for equal estimates, NaN or not.
fn bits(estimate: Estimate) -> ([u64; 3], usize) {
    let ends = [estimate.point, estimate.low, estimate.high];
    (ends.map(f64::to_bits), estimate.n)
}

/// Such as `jointly 0.8 to 1`.
fn joint(range: Range) -> String {
    format!("jointly {}", words::range(range.low, range.high))
}

/// The interval, where the number is not exact.
fn uncertain(estimate: &Estimate) -> Option<String> {
    (estimate.low < estimate.high).then(|| words::interval(estimate))
}

impl ValueView {
    pub fn of(estimate: &Estimate, wide: Option<Range>, bars: &[Bar]) -> Self {
        let ends = [estimate.low, estimate.point, estimate.high];
        let wide_ends = wide.into_iter().flat_map(|range| [range.low, range.high]);
        let bar_values = bars.iter().map(|bar| bar.value);
        let axis = Axis::over(ends.into_iter().chain(wide_ends).chain(bar_values));
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
        let mut label = words::number(estimate.point);
        if let Some(interval) = uncertain(estimate) {
            label = format!("{label}, 95 % interval {interval}");
        }
        if let Some(wide) = wide {
            label = format!("{label}, {}", joint(wide));
        }
        if !said.is_empty() {
            label = format!("{label}; asked for: {}", said.join(", "));
        }
        Self {
            point: words::number(estimate.point),
            interval: uncertain(estimate),
            joint: wide.map(joint),
            n: estimate.n,
            clusters: estimate.clusters,
            chart: IntervalChart {
                label,
                ticks: axis.ticks(),
                low: axis.at(estimate.low),
                high: axis.at(estimate.high),
                point: axis.at(estimate.point),
                joint: wide.map(|range| (axis.at(range.low), axis.at(range.high))),
                bars: wanted,
            },
        }
    }
}
