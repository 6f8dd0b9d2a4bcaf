//! Mean ablation: means of activations over control prompts.

use ndarray::{Array1, Array2, ArrayView1, Axis};

use super::super::row::Runs;
use crate::fault::{Fault, Result};
use crate::model::SiteName;

/// Prompts whose activations are held at once.
const PROMPTS_AT_ONCE: usize = 32;

/// What a mean is taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// The same position of every control prompt that has it.
    Position,
    /// Every token of every control prompt.
    Tokens,
}

/// Means at several sites.
#[derive(Debug, Clone)]
pub struct Mean {
    over: Over,
    /// `[positions, width]`, or `[1, width]` over all tokens.
    means: Vec<(SiteName, Array2<f32>)>,
}

/// Sums at one site, and how many activations went into each row.
struct Sums {
    values: Vec<Array1<f64>>,
    counts: Vec<f64>,
}

impl Mean {
    /// Means of `sites` over control prompts.
    ///
    /// # Errors
    /// No control prompt, or a failed run.
    pub fn over(
        runs: &dyn Runs,
        control: &[Vec<i64>],
        sites: &[SiteName],
        over: Over,
    ) -> Result<Self> {
        if control.is_empty() {
            return Err(
                Fault::usage("taking the mean over control prompts", "no control prompt")
                    .expected("at least one")
                    .hint("--control names a file of them"),
            );
        }
        let mut sums: Vec<Sums> = sites.iter().map(|_| Sums::new()).collect();
        for some in control.chunks(PROMPTS_AT_ONCE) {
            let prompts: Vec<&[i64]> = some.iter().map(Vec::as_slice).collect();
            for of_prompt in runs.plain_activations(&prompts, sites)? {
                let of_site = sites.iter().zip(&of_prompt);
                for (sums, (&site, activations)) in sums.iter_mut().zip(of_site) {
                    for (position, x) in activations.outer_iter().enumerate() {
                        let row = match over {
                            Over::Position => position,
                            Over::Tokens => 0,
                        };
                        sums.add(row, x).ok_or_else(|| uneven(site))?;
                    }
                }
            }
        }
        let means = sites.iter().zip(sums);
        Ok(Self {
            over,
            means: means.map(|(&site, sums)| (site, sums.mean())).collect(),
        })
    }

    /// The mean at a place.
    ///
    /// # Errors
    /// No control prompt has that position, or the site was not read.
    pub fn at(&self, site: SiteName, position: usize) -> Result<ArrayView1<'_, f32>> {
        let doing = || format!("taking the mean of `{site}` over control prompts");
        let (_, means) = self
            .means
            .iter()
            .find(|(other, _)| *other == site)
            .ok_or_else(|| Fault::failed(doing(), "a site that was not read"))?;
        let row = match self.over {
            Over::Position => position,
            Over::Tokens => 0,
        };
        means.axis_iter(Axis(0)).nth(row).ok_or_else(|| {
            Fault::usage(
                doing(),
                format!("no control prompt with a position {position}"),
            )
            .expected("control prompts that are as long as the pair's")
            .hint("choose the intervention `mean-tokens`, which takes the mean over all tokens")
        })
    }
}

fn uneven(site: SiteName) -> Fault {
    Fault::usage(
        format!("taking the mean of `{site}` over control prompts"),
        "a site whose width is the prompt's length, and prompts of several lengths",
    )
    .expected("control prompts of one length, or another site")
}

impl Sums {
    fn new() -> Self {
        Self {
            values: Vec::new(),
            counts: Vec::new(),
        }
    }

    /// `None` if earlier activations had another width.
    fn add(&mut self, row: usize, x: ArrayView1<f32>) -> Option<()> {
        while self.values.len() <= row {
            self.values.push(Array1::zeros(x.len()));
            self.counts.push(0.0);
        }
        let (sum, count) = (self.values.get_mut(row)?, self.counts.get_mut(row)?);
        if sum.len() != x.len() {
            return None;
        }
        *sum += &x.mapv(f64::from);
        *count += 1.0;
        Some(())
    }

    fn mean(&self) -> Array2<f32> {
        let width = self.values.first().map_or(0, Array1::len);
        let mut means = Array2::zeros((self.values.len(), width));
        let sums = self.values.iter().zip(&self.counts);
        for (mut mean, (sum, count)) in means.rows_mut().into_iter().zip(sums) {
            #[allow(clippy::cast_possible_truncation, reason = "activations are float32")]
            mean.assign(&sum.mapv(|sum| (sum / count) as f32));
        }
        means
    }
}
