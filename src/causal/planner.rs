//! Whole passes of one graph, or block by block: decided from sizes before anything is loaded.

use std::fmt;

use super::blockwise::Blockwise;
use super::engine::Engine;
use super::row::Runs;
use crate::fault::Result;
use crate::model::{Architecture, Model, SiteName};
use crate::run::Runtime;

/// What is going to be run, as far as its cost hangs on it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Load {
    rows: usize,
    prompts: usize,
    /// Tokens × blocks that whole passes compute.
    whole: usize,
    /// Those that a change reaches, and those of the prompts' own runs.
    reached: usize,
    /// Logits that are read beside those of one token of each row.
    read: usize,
}

/// How rows are run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Each row as a whole pass of the whole graph.
    Whole,
    /// Block by block, from each row's first change on.
    Blocks,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole => "whole passes",
            Self::Blocks => "block by block",
        })
    }
}

/// A way with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// How rows are run.
    pub way: Way,
    /// Why, in words and numbers.
    pub why: String,
}

/// Calls of the runtime cost about as much as this many multiplications, and a piece has to be loaded.
const CALL: f64 = 5e6;
/// Blocks have to be cheaper by this factor: they take some memory and time beside the arithmetic.
const WORTH: f64 = 1.2;

impl Load {
    /// Adds `rows` passes of `seq` tokens, first changed in block `layer` at `position`.
    pub fn add(
        &mut self,
        arch: &Architecture,
        rows: usize,
        seq: usize,
        layer: usize,
        position: usize,
    ) {
        let layers = arch.n_layers;
        let behind = layers
            .saturating_sub(layer)
            .saturating_mul(seq.saturating_sub(position));
        self.rows = self.rows.saturating_add(rows);
        self.whole = self
            .whole
            .saturating_add(rows.saturating_mul(layers).saturating_mul(seq));
        self.reached = self.reached.saturating_add(rows.saturating_mul(behind));
    }

    /// Adds a prompt of which the rows are passes.
    pub fn prompt(&mut self, arch: &Architecture, seq: usize) {
        self.prompts += 1;
        self.reached = self
            .reached
            .saturating_add(arch.n_layers.saturating_mul(seq));
    }

    /// Adds logits that are read, of so many tokens: without it those of one token of each row are.
    pub fn reads(&mut self, tokens: usize) {
        self.read = self.read.saturating_add(tokens);
    }

    /// The cheaper way.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "an estimate")]
    pub fn choose(&self, arch: &Architecture) -> Choice {
        let width = arch.d_model as f64;
        // Four matrices of an attention and eight times its square in an MLP.
        let block = 12.0 * width * width;
        let head = width * arch.vocab_size as f64;
        let seq = self.whole as f64 / (self.rows * arch.n_layers).max(1) as f64;
        let whole = self.whole as f64 * block + self.rows as f64 * seq * head + CALL;
        let calls = 3.0 * arch.n_layers as f64 + 2.0;
        let blocks = self.reached as f64 * block
            + (self.rows + self.prompts + self.read) as f64 * head
            + calls * CALL;
        let way = if blocks * WORTH < whole {
            Way::Blocks
        } else {
            Way::Whole
        };
        let giga = 1e9;
        Choice {
            way,
            why: format!(
                "{} rows of {seq:.0} tokens: {:.2} billion multiplications as whole passes, {:.2} block by block",
                self.rows,
                whole / giga,
                blocks / giga
            ),
        }
    }
}

/// Opens a model for rows that change and read `sites`: the cheaper way for that load, whole passes where the graph cannot be cut.
/// `budget` is what activations may take, in bytes.
///
/// # Errors
/// A site is missing or cannot be written, or the runtime refuses the graph.
pub fn open(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    sites: &[SiteName],
    load: &Load,
    budget: usize,
) -> Result<(Box<dyn Runs>, Choice)> {
    let mut choice = load.choose(arch);
    if choice.way == Way::Blocks {
        match Blockwise::open(runtime, model, arch, budget)
            .and_then(|blocks| blocks.reaches(sites).map(|()| blocks))
        {
            Ok(blocks) => {
                tracing::info!("{}: {}", choice.way, choice.why);
                return Ok((Box::new(blocks), choice));
            }
            Err(fault) => {
                choice = Choice {
                    way: Way::Whole,
                    why: format!("the graph is not cut: {}: {}", fault.doing, fault.found),
                };
            }
        }
    }
    tracing::info!("{}: {}", choice.way, choice.why);
    let engine = Engine::open(runtime, model, arch, sites, sites, Vec::new())?;
    Ok((Box::new(engine.within(budget)), choice))
}
