//! Taps and detector heads: what is read from a site's tensor.

use super::build;
use super::editor::Editor;
use super::plan::{Activation, Head};
use crate::model::SiteName;
use crate::model::onnx::tensor_proto::DataType;

/// Declares the site's values as a float32 output and returns its name. The copy gives the output a name of its own,
/// so that a tensor can be tapped under two sites or be an output of the model already.
pub(super) fn tap(editor: &mut Editor, site: SiteName, tensor: &str, d_model: usize) -> String {
    let output = editor.fresh(&format!("candor.tap.{site}"));
    let place = editor.place(tensor);
    if editor.element(tensor) == Some(DataType::Float) {
        editor.compute_as(place, "Identity", &[tensor], output.clone());
    } else {
        editor.cast_as(place, tensor, DataType::Float, output.clone());
    }
    editor.output(output.clone(), d_model);
    output
}

/// Declares `activation(x·W + b)` as a float32 output `[batch, seq, k]` and returns its name.
pub(super) fn head(editor: &mut Editor, head: &Head, tensor: &str) -> String {
    let output = editor.fresh(&format!("candor.head.{}", head.id));
    let (rows, columns) = head.weight.dim();
    let place = editor.place(tensor);
    let x = editor.as_float(tensor);
    let weight = constant(
        editor,
        &format!("{output}.weight"),
        &[rows, columns],
        head.weight.iter().copied(),
    );
    let bias = constant(
        editor,
        &format!("{output}.bias"),
        &[columns],
        head.bias.iter().copied(),
    );
    let product = editor.compute(
        place,
        "MatMul",
        &[&x, &weight],
        &format!("{output}.product"),
    );
    match &head.activation {
        Activation::Linear => {
            editor.compute_as(place, "Add", &[&product, &bias], output.clone());
        }
        Activation::Relu => {
            let h = editor.compute(place, "Add", &[&product, &bias], &format!("{output}.pre"));
            editor.compute_as(place, "Relu", &[&h], output.clone());
        }
        Activation::JumpRelu(thresholds) => {
            let h = editor.compute(place, "Add", &[&product, &bias], &format!("{output}.pre"));
            // h > θ and h > 0 is h > max(θ, 0). The product keeps a NaN visible where a selection would turn it into 0.
            let floors = thresholds.iter().map(|threshold| threshold.max(0.0));
            let floor = constant(editor, &format!("{output}.threshold"), &[columns], floors);
            let open = editor.compute(place, "Greater", &[&h, &floor], &format!("{output}.open"));
            let gate = editor.cast(place, &open, DataType::Float, &format!("{output}.gate"));
            editor.compute_as(place, "Mul", &[&h, &gate], output.clone());
        }
    }
    editor.output(output.clone(), columns);
    output
}

fn constant(
    editor: &mut Editor,
    name: &str,
    dims: &[usize],
    values: impl Iterator<Item = f32>,
) -> String {
    let name = editor.fresh(name);
    editor.initializer(build::float_tensor(name.clone(), dims, values));
    name
}
