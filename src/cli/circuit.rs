//! `candor circuit`

use std::path::PathBuf;

use clap::Args;

use super::args::{Cli, MOST, up_to};
use super::{name_of, obtain, prompts, terminal};
use crate::causal::circuit::{Ablation, BlockPieces, Goal, enough};
use crate::fault::{Fault, Result};
use crate::files::{self, Staged};
use crate::lab::{
    CircuitFile, CircuitRequest, Side, Sides, circuit_page, find_circuit, read_pairs,
};
use crate::model::{Architecture, Model};
use crate::report::counted;
use crate::run::Blocks;

/// `candor circuit`
#[derive(Debug, Args)]
pub struct CircuitArgs {
    /// The exported model.
    pub model: PathBuf,
    /// Pairs of prompts as JSON lines with `clean` and `corrupt` (texts or token ids of equal length), and optionally
    /// `answer`, `foil`, `group`, `id`.
    #[arg(long, value_name = "FILE.jsonl")]
    pub pairs: PathBuf,
    /// First side of the logit difference, for pairs that do not say it: one token after the prompt.
    #[arg(long, value_name = "TEXT", conflicts_with = "answer_id")]
    pub answer: Option<String>,
    /// Second side of the logit difference, for pairs that do not say it.
    #[arg(long, value_name = "TEXT", conflicts_with = "foil_id")]
    pub foil: Option<String>,
    /// First side of the logit difference, as a token id.
    #[arg(long, value_name = "N")]
    pub answer_id: Option<i64>,
    /// Second side of the logit difference, as a token id.
    #[arg(long, value_name = "N")]
    pub foil_id: Option<i64>,
    /// Its tokenizer.json (default: beside the model).
    #[arg(long, value_name = "FILE")]
    pub tokenizer: Option<PathBuf>,
    /// What an edge that is taken out carries instead: `zero`, `mean` (over the prompts of that length) or `corrupt` (what it
    /// carries on the pair's corrupt prompt).
    #[arg(long, value_name = "KIND", default_value = "corrupt")]
    pub ablation: String,
    /// Keep an edge if taking it out changes the metric by at least this share of the whole effect.
    #[arg(
        long,
        value_name = "T",
        default_value_t = 0.02,
        conflicts_with = "faithfulness",
        allow_negative_numbers = true
    )]
    pub threshold: f64,
    /// Instead of a threshold: the largest one whose circuit keeps this share of the effect.
    #[arg(long, value_name = "F", allow_negative_numbers = true)]
    pub faithfulness: Option<f64>,
    /// Random circuits of the same size to compare with.
    #[arg(long, value_name = "N", default_value = "39", value_parser = up_to(MOST))]
    pub random: usize,
    /// Bootstrap samples of the pairs on which the search is repeated.
    #[arg(long, value_name = "N", default_value = "20", value_parser = up_to(MOST))]
    pub samples: usize,
    /// Seeds every random choice.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Folder for circuit.json and circuit.html.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

/// Resamples of each interval.
const RESAMPLES: usize = 1000;

pub fn run(args: &CircuitArgs, cli: &Cli) -> Result<()> {
    let ablation: Ablation = args.ablation.parse()?;
    let model = Model::open(&args.model)?;
    let arch = Architecture::find(&model)?;
    let sides = Sides {
        answer: side(args.answer.as_ref(), args.answer_id),
        foil: side(args.foil.as_ref(), args.foil_id),
        ..Sides::default()
    };
    let tokenizer = || prompts::tokenizer(args.tokenizer.as_deref(), &args.model, arch.vocab_size);
    let pairs = read_pairs(&args.pairs, &arch, &tokenizer, &sides)?;
    let request = CircuitRequest {
        ablation,
        goal: match args.faithfulness {
            Some(target) => Goal::Faithfulness(target),
            None => Goal::Threshold(args.threshold),
        },
        samples: args.samples,
        random: args.random,
        resamples: RESAMPLES,
        seed: args.seed,
    };
    request.goal.check()?;
    let groups: Vec<&str> = pairs.iter().map(|pair| pair.group.as_str()).collect();
    enough(&groups)?;
    files::prepare(&args.out)?;
    let runtime = obtain(&cli.runtime)?;
    let blocks = Blocks::open(&runtime, &model, &arch)?;
    let pieces = BlockPieces::new(&blocks)?;
    let bar = terminal::Bar::new(cli.quiet);
    let study = find_circuit(&pieces, &pairs, &request, &bar)?;
    drop(bar);
    let digests = model.digests()?;
    let sha256 = digests.first().map_or("", |file| file.sha256.as_str());
    let file = CircuitFile::of(&name_of(&args.model), sha256, &pairs, &request, &study);
    let json = serde_json::to_vec_pretty(&file)
        .map_err(|error| Fault::failed("writing the circuit", error.to_string()))?;
    let page = circuit_page(&file)?;
    let staged = [
        Staged::bytes(&args.out.join("circuit.json"), &json)?,
        Staged::bytes(&args.out.join("circuit.html"), page.as_bytes())?,
    ];
    staged.into_iter().try_for_each(Staged::put_in_place)?;
    terminal::say(&summary(&file));
    terminal::say(&format!("→ {}", args.out.join("circuit.html").display()));
    Ok(())
}

fn side(text: Option<&String>, id: Option<i64>) -> Option<Side> {
    id.map(Side::Id).or(text.cloned().map(Side::Text))
}

/// What was found, for people.
fn summary(file: &CircuitFile) -> String {
    let mut lines = vec![
        format!(
            "{} of {}, {} of {} ({} ablation, threshold {:.3e})",
            counted(file.size.nodes, "node", "nodes"),
            file.of.nodes,
            counted(file.size.edges, "edge", "edges"),
            file.of.edges,
            file.ablation,
            file.threshold
        ),
        format!("faithfulness   {}", file.faithfulness.shown()),
        format!("complement     {}", file.complement.shown()),
    ];
    if !file.random.faithfulness.is_empty() {
        lines.push(format!(
            "random         p = {:.3} ({} of that size)",
            file.random.p,
            counted(file.random.faithfulness.len(), "circuit", "circuits")
        ));
    }
    if let Some(mean) = file.stability.mean {
        lines.push(format!(
            "stability      Jaccard {mean:.3} ({} of {} bootstrap samples)",
            file.stability.jaccard.len(),
            file.stability.asked
        ));
    }
    lines.join("\n")
}
