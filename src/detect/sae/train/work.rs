//! One batch's arithmetic: activations, errors, and the gradient of the loss.
//!
//! Only the product with the encoder is dense; it goes through the tuned kernel of `matrixmultiply` (see
//! `benchmarks/sae/README.md` for the comparison). Everything behind it runs over the few active features. Rows are cut into pieces
//! of a fixed size and features are summed over their rows in order, so that the number of threads changes no bit.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};
use rayon::prelude::*;

use super::entries::{ByFeature, Entries, Entry, Slope};
use super::parameters::{Parameters, add_scaled, dot};
use super::rule::Rule;
use super::select::kth_largest;
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
struct Piece {
    entries: Entries,
    aux: Entries,
    cost: Cost,
}

/// The dead features of a step and what they cost.
struct Dead {
    features: Vec<u32>,
    /// Their encoder rows, `[dead, d_in]`.
    w_enc: Vec<f32>,
    b_enc: Vec<f32>,
    k: usize,
    coefficient: f32,
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
struct Scratch {
    hidden: Vec<f32>,
    few: Vec<f32>,
}

/// What all pieces of a batch share.
struct Batch<'a> {
    parameters: &'a Parameters,
    rule: &'a dyn Rule,
    settings: &'a Settings,
    /// Of one row in the batch.
    share: f32,
    l0_coefficient: f32,
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "numbers of rows and features are far below 2^23"
)]
impl Batch<'_> {
    /// Errors, and how the loss falls on every entry.
    fn reconstruct(&self, piece: &mut Piece, centred: &[f32], pull: &mut [f32]) {
        let d_in = self.parameters.d_in;
        let widths = &self.settings.widths;
        let wide = widths.len() * d_in;
        let rows = centred.chunks_exact(d_in).zip(pull.chunks_exact_mut(wide));
        let mut slopes = std::mem::take(&mut piece.entries.slopes);
        slopes.clear();
        for (row, (centred, pull)) in rows.enumerate() {
            let entries = piece.entries.row(row);
            self.errors(entries, centred, pull, &mut piece.cost);
            // Each dictionary's error falls on its features and on those of all smaller ones.
            for level in (1..widths.len()).rev() {
                let (smaller, larger) = pull.split_at_mut(level * d_in);
                let smaller = &mut smaller[(level - 1) * d_in..];
                add_scaled(smaller, 1.0, &larger[..d_in]);
            }
            pull.iter_mut().for_each(|value| *value *= 2.0 * self.share);
            let sparsity = self.rule.sparsity(entries);
            piece.cost.loss += f64::from(self.l0_coefficient) * sparsity.loss;
            let weight = self.l0_coefficient * self.share;
            for entry in entries {
                let feature = entry.feature as usize;
                let from = level_of(widths, feature) * d_in;
                let by_act = dot(&pull[from..from + d_in], self.parameters.direction(feature))
                    + weight * self.rule.cost(entry.act);
                let slope = self
                    .rule
                    .back(entry, self.parameters, by_act, weight * sparsity.by_l0);
                slopes.push(slope);
            }
        }
        piece.entries.slopes = slopes;
    }

    /// `x̂ − x` of each nested dictionary, in `[levels, d_in]`.
    fn errors(&self, entries: &[Entry], centred: &[f32], errors: &mut [f32], cost: &mut Cost) {
        let d_in = centred.len();
        let mut place = 0;
        let mut last = 0.0;
        for (level, width) in self.settings.widths.iter().enumerate() {
            let (before, from_here) = errors.split_at_mut(level * d_in);
            let error = &mut from_here[..d_in];
            if level == 0 {
                for (error, x) in error.iter_mut().zip(centred) {
                    *error = -x;
                }
            } else {
                error.copy_from_slice(&before[(level - 1) * d_in..]);
            }
            while let Some(entry) = entries.get(place)
                && (entry.feature as usize) < *width
            {
                if entry.act > 0.0 {
                    let direction = self.parameters.direction(entry.feature as usize);
                    add_scaled(error, entry.act, direction);
                    cost.l0 += 1.0;
                }
                place += 1;
            }
            last = f64::from(dot(error, error));
            cost.loss += last;
        }
        cost.error += last;
    }

    /// The loss by which dead features learn what the others leave: their `k` largest pre-activations on each row, whatever
    /// their sign, reconstruct the error, which itself is held fixed (Gao et al. 2024, appendix A.2).
    fn revive(
        &self,
        dead: &Dead,
        piece: &mut Piece,
        centred: &[f32],
        (pull, aux_pull): (&[f32], &mut [f32]),
        scratch: &mut Scratch,
    ) {
        let d_in = self.parameters.d_in;
        let levels = self.settings.widths.len();
        let hidden = hidden(centred, d_in, &dead.w_enc, &dead.b_enc, &mut scratch.hidden);
        let rows = pull
            .chunks_exact(levels * d_in)
            .zip(aux_pull.chunks_exact_mut(d_in));
        for (hidden, (pull, aux_pull)) in hidden.zip(rows) {
            // The whole dictionary's error has the last level to itself.
            let whole = &pull[(levels - 1) * d_in..];
            for (aux, error) in aux_pull.iter_mut().zip(whole) {
                *aux = error / (2.0 * self.share);
            }
            let bar = kth_largest(hidden, dead.k, &mut scratch.few);
            let above = hidden.iter().filter(|value| **value > bar).count();
            let mut equals = dead.k.saturating_sub(above);
            let start = piece.aux.all.len();
            for (&feature, &value) in dead.features.iter().zip(hidden) {
                if value < bar {
                    continue;
                }
                if value == bar {
                    if equals == 0 {
                        continue;
                    }
                    equals -= 1;
                }
                add_scaled(aux_pull, value, self.parameters.direction(feature as usize));
                piece.aux.all.push(Entry {
                    feature,
                    hidden: value,
                    act: value,
                });
            }
            piece.aux.end_row();
            piece.cost.loss += f64::from(dead.coefficient) * f64::from(dot(aux_pull, aux_pull));
            aux_pull
                .iter_mut()
                .for_each(|value| *value *= 2.0 * self.share * dead.coefficient);
            for entry in &piece.aux.all[start..] {
                piece.aux.slopes.push(Slope {
                    hidden: dot(aux_pull, self.parameters.direction(entry.feature as usize)),
                    threshold: 0.0,
                });
            }
        }
    }
}

impl Dead {
    /// `None` where none is dead, or nothing is done about it.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "numbers of features are far below 2^23"
    )]
    fn gather(parameters: &Parameters, settings: &Settings, dead: &[bool]) -> Option<Self> {
        let features: Vec<u32> = (0..)
            .zip(dead)
            .filter(|(_, dead)| **dead)
            .map(|(feature, _)| feature)
            .collect();
        if features.is_empty() || settings.aux_coefficient == 0.0 {
            return None;
        }
        // The heuristic of appendix B.1: as many as half the width of the activation. Where fewer are dead, they count less.
        let k = (parameters.d_in / 2).max(1);
        let scale = (features.len() as f32 / k as f32).min(1.0);
        let d_in = parameters.d_in;
        let rows = features.iter().flat_map(|&feature| {
            let from = feature as usize * d_in;
            &parameters.w_enc[from..from + d_in]
        });
        Some(Self {
            w_enc: rows.copied().collect(),
            b_enc: features
                .iter()
                .map(|&feature| parameters.b_enc[feature as usize])
                .collect(),
            k: k.min(features.len()),
            coefficient: settings.aux_coefficient * scale,
            features,
        })
    }
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

/// The smallest nested dictionary that holds a feature.
fn level_of(widths: &[usize], feature: usize) -> usize {
    widths.partition_point(|width| *width <= feature)
}
