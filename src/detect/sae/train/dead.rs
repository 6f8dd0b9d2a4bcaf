//! How dead features are revived (Gao et al. 2024).

use super::entries::{Entry, Slope};
use super::parameters::{Parameters, add_scaled, dot};
use super::reconstruct::Batch;
use super::select::each_largest;
use super::settings::Settings;
use super::work::{Piece, Scratch, hidden};

/// The dead features of a step and what they cost.
pub(super) struct Dead {
    features: Vec<usize>,
    /// Their encoder rows, `[dead, d_in]`.
    w_enc: Vec<f32>,
    b_enc: Vec<f32>,
    k: usize,
    coefficient: f32,
}

impl Batch<'_> {
    /// The loss by which dead features learn what the others leave: their `k` largest pre-activations on each row, whatever
    /// their sign, reconstruct the error, which itself is held fixed (Gao et al. 2024, appendix A.2).
    pub fn revive(
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
            let start = piece.aux.all.len();
            each_largest(hidden, dead.k, &mut scratch.few, |place, value| {
                let feature = dead.features[place];
                add_scaled(aux_pull, value, self.parameters.direction(feature));
                piece.aux.all.push(Entry::active(feature, value));
            });
            piece.aux.end_row();
            piece.cost.loss += f64::from(dead.coefficient) * f64::from(dot(aux_pull, aux_pull));
            for value in aux_pull.iter_mut() {
                *value *= 2.0 * self.share * dead.coefficient;
            }
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
    pub fn gather(parameters: &Parameters, settings: &Settings, dead: &[bool]) -> Option<Self> {
        let features: Vec<usize> = (0..dead.len()).filter(|&feature| dead[feature]).collect();
        if features.is_empty() || settings.aux_coefficient == 0.0 {
            return None;
        }
        // The heuristic of appendix B.1: as many as half the width of the activation. Where fewer are dead, they count less.
        let k = (parameters.d_in / 2).max(1);
        let scale = (features.len() as f32 / k as f32).min(1.0);
        let d_in = parameters.d_in;
        let rows = features.iter().flat_map(|&feature| {
            let from = feature * d_in;
            &parameters.w_enc[from..from + d_in]
        });
        Some(Self {
            w_enc: rows.copied().collect(),
            b_enc: features
                .iter()
                .map(|&feature| parameters.b_enc[feature])
                .collect(),
            k: k.min(features.len()),
            coefficient: settings.aux_coefficient * scale,
            features,
        })
    }
}
