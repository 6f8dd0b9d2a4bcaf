//! How much of a text fits into one run.

use super::session::Size;
use crate::fault::{Fault, Result};
use crate::model::Architecture;

/// Memory for what a run computes: logits, outputs that are read, and attention scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Bytes that a run of several texts may take.
    pub batch: usize,
    /// Bytes that a run of a single text may take; a longer one is read in chunks or refused.
    pub run: usize,
}

/// Cells that a batch may have where the logits are small.
const CELLS: usize = 4096;

impl Default for Budget {
    /// 64 MiB for a batch, 2 GiB for a single text.
    fn default() -> Self {
        Self {
            batch: 64 << 20,
            run: 2 << 30,
        }
    }
}

/// How many cells (`batch × seq`) of this model run well at once.
#[must_use]
pub fn token_budget(arch: &Architecture) -> usize {
    Budget::default().cells(arch.vocab_size)
}

impl Budget {
    /// Cells of a batch whose outputs hold `width` floats for each token.
    pub(super) fn cells(&self, width: usize) -> usize {
        (self.batch / size_of::<f32>() / width.max(1)).clamp(1, CELLS)
    }

    /// Tokens of a text of `total` tokens that one run may read.
    ///
    /// # Errors
    /// Not even one does.
    pub(super) fn chunk(&self, size: Size, width: usize, total: usize) -> Result<usize> {
        let each = bytes_per_token(size, width, total);
        match self.run / each {
            0 => Err(too_long(total, each, self.run).hint("allow a run more memory")),
            tokens => Ok(tokens),
        }
    }

    /// Refuses a text that does not fit into one run.
    ///
    /// # Errors
    /// Usage: the text is too long.
    pub(super) fn whole(&self, size: Size, width: usize, total: usize, why: &str) -> Result<()> {
        let needed = bytes_per_token(size, width, total).saturating_mul(total);
        if needed <= self.run {
            return Ok(());
        }
        Err(too_long(total, needed, self.run).hint(format!(
            "a model that takes and returns its key/value cache is read in chunks; here {why}"
        )))
    }

    /// Whether a text is read in one run.
    pub(super) fn fits(&self, size: Size, width: usize, total: usize) -> bool {
        bytes_per_token(size, width, total).saturating_mul(total) <= self.run
    }
}

/// Outputs of one token, and its attention scores before and after the softmax.
fn bytes_per_token(size: Size, width: usize, total: usize) -> usize {
    let scores = size.heads.saturating_mul(total).saturating_mul(2);
    width
        .saturating_add(scores)
        .saturating_mul(size_of::<f32>())
        .max(1)
}

fn too_long(total: usize, needed: usize, allowed: usize) -> Fault {
    Fault::usage(
        "running the model on a long text",
        format!("{total} tokens, which take {} in one run", amount(needed)),
    )
    .expected(format!("at most {}", amount(allowed)))
}

fn amount(bytes: usize) -> String {
    match bytes >> 20 {
        0 => format!("{} KiB", bytes.div_ceil(1 << 10)),
        mebibytes => format!("{mebibytes} MiB"),
    }
}
