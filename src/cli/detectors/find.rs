//! `candor detectors find`

use std::path::PathBuf;

use clap::Args;
use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use super::describe;
use crate::cli::args::{Cli, LabelledArgs};
use crate::cli::{command, name_of, obtain, terminal};
use crate::detect::Selection;
use crate::fault::{Fault, Result};
use crate::files;
use crate::lab::{Bounds, FeatureRanking, FeatureSearch, Subject, find_features};
use crate::stats::Adjustment;
use crate::tokens::Suite;

/// `candor detectors find`
#[derive(Debug, Args)]
pub struct FindArgs {
    /// The SAE's folder, as SAELens writes it; the card is written into it.
    pub dir: PathBuf,
    /// What is read.
    #[command(flatten)]
    pub labelled: LabelledArgs,
    /// A suite of unrelated text that the threshold is set on (default: the held-out items of label 0).
    #[arg(long, value_name = "DIR")]
    pub control: Option<PathBuf>,
    /// Tokens that are read.
    #[arg(long, default_value = "prompt_last")]
    pub span: String,
    /// What the features are for; rules refer to it.
    #[arg(long, default_value = "features")]
    pub role: String,
    /// Name of the detector.
    #[arg(long)]
    pub id: String,
    /// At most so many features.
    #[arg(long, value_name = "N", default_value_t = 8)]
    pub most: usize,
    /// Smallest AUROC that the lower bound must reach.
    #[arg(long, value_name = "X", default_value_t = 0.7)]
    pub least_auroc: f64,
    /// Adjust p-values for the family-wise error rate, not for the false discovery rate.
    #[arg(long)]
    pub bonferroni: bool,
    /// Seeds the split and the bootstrap.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// The best so many features are shown; `--out` has all.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub show: usize,
    /// Write the whole ranking, with probes and combinations of features.
    #[arg(long, value_name = "FILE.json")]
    pub out: Option<PathBuf>,
}

pub fn run(args: &FindArgs, cli: &Cli) -> Result<()> {
    if let Some(out) = &args.out {
        files::writable(out)?;
    }
    let span = args.span.parse()?;
    let suite = Suite::open(&args.labelled.suite)?;
    let control = args.control.as_deref().map(Suite::open).transpose()?;
    let subject = Subject::open(
        &name_of(&args.labelled.model),
        &args.labelled.model,
        args.labelled.tokenizer.as_deref(),
    )?;
    let runtime = obtain(&cli.runtime)?;
    let search = FeatureSearch {
        id: args.id.clone(),
        role: args.role.clone(),
        span,
        suite: &suite,
        control: control.as_ref(),
        selection: Selection {
            min_auroc: args.least_auroc,
            at_most: args.most,
            seed: args.seed,
            adjustment: if args.bonferroni {
                Adjustment::Bonferroni
            } else {
                Adjustment::BenjaminiHochberg
            },
            ..Selection::default()
        },
        needs_card: args.out.is_none(),
        command: command(),
    };
    let found = find_features(&runtime, &subject, &args.dir, &search)?;
    if let Some(out) = &args.out {
        let text = serde_json::to_string_pretty(&found.ranking)
            .map_err(|error| Fault::failed("writing the ranking", error.to_string()))?;
        files::write_whole(out, format!("{text}\n").as_bytes())?;
    }
    match &found.detector {
        Some(detector) => {
            detector.write_card(&args.dir)?;
            terminal::say(&describe(detector));
        }
        None => terminal::note(
            "no card: one can only stand beside SAELens's files, which `candor detectors import` makes of these",
        ),
    }
    terminal::say(&shown(&found.ranking, args.show));
    Ok(())
}

/// The best features, the readers beside them, and which of the two reads better.
fn shown(ranking: &FeatureRanking, most: usize) -> String {
    let mut features = table([
        "  feature",
        "sign",
        "AUROC",
        "interval",
        "adjusted p",
        "held out",
        "interval",
        "active on 1",
        "on 0",
    ]);
    for feature in ranking.features.iter().take(most) {
        features.add_row([
            format!("  {}", feature.index),
            if feature.sign < 0 { "−" } else { "+" }.to_owned(),
            format!("{:.3}", feature.auroc.point),
            interval(&feature.auroc),
            format!("{:.1e}", feature.p_adjusted),
            format!("{:.3}", feature.held_out.point),
            interval(&feature.held_out),
            format!("{:.1} %", 100.0 * feature.active_positive),
            format!("{:.1} %", 100.0 * feature.active_negative),
        ]);
    }
    let mut readers = table([
        "  read by",
        "held out",
        "interval",
        "minus the probe",
        "features",
    ]);
    for reader in ranking.probes.iter().chain(&ranking.sparse) {
        let few: Vec<String> = reader.features.iter().map(usize::to_string).collect();
        readers.add_row([
            format!("  {}", reader.name),
            format!("{:.3}", reader.held_out.point),
            interval(&reader.held_out),
            reader.over_probe.as_ref().map_or_else(String::new, |over| {
                format!("{:+.3} [{:+.3}, {:+.3}]", over.point, over.low, over.high)
            }),
            few.join(" "),
        ]);
    }
    format!(
        "\n{} live features of {}, ranked on {} items of {} groups; measured on {} of {}\n{}\n\n{}\n\n  {}",
        ranking.live,
        ranking.d_sae,
        ranking.train.items,
        ranking.train.groups,
        ranking.held_out.items,
        ranking.held_out.groups,
        features.trim_fmt(),
        readers.trim_fmt(),
        ranking.verdict.text
    )
}

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    table
}

fn interval(bounds: &Bounds) -> String {
    format!("[{:.3}, {:.3}]", bounds.low, bounds.high)
}
