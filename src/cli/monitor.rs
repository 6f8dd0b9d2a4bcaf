//! `candor monitor`

use std::path::PathBuf;

use clap::Args;
use unicode_width::UnicodeWidthStr as _;

use super::args::RuntimeArgs;
use super::inspect::paint::{Line, Surface, Tone};
use super::{obtain, terminal};
use crate::detect::Detector;
use crate::fault::{Fault, Result};
use crate::files;
use crate::lab::{Drift, Monitored, Weights, detector_folders, drift, monitor};
use crate::model::{Architecture, DataCopy, Model};
use crate::report::counted;

/// `candor monitor`
#[derive(Debug, Args)]
pub struct MonitorArgs {
    /// The exported model.
    pub model: PathBuf,
    /// Detector folders; may be repeated.
    #[arg(long, value_name = "DIR", num_args = 1.., required = true)]
    pub detectors: Vec<PathBuf>,
    /// The model to write: the same inputs and outputs, and the scores of the detectors behind them.
    #[arg(long, value_name = "FILE.onnx")]
    pub out: PathBuf,
    /// Copy weights that lie in files of their own beside the new file; otherwise it names those of the model.
    #[arg(long)]
    pub copy_weights: bool,
    /// How far the model's own outputs may move, relative to their largest value: half-precision graphs round anew where
    /// something more reads them.
    #[arg(long, value_name = "R", default_value_t = 1e-5)]
    pub tolerance: f32,
}

pub fn run(args: &MonitorArgs, runtime: &RuntimeArgs) -> Result<()> {
    if !(args.tolerance.is_finite() && args.tolerance >= 0.0) {
        let found = format!("the tolerance {}", args.tolerance);
        return Err(Fault::usage("reading the arguments", found)
            .expected("a finite number that is not negative"));
    }
    files::writable(&args.out)?;
    let folders = detector_folders(&args.detectors)?;
    let detectors = folders.iter().map(|folder| Detector::open(folder));
    let detectors = detectors.collect::<Result<Vec<_>>>()?;
    let model = Model::open(&args.model)?;
    let arch = Architecture::find(&model)?;
    let monitored = monitor(&model, &arch, &model.digests()?, &detectors)?;
    let weights = if args.copy_weights {
        Weights::Copied
    } else {
        Weights::Shared
    };
    let placed = monitored.place(&model, &args.out, weights)?;
    let runtime = obtain(runtime)?;
    let drift = drift(&runtime, &model, &arch, &monitored.encode()?)?;
    if drift.relative > args.tolerance {
        return Err(Fault::failed(
            "comparing the model's own outputs with and without its detectors",
            format!("a relative difference of {:.1e}", drift.relative),
        )
        .expected(format!("at most {:.1e}", args.tolerance))
        .hint("a graph in half precision rounds anew where something more reads its stream: allow it with --tolerance"));
    }
    let copied = placed.write()?;
    terminal::say(&page(args, &model, &monitored, &drift, &copied));
    Ok(())
}

fn page(
    args: &MonitorArgs,
    model: &Model,
    monitored: &Monitored,
    drift: &Drift,
    copied: &[DataCopy],
) -> String {
    let surface = Surface::of_stdout();
    let mut lines = table(monitored);
    lines.push(Line::new());
    let difference = if drift.absolute == 0.0 {
        "equal to the last bit".to_owned()
    } else {
        format!(
            "{:.1e} apart at most ({:.1e} of the largest value)",
            drift.absolute, drift.relative
        )
    };
    lines.push(Line::new().with(
        Tone::Quiet,
        format!(
            "the model's own outputs, {} of {} compared on {} tokens: {difference}",
            drift.compared, drift.outputs, drift.tokens
        ),
    ));
    lines.push(Line::new().with(
        Tone::Plain,
        format!(
            "`{}` [batch, seq, {}] behind them → {}",
            monitored.output,
            monitored
                .columns
                .iter()
                .map(|column| column.columns)
                .sum::<usize>(),
            args.out.display()
        ),
    ));
    let data = model.files().len() - 1;
    if data > 0 {
        let what = if args.copy_weights {
            format!(
                "{} of weights copied beside it",
                counted(copied.len(), "file", "files")
            )
        } else {
            format!(
                "its weights stay in {} of the model",
                counted(data, "file", "files")
            )
        };
        lines.push(Line::new().with(Tone::Quiet, what));
    }
    let shown: Vec<String> = lines
        .iter()
        .map(|line| line.shown(surface.coloured))
        .collect();
    shown.join("\n")
}

/// Column, detector, what it reads, what it flags.
fn table(monitored: &Monitored) -> Vec<Line> {
    let mut rows = vec![["column", "detector", "reads", "site", "flags"].map(str::to_owned)];
    let mut first = 0;
    for column in &monitored.columns {
        let last = first + column.columns.saturating_sub(1);
        let reads = match column.feature {
            Some(feature) if column.factor < 0.0 => format!("−feature {feature}"),
            Some(feature) => format!("feature {feature}"),
            None => column.kind.clone(),
        };
        let flags = column.threshold.zip(column.flags).map_or_else(
            || "–".to_owned(),
            |(t, flags)| format!("{} {t:.4}", flags.name()),
        );
        rows.push([
            if first == last {
                first.to_string()
            } else {
                format!("{first}–{last}")
            },
            column.id.clone(),
            reads,
            column.site.to_string(),
            flags,
        ]);
        first = last + 1;
    }
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let line = |(at, row): (usize, &[String; 5])| {
        let tone = if at == 0 { Tone::Quiet } else { Tone::Plain };
        let cells = row.iter().zip(&widths);
        cells.fold(Line::new(), |line, (cell, width)| {
            let gap = " ".repeat(width.saturating_sub(cell.width()) + 2);
            line.with(tone, format!("{cell}{gap}"))
        })
    };
    rows.iter().enumerate().map(line).collect()
}
