//! The report of a probe at the terminal.

use std::path::Path;

use unicode_width::UnicodeWidthStr as _;

use crate::cli::inspect::paint::{Line, Surface, Tone, wrapped};
use crate::lab::{Cell, EstimateLine, ProbeReport, SweepLine, TransferTable};

/// Columns of a name before its numbers.
const NAMES: usize = 24;
/// Columns of a cell of a table.
const CELL: usize = 7;

/// The whole report, and where it lies.
pub fn shown(report: &ProbeReport, out: &Path) -> String {
    let surface = Surface::of_stdout();
    let mut page = Page {
        lines: Vec::new(),
        width: surface.width,
    };
    page.text(Tone::Strong, 0, &report.verdict);
    page.head(report);
    page.numbers(report);
    page.beside(report);
    page.sweep(report);
    if let Some(table) = &report.transfer {
        page.transfer(table);
    }
    page.gap();
    page.text(
        Tone::Quiet,
        0,
        &format!("→ {}, with report.json and report.html", out.display()),
    );
    let shown = page.lines.iter().map(|line| line.shown(surface.coloured));
    shown.collect::<Vec<String>>().join("\n")
}

struct Page {
    lines: Vec<Line>,
    width: usize,
}

impl Page {
    fn gap(&mut self) {
        self.lines.push(Line::new());
    }

    fn text(&mut self, tone: Tone, indent: usize, text: &str) {
        for part in wrapped(text, self.width.saturating_sub(indent)) {
            let line = Line::new().with(Tone::Plain, " ".repeat(indent));
            self.lines.push(line.with(tone, part));
        }
    }

    fn heading(&mut self, what: &str, how: &str) {
        self.gap();
        self.lines.push(
            Line::new()
                .with(Tone::Rail, what)
                .with(Tone::Quiet, format!("  {how}")),
        );
    }

    /// A name and what there is to say about it, broken beside the name.
    fn entry(&mut self, name: &str, value: &str) {
        let room = self.width.saturating_sub(NAMES + 2).max(20);
        for (at, part) in wrapped(value, room).into_iter().enumerate() {
            let name = if at == 0 { name } else { "" };
            self.lines.push(
                Line::new()
                    .with(Tone::Quiet, padded(&format!("  {name}"), NAMES + 2))
                    .with(Tone::Plain, part),
            );
        }
    }

    fn head(&mut self, report: &ProbeReport) {
        self.gap();
        self.entry(
            "probe",
            &format!(
                "{}, {} at {}, {} of {}, flags {}",
                report.id, report.kind, report.site, report.aggregation, report.span, report.flags
            ),
        );
        self.entry("a high score means", &report.positive);
        let part = |[items, positives, groups]: [usize; 3]| {
            format!("{items} in {groups} groups ({positives} positive)")
        };
        let splits = &report.splits;
        self.entry(
            "fitted, chosen on",
            &format!("{}, {}", part(splits.fit), part(splits.choose)),
        );
        self.entry("reported on", &part(splits.report));
    }

    fn numbers(&mut self, report: &ProbeReport) {
        self.heading("on unseen groups", "95 % intervals over groups");
        self.entry("AUROC", &estimate(&report.auroc));
        let value = &report.value;
        self.entry(
            &format!("recall at {} FPR", percent(value.target)),
            &format!(
                "{} (exact [{:.3}, {:.3}]): {} of {}; false alarms {} of {}, {} [{}, {}]",
                estimate(&value.recall_clustered),
                value.recall.low,
                value.recall.high,
                value.hits,
                value.positives,
                value.alarms,
                value.negatives,
                percent(value.false_positives.point),
                percent(value.false_positives.low),
                percent(value.false_positives.high),
            ),
        );
        if let Some(why) = &value.unsupported {
            self.entry("", why);
        }
        self.entry(
            "alarms that are right",
            &format!(
                "{} [{}, {}] where {} of items should be flagged",
                percent(value.predictive_value),
                percent(value.predictive_interval[0]),
                percent(value.predictive_interval[1]),
                percent(value.prevalence),
            ),
        );
        let reliability = &report.reliability;
        self.entry(
            "calibration",
            &format!(
                "Brier {} (the share of positives alone: {:.3}); expected calibration error {:.3}",
                estimate(&reliability.brier),
                reliability.brier_of_share,
                reliability.expected_calibration_error,
            ),
        );
    }

    fn beside(&mut self, report: &ProbeReport) {
        self.heading(
            "beside it",
            "AUROC on the same items, and what the probe adds",
        );
        for line in &report.baselines {
            let told = match (&line.auroc, &line.difference, &line.why) {
                (Some(auroc), Some(difference), _) => format!(
                    "{}   {:+.3} [{:+.3}, {:+.3}]",
                    estimate(auroc),
                    difference.point,
                    difference.low,
                    difference.high
                ),
                (_, _, why) => format!("not measured: {}", why.as_deref().unwrap_or_default()),
            };
            self.entry(line.name, &told);
        }
        if let Some(permutation) = &report.permutation {
            self.entry(
                "permuted labels",
                &format!(
                    "{:.3} on average, 95 % below {:.3}; p = {:.3} of {} rounds",
                    permutation.mean, permutation.high, permutation.p, permutation.rounds
                ),
            );
        }
    }

    /// A table for each hook: kinds by layers.
    fn sweep(&mut self, report: &ProbeReport) {
        self.heading("sweep", "AUROC on the items that choose; * was taken");
        let mut hooks: Vec<&str> = report.sweep.iter().map(|line| line.hook.as_str()).collect();
        hooks.sort_unstable();
        hooks.dedup();
        let at_once = (self.width.saturating_sub(NAMES + 2) / CELL).max(1);
        for hook in hooks {
            let of_hook: Vec<&SweepLine> = report
                .sweep
                .iter()
                .filter(|line| line.hook == hook)
                .collect();
            let mut layers: Vec<Option<usize>> = of_hook.iter().map(|line| line.layer).collect();
            layers.dedup();
            let mut kinds: Vec<&str> = Vec::new();
            for line in &of_hook {
                if !kinds.contains(&line.kind) {
                    kinds.push(line.kind);
                }
            }
            for layers in layers.chunks(at_once) {
                let names = layers.iter().map(|layer| match layer {
                    Some(layer) => format!("L{layer}"),
                    None => String::new(),
                });
                self.row(Tone::Quiet, &format!("  {hook}"), names.collect());
                for kind in &kinds {
                    let cell = |layer: &Option<usize>| {
                        let line = of_hook
                            .iter()
                            .find(|line| line.layer == *layer && line.kind == *kind);
                        line.map_or_else(String::new, |line| {
                            let mark = if line.chosen { "*" } else { "" };
                            let point = line.auroc.map(|auroc| auroc.point);
                            point.map_or("–".to_owned(), |point| format!("{mark}{point:.3}"))
                        })
                    };
                    let cells = layers.iter().map(cell).collect();
                    self.row(Tone::Plain, &format!("    {kind}"), cells);
                }
            }
        }
        for left in &report.left_out {
            self.text(
                Tone::Quiet,
                2,
                &format!("{} was left out: {}", left.kind, left.why),
            );
        }
    }

    fn transfer(&mut self, table: &TransferTable) {
        self.heading("transfer", "AUROC, trained on a row's data, measured on a column's; · where the interval holds 0.5");
        let n = table.datasets.len();
        let at_once = (self.width.saturating_sub(NAMES + 2) / CELL).max(1);
        for first in (0..n).step_by(at_once) {
            let columns = first..(first + at_once).min(n);
            let numbers = columns.clone().map(|column| (column + 1).to_string());
            self.row(Tone::Quiet, "", numbers.collect());
            let mut row = |name: &str, cells: &[Cell]| {
                let cells = cells.get(columns.clone()).unwrap_or_default();
                self.row(Tone::Plain, name, cells.iter().map(cell).collect());
            };
            for (at, (dataset, cells)) in table.datasets.iter().zip(&table.alone).enumerate() {
                row(&format!("  {} {}", at + 1, dataset.name), cells);
            }
            row("  all but the column", &table.all_but_one);
            row("  all", &table.all);
        }
    }

    fn row(&mut self, tone: Tone, name: &str, cells: Vec<String>) {
        let mut line = Line::new().with(tone, padded(&clipped(name, NAMES + 1), NAMES + 2));
        for cell in cells {
            let space = " ".repeat(CELL.saturating_sub(cell.width()));
            line = line.with(tone, format!("{space}{cell}"));
        }
        self.lines.push(line);
    }
}

fn cell(cell: &Cell) -> String {
    match &cell.auroc {
        Some(auroc) if auroc.low <= 0.5 && auroc.high >= 0.5 => format!("·{:.3}", auroc.point),
        Some(auroc) => format!("{:.3}", auroc.point),
        None => "–".to_owned(),
    }
}

fn estimate(estimate: &EstimateLine) -> String {
    format!(
        "{:.3} [{:.3}, {:.3}]",
        estimate.point, estimate.low, estimate.high
    )
}

/// `1 %`, `0.1 %`, `48.3 %`.
fn percent(share: f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

fn padded(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
}

fn clipped(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    let mut clipped = String::new();
    for letter in text.chars() {
        if clipped.width() + 2 > width {
            break;
        }
        clipped.push(letter);
    }
    clipped + "…"
}
