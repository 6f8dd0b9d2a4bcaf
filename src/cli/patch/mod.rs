//! `candor patch`

mod args;
mod detector;
mod pairs;
mod shown;

use std::path::Path;

use self::args::{InterventionArg, MetricArg, ModeArg};
pub use self::args::{LONG, PatchArgs};
use self::detector::Opened;
use self::pairs::Reader;
use super::args::RuntimeArgs;
use super::{obtain, prompts, terminal};
use crate::causal::intervention::{FeatureEdit, Over};
use crate::causal::{By, Metric};
use crate::evidence::PatchMode;
use crate::fault::{Fault, Result};
use crate::files;
use crate::lab::{Kind, PatchFile, PatchRequest, check_ids, patch, select_sites};
use crate::model::{Architecture, Model};

pub fn run(args: &PatchArgs, runtime: &RuntimeArgs, quiet: bool) -> Result<()> {
    files::writable(&args.out)?;
    let model = Model::open(&args.model)?;
    let arch = Architecture::find(&model)?;
    let open = |folder: &Option<std::path::PathBuf>| {
        let folder = folder.as_deref();
        let open = |folder: &Path| Opened::open(folder, &model, &arch);
        folder.map(open).transpose()
    };
    let (detector, read) = (open(&args.detector)?, open(&args.metric_detector)?);
    let sites = select_sites(&arch, &globs(args, detector.as_ref()))?;
    let mut reader = Reader::new(args, &arch);
    let pairs = reader.pairs()?;
    let control = control(args, &arch, &mut reader)?;
    let request = PatchRequest {
        pairs: &pairs,
        sites: &sites,
        by: args.by,
        positions: (!args.positions.is_empty()).then(|| args.positions.clone()),
        mode: match (args.mode, args.intervention) {
            (Some(ModeArg::Denoising), _) | (None, InterventionArg::Patch) => PatchMode::Denoising,
            (Some(ModeArg::Noising) | None, _) => PatchMode::Noising,
        },
        kind: kind(args, detector.as_ref(), &control)?,
        metric: metric(args, read.as_ref().or(detector.as_ref()))?,
        at: (!args.at.is_empty()).then(|| args.at.clone()),
        controls: args.controls,
        seed: args.seed,
        budget: args.run_memory.saturating_mul(1 << 20),
    };
    let runtime = obtain(runtime)?;
    let bar = terminal::Bar::new(quiet);
    let patched = patch(&runtime, &model, &arch, &request, &bar)?;
    drop(bar);
    let file = PatchFile::of(&request, &patched)?;
    let json = serde_json::to_vec_pretty(&file)
        .map_err(|error| Fault::failed("writing the patching map", error.to_string()))?;
    files::write_whole(&args.out, &json)?;
    if !quiet {
        shown::map(&file, request.mode);
        if let Some(line) = shown::strongest_cell(&file, request.mode) {
            terminal::say(&line);
        }
    }
    terminal::say(&shown::summary(&file, &request, &args.out));
    Ok(())
}

/// The sites that are meant where none are named.
fn globs(args: &PatchArgs, detector: Option<&Opened>) -> Vec<String> {
    if !args.sites.is_empty() {
        return args.sites.clone();
    }
    vec![match (args.intervention, args.by, detector) {
        (
            InterventionArg::FeatureAblate
            | InterventionArg::FeatureSet
            | InterventionArg::FeatureScale,
            _,
            Some(detector),
        ) => detector.site().to_string(),
        (_, By::Head, _) => "blocks.*.attn.hook_z".to_owned(),
        _ => "blocks.*.hook_resid_pre".to_owned(),
    }]
}

/// Prompts as texts, or as lists of token ids, one a line.
fn control(
    args: &PatchArgs,
    arch: &Architecture,
    reader: &mut Reader<'_>,
) -> Result<Vec<Vec<i64>>> {
    let Some(file) = &args.control else {
        return Ok(Vec::new());
    };
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let listed = lines.map(|line| serde_json::from_str(line).ok());
    let ids = match listed.collect::<Option<Vec<Vec<i64>>>>() {
        Some(ids) if !ids.is_empty() => ids,
        _ => {
            let prompts = prompts::read(file, reader.tokenizer()?)?;
            prompts.into_iter().map(|prompt| prompt.ids).collect()
        }
    };
    check_ids(arch, &ids)?;
    Ok(ids)
}

fn kind<'a>(
    args: &PatchArgs,
    detector: Option<&'a Opened>,
    control: &'a [Vec<i64>],
) -> Result<Kind<'a>> {
    let doing = || {
        let name = clap::ValueEnum::to_possible_value(&args.intervention);
        let name = name.map_or_else(String::new, |name| name.get_name().to_owned());
        format!("preparing the intervention `{name}`")
    };
    let controlled = || {
        if control.is_empty() {
            return Err(Fault::usage(doing(), "no control prompts")
                .expected("prompts whose activations are taken")
                .hint("--control FILE names them, one a line"));
        }
        Ok(control)
    };
    let opened = || {
        detector.ok_or_else(|| {
            Fault::usage(doing(), "no detector")
                .expected("a probe or an SAE")
                .hint("--detector DIR names its folder")
        })
    };
    let scales = || {
        if args.scale.is_empty() {
            return Err(Fault::usage(doing(), "no scale")
                .expected("at least one number")
                .hint("--scale 1,2,4"));
        }
        match args.scale.iter().find(|scale| !scale.is_finite()) {
            Some(scale) => {
                Err(Fault::usage(doing(), format!("the scale {scale}")).expected("finite numbers"))
            }
            None => Ok(args.scale.clone()),
        }
    };
    let features = |edits: Vec<FeatureEdit>| {
        let detector = opened()?;
        let (sae, features) = detector.features(args)?;
        Ok(Kind::Features(sae, detector.site(), features, edits))
    };
    match args.intervention {
        InterventionArg::Patch => Ok(Kind::Patch),
        InterventionArg::Zero => Ok(Kind::Zero),
        InterventionArg::Mean => Ok(Kind::Mean(controlled()?, Over::Position)),
        InterventionArg::MeanTokens => Ok(Kind::Mean(controlled()?, Over::Tokens)),
        InterventionArg::Resample => Ok(Kind::Resample(controlled()?)),
        InterventionArg::Directional => Ok(Kind::Directional(opened()?.direction(args)?, control)),
        InterventionArg::Add => Ok(Kind::Add(opened()?.direction(args)?, scales()?)),
        InterventionArg::FeatureAblate => features(vec![FeatureEdit::Ablate]),
        InterventionArg::FeatureSet => {
            features(scales()?.into_iter().map(FeatureEdit::Set).collect())
        }
        InterventionArg::FeatureScale => {
            features(scales()?.into_iter().map(FeatureEdit::Scale).collect())
        }
    }
}

fn metric<'a>(args: &PatchArgs, detector: Option<&'a Opened>) -> Result<Metric<'a>> {
    match args.metric {
        MetricArg::LogitDifference => Ok(Metric::LogitDifference),
        MetricArg::LogProbability => Ok(Metric::LogProbability),
        MetricArg::Kl => Ok(Metric::Divergence),
        MetricArg::Rank => Ok(Metric::Rank),
        MetricArg::Detector => match detector {
            Some(detector) => detector.metric(args),
            None => Err(Fault::usage("reading a detector's score", "no detector")
                .expected("a probe or an SAE")
                .hint("--metric-detector DIR names its folder")),
        },
    }
}
