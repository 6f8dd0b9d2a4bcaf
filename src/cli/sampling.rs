//! How tokens are drawn, as the command line says it.

use clap::Args;

use crate::fault::Result;
use crate::run::Sampling;

/// How tokens are drawn.
#[derive(Debug, Args)]
pub struct SamplingArgs {
    /// Draw tokens at this temperature; 0 takes the likeliest (default: 1 with --top-k or --top-p, else 0).
    #[arg(
        long,
        value_name = "T",
        allow_negative_numbers = true,
        help_heading = "Sampling"
    )]
    pub temperature: Option<f32>,
    /// Draw from the likeliest tokens that have this probability together.
    #[arg(long, value_name = "P", help_heading = "Sampling")]
    pub top_p: Option<f32>,
    /// Draw from so many of the likeliest tokens.
    #[arg(long, value_name = "K", help_heading = "Sampling")]
    pub top_k: Option<usize>,
    /// Seeds the draws of each prompt.
    #[arg(long, value_name = "N", default_value_t = 0, help_heading = "Sampling")]
    pub seed: u64,
}

impl SamplingArgs {
    /// The sampling, if tokens are drawn at all: a temperature of 0 is none.
    ///
    /// # Errors
    /// Usage: a value that means nothing.
    pub fn chosen(&self) -> Result<Option<Sampling>> {
        let narrowed = self.top_k.is_some() || self.top_p.is_some();
        let temperature = self.temperature.unwrap_or(if narrowed { 1.0 } else { 0.0 });
        if temperature == 0.0 {
            return Ok(None);
        }
        let sampling = Sampling {
            temperature,
            top_k: self.top_k,
            top_p: self.top_p,
            seed: self.seed,
        };
        sampling.check()?;
        Ok(Some(sampling))
    }
}
