//! What the features of a batch reconstruct, and how the loss falls on each of them.

use super::entries::Entry;
use super::parameters::{Parameters, add_scaled, dot};
use super::rule::Rule;
use super::settings::Settings;
use super::work::{Cost, Piece};

/// What all pieces of a batch share.
pub(super) struct Batch<'a> {
    pub parameters: &'a Parameters,
    pub rule: &'a dyn Rule,
    pub settings: &'a Settings,
    /// Of one row in the batch.
    pub share: f32,
    pub l0_coefficient: f32,
}

#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "numbers of rows and features are far below 2^23"
)]
impl Batch<'_> {
    /// Errors, and how the loss falls on every entry.
    pub fn reconstruct(&self, piece: &mut Piece, centred: &[f32], pull: &mut [f32]) {
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
            let twice = 2.0 * self.share;
            for value in pull.iter_mut() {
                *value *= twice;
            }
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
}

/// The smallest nested dictionary that holds a feature.
pub(super) fn level_of(widths: &[usize], feature: usize) -> usize {
    widths.partition_point(|width| *width <= feature)
}
