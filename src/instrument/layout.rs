//! Between the shape that a tensor has in the graph and the axes in which its site is read and written.

use super::build;
use super::editor::{Editor, Place};
use super::sites::Held;
use crate::model::{Form, Layout};

/// The values of `tensor`, which lies in `form`, in the axes of `layout`.
pub(super) fn to_layout(
    editor: &mut Editor,
    place: Place,
    tensor: String,
    layout: Layout,
    form: Form,
) -> String {
    if form == Form::Same {
        return tensor;
    }
    let shape = shape(editor, place, &tensor, layout, form);
    let laid_out = editor.compute(place, "Reshape", &[&tensor, &shape], "candor.laid_out");
    match form {
        Form::SequenceFirst => turned(editor, place, &laid_out, layout),
        Form::Same | Form::Reshaped => laid_out,
    }
}

/// The way back: the values in the shape of `model`, the tensor that they are to replace.
pub(super) fn to_shape_of(
    editor: &mut Editor,
    place: Place,
    values: String,
    model: &str,
    held: &Held,
) -> String {
    let values = match held.form {
        Form::Same => return values,
        Form::Reshaped => values,
        Form::SequenceFirst => turned(editor, place, &values, held.layout),
    };
    let shape = editor.compute(place, "Shape", &[model], "candor.own");
    editor.compute(place, "Reshape", &[&values, &shape], "candor.restored")
}

fn shape(editor: &mut Editor, place: Place, tensor: &str, layout: Layout, form: Form) -> String {
    let fixed = |size: usize| i64::try_from(size).unwrap_or(i64::MAX);
    let sizes = match form {
        Form::SequenceFirst => {
            let sizes = editor.sizes();
            let order = editor.integers(&[1, 0]);
            editor.compute(place, "Gather", &[&sizes, &order], "candor.turned_sizes")
        }
        Form::Same | Form::Reshaped => editor.sizes(),
    };
    match layout {
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
    }
}

/// Batch and sequence exchanged.
fn turned(editor: &mut Editor, place: Place, tensor: &str, layout: Layout) -> String {
    let perm: &[i64] = match layout {
        Layout::Token { .. } => &[1, 0, 2],
        Layout::Heads { .. } | Layout::Pattern { .. } => &[1, 0, 2, 3],
    };
    let output = editor.fresh("candor.turned");
    let name = editor.fresh(&format!("{output}/Transpose"));
    let mut node = build::node(name, "Transpose", &[tensor], output.clone());
    node.attribute.push(build::ints_attribute("perm", perm));
    editor.push(place, node);
    output
}
