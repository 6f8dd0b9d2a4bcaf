//! `candor detectors`

use std::path::{Path, PathBuf};

use super::args::{Cli, DetectorsCommand, FindArgs};
use super::{obtain, terminal};
use crate::detect::{Detector, Sae, Selection};
use crate::fault::Result;
use crate::files;
use crate::lab::{FeatureSearch, Subject, detector_folders, encode_file, find_features};
use crate::model::{Architecture, Model};
use crate::tokens::Suite;

pub fn run(command: &DetectorsCommand, cli: &Cli) -> Result<()> {
    match command {
        DetectorsCommand::Check { paths, model } => check(paths, model.as_deref()),
        DetectorsCommand::Find(args) => find(args, cli),
        DetectorsCommand::Encode { dir, input, out } => {
            files::writable(out)?;
            let sae = Sae::open(dir)?;
            let rows = encode_file(&sae, input, out)?;
            terminal::say(&format!(
                "{rows} rows, {} features → {}",
                sae.d_sae(),
                out.display()
            ));
            Ok(())
        }
    }
}

fn check(paths: &[PathBuf], model: Option<&Path>) -> Result<()> {
    let model = match model {
        Some(path) => {
            let model = Model::open(path)?;
            let sha256 = model
                .digests()?
                .into_iter()
                .next()
                .map(|file| file.sha256)
                .unwrap_or_default();
            Some((Architecture::find(&model)?, sha256))
        }
        None => None,
    };
    for folder in detector_folders(paths)? {
        let detector = Detector::open(&folder)?;
        if let Some((arch, sha256)) = &model {
            detector.fits(arch, sha256)?;
        }
        terminal::say(&describe(&detector));
    }
    Ok(())
}

fn find(args: &FindArgs, cli: &Cli) -> Result<()> {
    let span = args.span.parse()?;
    let (suite, control) = (
        Suite::open(&args.labelled.suite)?,
        Suite::open(&args.control)?,
    );
    let subject = Subject::open(
        &super::name_of(&args.labelled.model),
        &args.labelled.model,
        args.labelled.tokenizer.as_deref(),
    )?;
    let runtime = obtain(&cli.runtime)?;
    let search = FeatureSearch {
        id: args.id.clone(),
        role: args.role.clone(),
        span,
        suite: &suite,
        control: &control,
        selection: Selection {
            min_auroc: args.least_auroc,
            at_most: args.most,
            seed: args.seed,
            ..Selection::default()
        },
        command: super::command(),
    };
    let detector = find_features(&runtime, &subject, &args.dir, &search)?;
    detector.write_card(&args.dir)?;
    terminal::say(&describe(&detector));
    Ok(())
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
            "  threshold {:.4}, false alarms on control text {}",
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
    lines.join("\n")
}
