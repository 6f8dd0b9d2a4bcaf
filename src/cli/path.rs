//! `candor path`

use std::path::PathBuf;

use clap::Args;

use super::args::Cli;
use super::{obtain, prompts, terminal};
use crate::causal::Through;
use crate::causal::circuit::{BlockPieces, Node, Receiver};
use crate::fault::{Fault, Result};
use crate::files;
use crate::lab::{PathFile, PathRequest, Sides, patch_paths, read_pairs};
use crate::model::{Architecture, Model};
use crate::report::counted;
use crate::run::Blocks;

/// `candor path`
#[derive(Debug, Args)]
pub struct PathArgs {
    /// The exported model.
    pub model: PathBuf,
    /// Pairs of prompts as JSON lines with `clean`, `corrupt`, `answer` and `foil`, and optionally `group` and `id`.
    #[arg(long, value_name = "FILE.jsonl")]
    pub pairs: PathBuf,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// Who tells: heads (`L3.H5`), MLPs (`L3.mlp`) or `input` (default: every node that writes before the receivers read).
    #[arg(long, value_name = "NODE", num_args = 1..)]
    pub from: Vec<String>,
    /// Who is told: the queries, keys or values of heads (`L5.H2.q`; `L5.H0+1.k` where heads share them), the input of MLPs (`L5.mlp`)
    /// or `logits`.
    #[arg(long, value_name = "RECEIVER", num_args = 1.., default_values = ["logits"])]
    pub to: Vec<String>,
    /// Keep MLPs between them at what they write on the clean prompt, so that the direct way alone is open; otherwise they are computed
    /// again, as Wang et al. (arXiv 2211.00593) do.
    #[arg(long)]
    pub direct: bool,
    /// Seeds the intervals.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Where the JSON is written.
    #[arg(long, value_name = "FILE.json")]
    pub out: PathBuf,
}

const RESAMPLES: usize = 1000;
/// Senders that are listed in the terminal.
const SHOWN: usize = 12;

pub fn run(args: &PathArgs, cli: &Cli) -> Result<()> {
    files::writable(&args.out)?;
    let request = PathRequest {
        senders: args
            .from
            .iter()
            .map(|name| name.parse())
            .collect::<Result<Vec<Node>>>()?,
        receivers: args
            .to
            .iter()
            .map(|name| name.parse())
            .collect::<Result<Vec<Receiver>>>()?,
        through: if args.direct {
            Through::Nothing
        } else {
            Through::Mlps
        },
        resamples: RESAMPLES,
        seed: args.seed,
    };
    let model = Model::open(&args.model)?;
    let arch = Architecture::find(&model)?;
    let tokenizer = || prompts::tokenizer(args.tokenizer.as_deref(), &args.model, arch.vocab_size);
    let pairs = read_pairs(&args.pairs, &arch, &tokenizer, &Sides::default())?;
    let runtime = obtain(&cli.runtime)?;
    let blocks = Blocks::open(&runtime, &model, &arch)?;
    let pieces = BlockPieces::new(&blocks)?;
    let bar = terminal::Bar::new(cli.quiet);
    let file = patch_paths(&pieces, &pairs, &request, &bar)?;
    drop(bar);
    let json = serde_json::to_vec_pretty(&file)
        .map_err(|error| Fault::failed("writing the paths", error.to_string()))?;
    files::write_whole(&args.out, &json)?;
    if !cli.quiet {
        terminal::say(&table(&file));
    }
    terminal::say(&format!(
        "{} to {} on {} of {} → {}",
        counted(file.senders.len(), "path", "paths"),
        file.receivers.join(", "),
        file.pairs.len(),
        counted(pairs.len(), "pair", "pairs"),
        args.out.display()
    ));
    Ok(())
}

/// The senders that tell most.
fn table(file: &PathFile) -> String {
    let mut lines = vec![format!("{:<10}{:>8}  95 % interval", "sender", "share")];
    let shown = file.senders.iter().take(SHOWN).map(|told| {
        format!(
            "{:<10}{:>8.3}  {:.3} to {:.3}",
            told.sender, told.share, told.low, told.high
        )
    });
    lines.extend(shown);
    if file.senders.len() > SHOWN {
        lines.push(format!(
            "and {} more, which tell less",
            file.senders.len() - SHOWN
        ));
    }
    lines.join("\n")
}
