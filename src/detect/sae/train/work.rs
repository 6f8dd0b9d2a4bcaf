//! One batch's arithmetic: activations, errors, and the gradient of the loss.
//!
//! Only the product with the encoder is dense; it goes through the tuned kernel of `matrixmultiply` (see
//! `benchmarks/sae/README.md` for the comparison). Everything behind it runs over the few active features. Rows are cut into pieces
//! of a fixed size and features are summed over their rows in order, so that the number of threads changes no bit.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::dead::Dead;
use super::entries::{ByFeature, Entries};
use super::parameters::{Parameters, add_scaled};
use super::reconstruct::{Batch, level_of};
use super::rule::Rule;
use super::settings::Settings;
use crate::fault::{Fault, Result};

/// Rows of a piece.
const ROWS: usize = 128;

/// What a batch cost.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Cost {
    /// `‖x − x̂‖²` of the whole dictionary, the mean over rows.
    pub error: f64,
    /// All that is minimised: the errors of all nested dictionaries, the sparsity penalty and the loss of dead features.
    pub loss: f64,
    /// Mean active features of a row.
    pub l0: f64,
}

/// Room for a batch, kept from step to step.
#[derive(Debug, Default)]
pub(super) struct Work {
    pieces: Vec<Piece>,
    /// `x − b_dec`, `[rows, d_in]`.
    centred: Vec<f32>,
    /// For each row and nested dictionary the slope of the loss by what features from there on reconstruct, `[rows, levels, d_in]`.
    pull: Vec<f32>,
    /// The same for what dead features reconstruct, `[rows, d_in]`.
    aux_pull: Vec<f32>,
    by_feature: ByFeature,
    aux_by_feature: ByFeature,
}

/// Consecutive rows.
#[derive(Debug, Default)]
pub(super) struct Piece {
    pub entries: Entries,
    /// Of dead features.
    pub aux: Entries,
    pub cost: Cost,
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "numbers of rows and features are far below 2^23"
)]
impl Work {
    /// The loss of the rows `x` `[rows, d_in]` and its gradient, which is written over `gradient`.
    ///
    /// # Errors
    /// An activation or a loss that is not finite.
    pub fn differentiate(
        &mut self,
        x: ArrayView2<f32>,
        parameters: &Parameters,
        rule: &mut dyn Rule,
        settings: &Settings,
        at: &Moment<'_>,
        gradient: &mut Parameters,
    ) -> Result<Cost> {
        let (rows, d_in) = x.dim();
        let levels = settings.widths.len();
        self.pieces.resize_with(rows.div_ceil(ROWS), Piece::default);
        self.centred.resize(rows * d_in, 0.0);
        self.pull.resize(rows * levels * d_in, 0.0);

        for (row, centred) in x
            .rows()
            .into_iter()
            .zip(self.centred.chunks_exact_mut(d_in))
        {
            for ((centred, x), b_dec) in centred.iter_mut().zip(row).zip(&parameters.b_dec) {
                *centred = x - b_dec;
            }
        }
        self.find(parameters, rule, rows);

        let rule = &*rule;
        let share = 1.0 / rows as f32;
        let dead = Dead::gather(parameters, settings, at.dead);
        self.aux_pull
            .resize(if dead.is_some() { rows * d_in } else { 0 }, 0.0);
        let mut aux_pulls: Vec<&mut [f32]> = self.aux_pull.chunks_mut(ROWS * d_in).collect();
        aux_pulls.resize_with(self.pieces.len(), Default::default);
        self.pieces
            .par_iter_mut()
            .zip(self.centred.par_chunks(ROWS * d_in))
            .zip(self.pull.par_chunks_mut(ROWS * levels * d_in))
            .zip(aux_pulls)
            .for_each_init(
                Scratch::default,
                |scratch, (((piece, centred), pull), aux)| {
                    piece.cost = Cost::default();
                    let batch = Batch {
                        parameters,
                        rule,
                        settings,
                        share,
                        l0_coefficient: at.l0_coefficient,
                    };
                    batch.reconstruct(piece, centred, pull);
                    piece.aux.clear();
                    if let Some(dead) = &dead {
                        batch.revive(dead, piece, centred, (pull, aux), scratch);
                    }
                },
            );
        let mut cost = Cost::default();
        for piece in &self.pieces {
            cost.error += piece.cost.error / rows as f64;
            cost.loss += piece.cost.loss / rows as f64;
            cost.l0 += piece.cost.l0 / rows as f64;
        }
        if !cost.loss.is_finite() {
            return Err(
                Fault::failed("training an SAE", format!("a loss of {}", cost.loss))
                    .expected("a finite loss")
                    .hint("lower --lr, or look for activations that are not finite"),
            );
        }
        self.accumulate(parameters, settings, dead.is_some(), gradient);
        Ok(cost)
    }

    /// How many rows of the last batch each feature was active on.
    pub fn firings(&self, d_sae: usize) -> Vec<u32> {
        let mut firings = vec![0; d_sae];
        for entry in self.pieces.iter().flat_map(|piece| &piece.entries.all) {
            firings[entry.feature as usize] += u32::from(entry.act > 0.0);
        }
        firings
    }

    /// The entries of every row.
    fn find(&mut self, parameters: &Parameters, rule: &mut dyn Rule, rows: usize) {
        let d_in = parameters.d_in;
        loop {
            let asked = &*rule;
            self.pieces
                .par_iter_mut()
                .zip(self.centred.par_chunks(ROWS * d_in))
                .for_each_init(Scratch::default, |scratch, (piece, centred)| {
                    let entries = &mut piece.entries;
                    entries.clear();
                    let (w_enc, b_enc) = (&parameters.w_enc, &parameters.b_enc);
                    for hidden in hidden(centred, d_in, w_enc, b_enc, &mut scratch.hidden) {
                        asked.look(hidden, parameters, entries, &mut scratch.few);
                        entries.end_row();
                    }
                });
            let mut entries: Vec<&mut Entries> = self
                .pieces
                .iter_mut()
                .map(|piece| &mut piece.entries)
                .collect();
            if rule.settle(&mut entries, rows) {
                return;
            }
        }
    }

    /// Sums the gradient, feature by feature.
    fn accumulate(
        &mut self,
        parameters: &Parameters,
        settings: &Settings,
        any_dead: bool,
        gradient: &mut Parameters,
    ) {
        let (d_in, d_sae, levels) = (parameters.d_in, parameters.d_sae(), settings.widths.len());
        let entries: Vec<&Entries> = self.pieces.iter().map(|piece| &piece.entries).collect();
        self.by_feature.fill(d_sae, ROWS, &entries);
        let aux: Vec<&Entries> = self.pieces.iter().map(|piece| &piece.aux).collect();
        self.aux_by_feature
            .fill(d_sae, ROWS, if any_dead { &aux } else { &[] });
        let (centred, pull, aux_pull) = (&self.centred, &self.pull, &self.aux_pull);
        let (by_feature, aux_by_feature) = (&self.by_feature, &self.aux_by_feature);
        gradient
            .w_enc
            .par_chunks_exact_mut(d_in)
            .zip(gradient.w_dec.par_chunks_exact_mut(d_in))
            .zip(&mut gradient.b_enc)
            .zip(&mut gradient.threshold)
            .enumerate()
            .for_each(|(feature, (((w_enc, w_dec), b_enc), threshold))| {
                w_enc.fill(0.0);
                w_dec.fill(0.0);
                (*b_enc, *threshold) = (0.0, 0.0);
                let level = level_of(&settings.widths, feature);
                let main = (by_feature.of(feature), pull.as_slice(), levels, level);
                let revived = (aux_by_feature.of(feature), aux_pull.as_slice(), 1, 0);
                for (items, pull, levels, level) in [main, revived] {
                    for item in items {
                        let row = item.row as usize;
                        let from = (row * levels + level) * d_in;
                        add_scaled(w_dec, item.act, &pull[from..from + d_in]);
                        if item.slope.hidden != 0.0 {
                            let x = &centred[row * d_in..(row + 1) * d_in];
                            add_scaled(w_enc, item.slope.hidden, x);
                        }
                        *b_enc += item.slope.hidden;
                        *threshold += item.slope.threshold;
                    }
                }
            });
        // What all dictionaries reconstruct holds b_dec, and what is encoded lacks it.
        gradient.b_dec.fill(0.0);
        for pull in self.pull.chunks_exact(levels * d_in) {
            add_scaled(&mut gradient.b_dec, 1.0, &pull[..d_in]);
        }
        for (slope, w_enc) in gradient
            .b_enc
            .iter()
            .zip(parameters.w_enc.chunks_exact(d_in))
        {
            add_scaled(&mut gradient.b_dec, -slope, w_enc);
        }
    }
}

/// What a step knows besides the settings.
pub(super) struct Moment<'a> {
    /// Factor of the sparsity penalty.
    pub l0_coefficient: f32,
    /// Which features are dead, `[d_sae]`.
    pub dead: &'a [bool],
}

/// Room of one thread.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    pub hidden: Vec<f32>,
    pub few: Vec<f32>,
}

/// Rows of `centred · w_encᵀ + b_enc`.
pub(super) fn hidden<'s>(
    centred: &[f32],
    d_in: usize,
    w_enc: &[f32],
    b_enc: &[f32],
    scratch: &'s mut Vec<f32>,
) -> std::slice::ChunksExact<'s, f32> {
    let (rows, width) = (centred.len() / d_in, b_enc.len());
    scratch.clear();
    for _ in 0..rows {
        scratch.extend_from_slice(b_enc);
    }
    let shapes = (
        ArrayView2::from_shape((rows, d_in), centred),
        ArrayView2::from_shape((width, d_in), w_enc),
        ArrayViewMut2::from_shape((rows, width), scratch.as_mut_slice()),
    );
    // The lengths are those of the shapes by construction.
    if let (Ok(x), Ok(w_enc), Ok(mut to)) = shapes {
        general_mat_mul(1.0, &x, &w_enc.t(), 1.0, &mut to);
    }
    scratch.chunks_exact(width)
}
