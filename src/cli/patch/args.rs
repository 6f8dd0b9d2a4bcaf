//! Arguments of `candor patch`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, ValueEnum};

use crate::causal::By;
use crate::cli::args::{MOST, up_to};

/// What the command is for.
pub const LONG: &str = "Patch, ablate or steer pairs of prompts at every layer and position, head or window of layers, and read what \
that does to a metric.

By default the activations of the clean run are put into the corrupt run (denoising), one cell at a time, and the logit difference of \
answer and foil is read at the last position. `recovery` is (metric − corrupt)/(clean − corrupt), not clipped: 0 is the corrupt run, 1 the \
clean one.";

const AFTER: &str = r"The file (JSON):
  sites × positions     rows and columns; `heads` instead of positions with --by head; `windows` lists the sites of each row
  clean, corrupt        the metric of the two untouched runs (of several pairs: means)
  metric, recovery      one row for each site; recovery is null for the rank, which has none, and for an
                        ablation of a pair whose two runs hardly differ
  self_patch            largest change when a run's own activations are written back: about 0
  whole                 recovery when a whole site of the stream is patched: 1 (denoising) or 0 (noising)
  intervals             95 % over pairs, bootstrapped over groups (with --pairs)
  random                p: how often a random edit as long as the real one does as much (with --controls);
                        p_of_map: the same for a cell that was picked out of the map
  doses                 one map for each of several scales
  pairs, refused        each pair, and those whose two runs hardly differ (with --pairs)

Examples:
  candor patch m.onnx --clean 'The cat sat' --corrupt 'The dog sat' --answer ' down' --foil ' up' --out map.json
  candor patch m.onnx --pairs pairs.jsonl --by head --intervention mean --control text.txt --mode noising --controls 20 --out heads.json
  candor patch m.onnx --pairs pairs.jsonl --intervention add --detector probe --scale -4,-2,2,4 --metric kl --out dose.json";

/// `candor patch`
#[derive(Debug, Args)]
#[command(after_long_help = AFTER)]
#[command(group(ArgGroup::new("prompts").required(true).args(["clean_ids", "clean", "pairs"])))]
pub struct PatchArgs {
    /// The exported model.
    pub model: PathBuf,
    /// The JSON file to write.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Memory for the activations of one run: more rows than fit are run in several batches. What waits for a run takes a quarter
    /// of it again.
    #[arg(long, value_name = "MIB", default_value_t = 512)]
    pub run_memory: usize,

    /// Token ids of the clean prompt as JSON: `[1,2,3]`.
    #[arg(
        long,
        value_name = "JSON",
        requires = "corrupt_ids",
        help_heading = "Prompts"
    )]
    pub clean_ids: Option<String>,
    /// Token ids of the corrupt prompt.
    #[arg(
        long,
        value_name = "JSON",
        requires = "clean_ids",
        help_heading = "Prompts"
    )]
    pub corrupt_ids: Option<String>,
    /// The clean prompt.
    #[arg(
        long,
        value_name = "TEXT",
        requires = "corrupt",
        help_heading = "Prompts"
    )]
    pub clean: Option<String>,
    /// The corrupt prompt, of equal length in tokens.
    #[arg(
        long,
        value_name = "TEXT",
        requires = "clean",
        help_heading = "Prompts"
    )]
    pub corrupt: Option<String>,
    /// Many pairs: JSON lines with `clean`, `corrupt` (texts, or lists of token ids), `answer`, `foil` (texts of one token, or
    /// ids) and, if wanted, `group` (the cluster of the intervals) and `id`.
    #[arg(long, value_name = "FILE.jsonl", help_heading = "Prompts")]
    pub pairs: Option<PathBuf>,
    /// What the clean prompt favours, as the one token that follows it.
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "pairs",
        help_heading = "Prompts"
    )]
    pub answer: Option<String>,
    /// What the corrupt prompt favours.
    #[arg(
        long,
        value_name = "TEXT",
        conflicts_with = "pairs",
        help_heading = "Prompts"
    )]
    pub foil: Option<String>,
    /// The answer, as a token id.
    #[arg(long, value_name = "N", conflicts_with_all = ["answer", "pairs"], help_heading = "Prompts")]
    pub answer_id: Option<i64>,
    /// The foil, as a token id.
    #[arg(long, value_name = "N", conflicts_with_all = ["foil", "pairs"], help_heading = "Prompts")]
    pub foil_id: Option<i64>,

    /// Sites to patch, by name or glob (default: blocks.*.hook_resid_pre; with --by head blocks.*.attn.hook_z; the SAE's own
    /// site when its features are edited).
    #[arg(long, value_name = "GLOB", num_args = 1.., help_heading = "Map")]
    pub sites: Vec<String>,
    /// What the columns are: `position`, `head`, `window:K` (K layers at once, by positions) or `layers` (all at once).
    #[arg(long, value_name = "COLUMNS", default_value = "position", value_parser = by, help_heading = "Map")]
    pub by: By,
    /// Change these positions only (default: all).
    #[arg(long, value_name = "P,…", value_delimiter = ',', help_heading = "Map")]
    pub positions: Vec<usize>,

    /// What is done at each cell.
    #[arg(long, value_enum, default_value_t = InterventionArg::Patch, help_heading = "Intervention")]
    pub intervention: InterventionArg,
    /// Which run receives it (default: denoising for `patch`, noising for everything else).
    #[arg(long, value_enum, help_heading = "Intervention")]
    pub mode: Option<ModeArg>,
    /// Prompts that means and resampled activations are taken from: one a line, as a text or as a JSON list of token ids, or
    /// JSONL with `prompt`.
    #[arg(long, value_name = "FILE", help_heading = "Intervention")]
    pub control: Option<PathBuf>,
    /// A probe or an SAE: its direction or features are changed, or its score read.
    #[arg(long, value_name = "DIR", help_heading = "Intervention")]
    pub detector: Option<PathBuf>,
    /// Features of the SAE (default: those of its card).
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        help_heading = "Intervention"
    )]
    pub feature: Vec<usize>,
    /// `add`: what the direction is multiplied by (a probe's has length 1, a feature's is its decoder row); `feature-set`: the
    /// activation; `feature-scale`: the factor. Several give a dose–response curve.
    #[arg(
        long,
        value_name = "S,…",
        value_delimiter = ',',
        allow_negative_numbers = true,
        help_heading = "Intervention"
    )]
    pub scale: Vec<f32>,

    /// What is read.
    #[arg(long, value_enum, default_value_t = MetricArg::LogitDifference, help_heading = "Metric")]
    pub metric: MetricArg,
    /// Positions that it is read at, as their mean (default: the last one).
    #[arg(
        long,
        value_name = "P,…",
        value_delimiter = ',',
        help_heading = "Metric"
    )]
    pub at: Vec<usize>,
    /// The detector whose score is read, if not --detector.
    #[arg(long, value_name = "DIR", help_heading = "Metric")]
    pub metric_detector: Option<PathBuf>,

    /// Random edits for each cell, as long as the real one and orthogonal to it (20 or more, to reach p < 0.05).
    #[arg(long, value_name = "N", default_value = "0", value_parser = up_to(MOST), help_heading = "Controls")]
    pub controls: usize,
    /// Seeds random edits, resampling and intervals.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Controls")]
    pub seed: u64,
}

/// Patching modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// The corrupt run receives: is what is put there sufficient?
    Denoising,
    /// The clean run receives: is what was there necessary?
    Noising,
}

/// Interventions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum InterventionArg {
    /// The other run's activation.
    Patch,
    /// 0.
    Zero,
    /// The mean of --control at the same position.
    Mean,
    /// The mean of --control over all tokens.
    MeanTokens,
    /// The activation of one of --control at the same position.
    Resample,
    /// The component along --detector's direction, set to its mean over --control (to 0 without).
    Directional,
    /// --detector's direction times --scale, added.
    Add,
    /// --detector's SAE features set to 0, the error term kept.
    FeatureAblate,
    /// … set to --scale.
    FeatureSet,
    /// … multiplied by --scale.
    FeatureScale,
}

/// Metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MetricArg {
    /// Logit of the answer less that of the foil.
    LogitDifference,
    /// ln p(answer), in nats.
    LogProbability,
    /// KL(clean run ‖ this run) of the next token, in nats; recovery is the share of the corrupt run's that is gone.
    Kl,
    /// How many tokens are likelier than the answer; has no recovery.
    Rank,
    /// The score of --metric-detector or --detector in the edited run.
    Detector,
}

fn by(text: &str) -> Result<By, String> {
    match text.split_once(':') {
        None if text == "position" => Ok(By::Position),
        None if text == "head" => Ok(By::Head),
        None if text == "layers" => Ok(By::AllLayers),
        Some(("window", length)) => length
            .parse()
            .map(By::Window)
            .map_err(|_| format!("`{length}` is no number of layers")),
        _ => Err("one of position, head, window:K, layers".to_owned()),
    }
}
