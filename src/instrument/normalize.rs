//! Normalisation of each position's values before a detector head reads them.
//!
//! Sums over the last axis are products with a constant column: the reducing operators changed how they take their axes
//! between operator sets.
#![allow(
    clippy::cast_precision_loss,
    reason = "widths of activations are far below 2^23"
)]

use super::editor::{Editor, Place};
use super::plan::Normalization;

/// `x` `[batch, seq, width]`, normalised.
pub(super) fn normalize(
    editor: &mut Editor,
    place: Place,
    x: String,
    width: usize,
    normalization: Normalization,
) -> String {
    match normalization {
        Normalization::None => x,
        Normalization::ConstantNormRescale => {
            let squares = editor.compute(place, "Mul", &[&x, &x], "candor.squares");
            let total = weighted(editor, place, &squares, width, 1.0);
            let norm = editor.compute(place, "Sqrt", &[&total], "candor.norm");
            let wanted = scalar(editor, (width as f32).sqrt());
            let factor = editor.compute(place, "Div", &[&wanted, &norm], "candor.factor");
            editor.compute(place, "Mul", &[&x, &factor], "candor.rescaled")
        }
        Normalization::LayerNorm => {
            let mean = weighted(editor, place, &x, width, (width.max(1) as f32).recip());
            let centred = editor.compute(place, "Sub", &[&x, &mean], "candor.centred");
            let squares = editor.compute(place, "Mul", &[&centred, &centred], "candor.squares");
            let others = width.saturating_sub(1).max(1) as f32;
            let variance = weighted(editor, place, &squares, width, others.recip());
            let spread = editor.compute(place, "Sqrt", &[&variance], "candor.spread");
            let epsilon = scalar(editor, Normalization::EPSILON);
            let divisor = editor.compute(place, "Add", &[&spread, &epsilon], "candor.divisor");
            editor.compute(place, "Div", &[&centred, &divisor], "candor.normalized")
        }
    }
}

/// The sum over the last axis, times `weight`: `[batch, seq, 1]`.
fn weighted(editor: &mut Editor, place: Place, x: &str, width: usize, weight: f32) -> String {
    let column = std::iter::repeat_n(weight, width);
    let column = editor.floats("candor.column", &[width, 1], column);
    editor.compute(place, "MatMul", &[x, &column], "candor.total")
}

fn scalar(editor: &mut Editor, value: f32) -> String {
    editor.floats("candor.constant", &[], std::iter::once(value))
}
