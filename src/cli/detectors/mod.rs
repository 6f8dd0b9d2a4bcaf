//! `candor detectors`

mod check;
mod encode;
mod find;
mod import;
mod page;
mod shown;

use clap::Subcommand;

use super::args::Cli;
use crate::detect::Detector;
use crate::fault::Result;

/// `candor detectors`
#[derive(Debug, Subcommand)]
pub enum DetectorsCommand {
    /// Open detectors, and measure how they fit a model.
    #[command(long_about = check::LONG)]
    Check(check::CheckArgs),
    /// Choose the SAE features that separate labelled items, and write the detector's card.
    Find(find::FindArgs),
    /// Show what chosen features of an SAE react to and write, on one page.
    Page(page::PageArgs),
    /// Make a detector of an SAE or transcoder of any format.
    Import(import::ImportArgs),
    /// Encode activations `[n, d_in]` with an SAE.
    Encode(encode::EncodeArgs),
}

pub fn run(command: &DetectorsCommand, cli: &Cli) -> Result<u8> {
    match command {
        DetectorsCommand::Check(args) => return check::run(args, cli),
        DetectorsCommand::Find(args) => find::run(args, cli)?,
        DetectorsCommand::Import(args) => import::run(args)?,
        DetectorsCommand::Page(args) => page::run(args, cli)?,
        DetectorsCommand::Encode(args) => encode::run(args)?,
    }
    Ok(0)
}

/// A detector in a few lines.
pub fn describe(detector: &Detector) -> String {
    let card = &detector.card;
    let mut lines = vec![format!(
        "{} · {} · role {} · {} · {} of {}",
        card.id, card.kind, card.role, card.site, card.aggregation, card.span
    )];
    if let Some(declares) = &card.declares {
        if let (Some(auroc), Some(interval)) = (declares.auroc, declares.auroc_interval) {
            lines.push(format!(
                "  AUROC on held-out groups  {auroc:.3} [{:.3}, {:.3}]",
                interval.low, interval.high
            ));
        }
        if let (Some(l0), Some(explained)) = (declares.l0, declares.explained_variance) {
            lines.push(format!("  L0 {l0:.1}, explained variance {explained:.3}"));
        }
    }
    if let Some(baselines) = &card.baselines {
        let shown = |value: Option<f64>| {
            value.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.3}"))
        };
        lines.push(format!(
            "  baselines  bag of words {}, length {:.3}, layer 0 {}, permuted labels {:.3}",
            shown(baselines.bag_of_words_auroc),
            baselines.length_auroc,
            shown(baselines.layer0_auroc),
            baselines.permutation_auroc
        ));
    }
    if let Some(calibration) = &card.calibration {
        let rate = |rates: &crate::detect::FalsePositives| {
            format!(
                "{:.1} % of {} [{:.1}, {:.1}]",
                100.0 * rates.rate,
                rates.n,
                100.0 * rates.interval.low,
                100.0 * rates.interval.high
            )
        };
        lines.push(format!(
            "  flags what scores {} {:.4}, false alarms on control text {}",
            calibration.flags.name(),
            calibration.threshold,
            rate(&calibration.control)
        ));
        if let Some(honest) = &calibration.matched_honest {
            lines.push(format!(
                "  false alarms on matched honest items {}",
                rate(honest)
            ));
        }
    }
    for feature in &card.features {
        lines.push(format!(
            "  feature {:>5}  AUROC {:.3} [{:.3}, {:.3}], adjusted p {:.1e}",
            feature.index,
            feature.auroc,
            feature.auroc_interval.low,
            feature.auroc_interval.high,
            feature.p_adjusted
        ));
    }
    for limit in &card.limits {
        lines.push(format!("  limit: {limit}"));
    }
    lines.join("\n")
}
