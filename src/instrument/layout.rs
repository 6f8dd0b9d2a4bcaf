//! Between the shape that a tensor has in the graph and the axes in which its site is read and written.

use super::editor::{Editor, Place};
use crate::model::Layout;

/// The elements of `tensor` in the axes of `layout`.
pub(super) fn to_layout(editor: &mut Editor, place: Place, tensor: &str, layout: Layout) -> String {
    let sizes = editor.sizes();
    let fixed = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    let shape = match layout {
        Layout::Token { width } => {
            let width = editor.integers(&[fixed(width)]);
            editor.concat(place, &[&sizes, &width], "candor.shape")
        }
        Layout::Heads { heads, d_head } => {
            let heads = editor.integers(&[fixed(heads), fixed(d_head)]);
            editor.concat(place, &[&sizes, &heads], "candor.shape")
        }
        // Queries and keys are the last axes in every layout that counts as a pattern; with a cache there are more keys
        // than tokens.
        Layout::Pattern { heads } => {
            let first = editor.integers(&[0]);
            let batch = editor.compute(place, "Gather", &[&sizes, &first], "candor.batch");
            let own = editor.compute(place, "Shape", &[tensor], "candor.own");
            let last = editor.integers(&[-2, -1]);
            let square = editor.compute(place, "Gather", &[&own, &last], "candor.square");
            let heads = editor.integers(&[fixed(heads)]);
            editor.concat(place, &[&batch, &heads, &square], "candor.shape")
        }
    };
    editor.compute(place, "Reshape", &[tensor, &shape], "candor.laid_out")
}

/// The elements of `tensor` in the shape of `model`.
pub(super) fn to_shape_of(editor: &mut Editor, place: Place, tensor: &str, model: &str) -> String {
    let shape = editor.compute(place, "Shape", &[model], "candor.own");
    editor.compute(place, "Reshape", &[tensor, &shape], "candor.restored")
}
