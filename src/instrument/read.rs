//! Taps: what is read from a site's tensor.

use super::editor::{Editor, Place};
use super::layout::to_layout;
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
pub(super) fn values(editor: &mut Editor, held: &Held, layout: Layout) -> (Place, String) {
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
