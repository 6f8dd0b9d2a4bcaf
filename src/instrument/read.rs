//! Taps and detector heads: what is read from a site's tensor.

use super::build;
use super::editor::{Editor, Place};
use super::layout::to_layout;
use super::plan::{Activation, Head};
use super::sites::Held;
use crate::model::onnx::tensor_proto::DataType;
use crate::model::{Form, Layout, Point, SiteName};

/// Declares the site's values as a float32 output and returns its name. The copy gives the output a name of its own,
/// so that a tensor can be tapped under two sites or be an output of the model already.
///
/// The logits are an output already, which readers know by its name.
pub(super) fn tap(editor: &mut Editor, site: SiteName, held: &Held) -> String {
    let is_float = editor.element(held.tensor()) == Some(DataType::Float);
    let mut outputs = editor.graph.output.iter();
    if site.point == Point::Logits
        && is_float
        && outputs.any(|output| output.name() == held.tensor())
    {
        return held.tensor().to_owned();
    }
    let output = editor.fresh(&format!("candor.tap.{site}"));
    if held.others().is_empty() && held.form == Form::Same && !is_float {
        let place = editor.place(held.tensor());
        editor.cast_as(place, held.tensor(), DataType::Float, output.clone());
    } else {
        let (place, values) = values(editor, held, held.layout);
        editor.compute_as(place, "Identity", &[&values], output.clone());
    }
    editor.output(output.clone(), held.layout);
    output
}

/// The values in float32 and in the axes of a layout, and where their readers may stand at the earliest.
fn values(editor: &mut Editor, held: &Held, layout: Layout) -> (Place, String) {
    let place = held.parts.iter().map(|part| editor.place(part)).max();
    let place = place.flatten();
    let first = editor.as_float(held.tensor());
    let x = sum(editor, place, first, held.others());
    let form = match held.form {
        Form::Same if layout != held.layout => Form::Reshaped,
        form => form,
    };
    let x = to_layout(editor, place, x, layout, form);
    (place, x)
}

/// The sum of a float32 tensor and others.
pub(super) fn sum(editor: &mut Editor, place: Place, first: String, others: &[String]) -> String {
    others.iter().fold(first, |total, part| {
        let part = editor.as_float(part);
        editor.compute(place, "Add", &[&total, &part], "candor.sum")
    })
}

/// Declares `activation(x·W + b)` as a float32 output `[batch, seq, k]` and returns its name.
pub(super) fn head(editor: &mut Editor, head: &Head, held: &Held) -> String {
    let output = editor.fresh(&format!("candor.head.{}", head.id));
    let (rows, columns) = head.weight.dim();
    let side_by_side = Layout::Token { width: rows };
    let (place, x) = values(editor, held, side_by_side);
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
    editor.output(output.clone(), Layout::Token { width: columns });
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
