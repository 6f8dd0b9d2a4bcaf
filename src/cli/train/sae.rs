//! `candor train sae`

use std::path::PathBuf;

use clap::{ArgGroup, Args};

use crate::cli::args::{Cli, MOST_FEATURES, up_to};
use crate::cli::terminal::Bar;
use crate::cli::{name_of, obtain, prompts, terminal};
use crate::detect::sae::train::{ARCHITECTURES, Architecture, Penalty, Settings};
use crate::fault::{Fault, Result};
use crate::lab::{
    Length, Own, SaeRequest, Source, Subject, Text, TrainedSae, encode_items, select_sites,
    train_sae,
};
use crate::model::SiteName;
use crate::report::counted;
use crate::tokens::{Suite, Tokenizer};

/// `candor train sae`
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("read").required(true).args(["prompts", "suite", "own"])))]
pub struct TrainSaeArgs {
    /// The exported model.
    #[arg(long, value_name = "ONNX")]
    pub model: PathBuf,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// The site whose activations are learnt, by name.
    #[arg(long, value_name = "NAME")]
    pub site: String,
    /// A file of texts: one a line, or JSONL with `prompt` or `messages` (and `response`).
    #[arg(long, value_name = "FILE", help_heading = "Texts")]
    pub prompts: Option<PathBuf>,
    /// A suite whose items are read, each with the response that it states; may be repeated.
    #[arg(long, value_name = "DIR", num_args = 1.., help_heading = "Texts")]
    pub suite: Vec<PathBuf>,
    /// Let the model write so many tokens itself, from the token that begins a text.
    #[arg(long, value_name = "TOKENS", help_heading = "Texts")]
    pub own: Option<usize>,
    /// Tokens of a text that the model writes.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 256,
        requires = "own",
        help_heading = "Texts"
    )]
    pub context: usize,
    /// Temperature at which it writes.
    #[arg(
        long,
        value_name = "T",
        default_value_t = 1.0,
        requires = "own",
        help_heading = "Texts"
    )]
    pub temperature: f32,
    /// Share of the texts that nothing is learnt from.
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t = 0.1,
        help_heading = "Texts"
    )]
    pub held_out: f64,

    /// `topk`, `batchtopk`, `jumprelu` or `matryoshka_batchtopk`.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "topk",
        help_heading = "Dictionary"
    )]
    pub architecture: String,
    /// Number of features.
    #[arg(long, value_name = "N", value_parser = up_to(MOST_FEATURES), help_heading = "Dictionary")]
    pub d_sae: usize,
    /// Active features for each token (for jumprelu the target of the quadratic penalty).
    #[arg(long, value_name = "K", help_heading = "Dictionary")]
    pub k: usize,
    /// Widths of the nested dictionaries of matryoshka_batchtopk (default: an eighth, a quarter, a half and all of d_sae).
    #[arg(long, value_name = "N", num_args = 1.., help_heading = "Dictionary")]
    pub widths: Vec<usize>,
    /// Factor of jumprelu's sparsity penalty.
    #[arg(
        long,
        value_name = "X",
        default_value_t = 0.05,
        help_heading = "Dictionary"
    )]
    pub l0_coefficient: f32,
    /// Steps over which that factor rises from 0 (default: a fifth of the training).
    #[arg(long, value_name = "STEPS", help_heading = "Dictionary")]
    pub l0_warm_up: Option<u64>,
    /// Jumprelu's penalty: `step` (L0), `tanh`, or `quadratic` around --k.
    #[arg(
        long,
        value_name = "NAME",
        default_value = "step",
        help_heading = "Dictionary"
    )]
    pub l0_penalty: String,
    /// Width of the kernel that jumprelu's thresholds get their gradient from.
    #[arg(
        long,
        value_name = "X",
        default_value_t = 0.05,
        help_heading = "Dictionary"
    )]
    pub bandwidth: f32,

    /// Adam's learning rate (default: 2e-4·√(16384 / d_sae), the scaling of Gao et al. 2024).
    #[arg(long, value_name = "RATE", help_heading = "Training")]
    pub lr: Option<f32>,
    /// Steps over which the learning rate rises from 0 (default: a twentieth of the training).
    #[arg(long, value_name = "STEPS", help_heading = "Training")]
    pub warm_up: Option<u64>,
    /// Last steps, over which it falls to 0 (default: a fifth of the training).
    #[arg(long, value_name = "STEPS", help_heading = "Training")]
    pub decay: Option<u64>,
    /// Tokens of a step.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1024,
        help_heading = "Training"
    )]
    pub batch: usize,
    /// Steps of the training (default: 20 passes over the tokens).
    #[arg(
        long,
        value_name = "N",
        conflicts_with = "samples",
        help_heading = "Training"
    )]
    pub steps: Option<u64>,
    /// Tokens to learn from, with repetition.
    #[arg(long, value_name = "N", help_heading = "Training")]
    pub samples: Option<u64>,
    /// Factor of the loss by which dead features are revived.
    #[arg(
        long,
        value_name = "X",
        default_value_t = 0.03125,
        help_heading = "Training"
    )]
    pub aux_coefficient: f32,
    /// Steps without an activation after which a feature is dead (default: a fiftieth of the training).
    #[arg(long, value_name = "STEPS", help_heading = "Training")]
    pub dead_after: Option<u64>,
    /// Seeds what the model writes, what is held out, the order of tokens and the weights.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Training")]
    pub seed: u64,

    /// Tokens of a shard of activations, which is held in memory (default: 128 MiB of them).
    #[arg(long, value_name = "N", help_heading = "Work")]
    pub shard_size: Option<usize>,
    /// The folder for activations and checkpoints, which stay (default: a temporary one beside --out).
    #[arg(long, value_name = "DIR", help_heading = "Work")]
    pub work: Option<PathBuf>,
    /// Go on from the checkpoint in the work folder.
    #[arg(long, requires = "work", help_heading = "Work")]
    pub resume: bool,
    /// Steps between two checkpoints (default: a tenth of the training).
    #[arg(long, value_name = "STEPS", help_heading = "Work")]
    pub checkpoint_every: Option<u64>,
    /// Steps between two lines of metrics (default: a twentieth of the training).
    #[arg(long, value_name = "STEPS", help_heading = "Work")]
    pub log_every: Option<u64>,
    /// The folder to write.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

pub fn run(args: &TrainSaeArgs, cli: &Cli) -> Result<()> {
    let architecture = architecture(&args.architecture)?;
    let penalty: Penalty = args.l0_penalty.parse()?;
    let settings = |steps| settings(args, architecture, penalty, steps);
    let subject = Subject::open(
        &name_of(&args.model),
        &args.model,
        args.tokenizer.as_deref(),
    )?;
    let site = site(args, &subject)?;
    let source = source(args, &subject.tokenizer)?;
    let runtime = obtain(&cli.runtime)?;
    if let Some(threads) = cli.runtime.threads {
        // It fails where the process has a pool already, which then is the one.
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
        let _ = pool.build_global();
    }
    let length = match (args.steps, args.samples) {
        (Some(steps), _) => Length::Steps(steps),
        (None, Some(samples)) => Length::Samples(samples),
        (None, None) => Length::Passes(20),
    };
    let request = SaeRequest {
        site,
        source,
        settings: &settings,
        length,
        batch: args.batch,
        held_out: args.held_out,
        shard_size: args.shard_size,
        every: (args.log_every, args.checkpoint_every),
        work: args.work.clone(),
        resume: args.resume,
        seed: args.seed,
        out: &args.out,
    };
    let bar = Bar::new(cli.quiet);
    let trained = train_sae(&runtime, &subject, &request, &bar)?;
    drop(bar);
    terminal::say(&shown(args, &trained));
    Ok(())
}

fn architecture(name: &str) -> Result<&'static Architecture> {
    Architecture::named(name).ok_or_else(|| {
        let names: Vec<String> = ARCHITECTURES
            .iter()
            .map(|architecture| format!("{} ({})", architecture.name, architecture.summary))
            .collect();
        Fault::usage("choosing an SAE architecture", format!("`{name}`"))
            .expected(format!("one of {}", names.join(", ")))
    })
}

fn site(args: &TrainSaeArgs, subject: &Subject) -> Result<SiteName> {
    let sites = select_sites(&subject.arch, std::slice::from_ref(&args.site))?;
    match sites.as_slice() {
        [site] => Ok(*site),
        _ => Err(Fault::usage(
            format!("choosing a site by `{}`", args.site),
            counted(sites.len(), "site", "sites"),
        )
        .expected("a single one")),
    }
}

fn source(args: &TrainSaeArgs, tokenizer: &Tokenizer) -> Result<Source> {
    if let Some(tokens) = args.own {
        return Ok(Source::Own(Own {
            tokens,
            context: args.context,
            temperature: args.temperature,
        }));
    }
    if let Some(file) = &args.prompts {
        let texts = prompts::read(file, tokenizer)?;
        let name = file.file_name().unwrap_or_default();
        return Ok(Source::Given(
            texts.iter().map(Text::of).collect(),
            name.to_string_lossy().into_owned(),
        ));
    }
    let (mut texts, mut names) = (Vec::new(), Vec::new());
    for folder in &args.suite {
        let suite = Suite::open(folder)?;
        let readings = encode_items(tokenizer, &suite)?;
        texts.extend(readings.iter().map(|reading| Text::of(&reading.encoded)));
        names.push(suite.id);
    }
    Ok(Source::Given(texts, names.join(", ")))
}

/// What depends on the number of steps does so here alone.
#[allow(
    clippy::cast_precision_loss,
    reason = "a rate needs no more than single precision"
)]
fn settings(
    args: &TrainSaeArgs,
    architecture: &'static Architecture,
    penalty: Penalty,
    steps: u64,
) -> Settings {
    let nested = architecture.name == "matryoshka_batchtopk";
    let widths = match (nested, args.widths.is_empty()) {
        (true, true) => {
            let mut widths: Vec<usize> = [8, 4, 2, 1].map(|part| args.d_sae / part).to_vec();
            widths.retain(|width| *width > 0 || args.d_sae == 0);
            widths.dedup();
            widths
        }
        (_, false) => args.widths.clone(),
        (false, true) => vec![args.d_sae],
    };
    Settings {
        architecture,
        d_sae: args.d_sae,
        k: args.k,
        widths,
        penalty,
        l0_coefficient: args.l0_coefficient,
        l0_warm_up: args.l0_warm_up.unwrap_or(steps / 5),
        bandwidth: args.bandwidth,
        lr: args
            .lr
            .unwrap_or_else(|| 2e-4 * (16384.0 / args.d_sae.max(1) as f32).sqrt()),
        warm_up: args.warm_up.unwrap_or(steps / 20),
        decay: args.decay.unwrap_or(steps / 5),
        steps,
        batch: args.batch,
        seed: args.seed,
        aux_coefficient: args.aux_coefficient,
        dead_after: args.dead_after.unwrap_or((steps / 50).max(1)),
    }
}

fn shown(args: &TrainSaeArgs, trained: &TrainedSae) -> String {
    let measured = &trained.measured;
    let steps = usize::try_from(trained.steps).unwrap_or(usize::MAX);
    let loss = trained.loss.map_or_else(
        || "not measured".to_owned(),
        |loss| {
            let recovered = loss.recovered().map_or_else(
                || "zeros cost nothing".to_owned(),
                |recovered| format!("{:.1} %", 100.0 * recovered),
            );
            format!(
                "{recovered} (clean {:.3}, reconstructed {:.3}, zeros {:.3} nats)",
                loss.clean, loss.spliced, loss.zero
            )
        },
    );
    let lines = [
        format!(
            "{} features at {}, learnt from {} in {}",
            args.d_sae,
            args.site,
            counted(trained.rows, "token", "tokens"),
            counted(steps, "step", "steps"),
        ),
        format!("  on {} held out", counted(measured.n, "token", "tokens")),
        format!("    explained variance  {:.4}", measured.explained_variance),
        format!("    L0                  {:.2}", measured.l0),
        format!("    loss recovered      {loss}"),
        format!(
            "    dead features       {} of {} ({} silent on these tokens)",
            trained.dead, args.d_sae, measured.silent_features
        ),
        format!(
            "  seconds: {:.1} for activations, {:.1} for training",
            trained.seconds.0, trained.seconds.1
        ),
        format!("→ {}", args.out.display()),
    ];
    lines.join("\n")
}
