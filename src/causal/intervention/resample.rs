//! Resample ablation (causal scrubbing's, Chan et al. 2022): the activation that another prompt has at the same position.

use rand::SeedableRng as _;
use rand::seq::IndexedRandom as _;
use rand_chacha::ChaCha8Rng;

use crate::fault::{Fault, Result};

/// Prompts that lend their activations, and how one of them is drawn.
#[derive(Debug, Clone, Copy)]
pub struct Resample<'a> {
    /// Token ids of the prompts.
    pub control: &'a [Vec<i64>],
    /// Decides which prompt lends to which pair.
    pub seed: u64,
}

impl<'a> Resample<'a> {
    /// The prompt that lends to the `index`-th pair: one that is at least as long as `receiving` and is another.
    ///
    /// # Errors
    /// There is none.
    pub fn source(&self, index: usize, receiving: &[i64]) -> Result<&'a [i64]> {
        let fits = |ids: &&Vec<i64>| ids.len() >= receiving.len() && ids.as_slice() != receiving;
        let fitting: Vec<&Vec<i64>> = self.control.iter().filter(fits).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(index as u64);
        fitting
            .choose(&mut rng)
            .map(|ids| ids.as_slice())
            .ok_or_else(|| {
                Fault::usage(
                "resampling activations from control prompts",
                format!(
                    "none of {} control prompts has {} tokens or more and differs from the prompt",
                    self.control.len(),
                    receiving.len()
                ),
            )
            .expected("another prompt that is as long")
            .hint("--control names a file of prompts")
            })
    }
}
