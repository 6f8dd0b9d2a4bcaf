//! Interventions: the node that makes a site's tensor gets a new output name and the edited value takes over the old
//! one, so that every reader (nodes, subgraphs, declared outputs, taps and heads) sees the edited value.

use std::collections::HashMap;

use super::build;
use super::editor::{Editor, Place, Producer};
use super::layout::{to_layout, to_shape_of};
use super::plan::{ExtraInput, Manifest, Write};
use super::read::sum;
use super::sites::{Held, SUM_OUTPUT};
use super::split::{is_skip_norm, split};
use crate::fault::{Fault, Result};
use crate::model::onnx::NodeProto;
use crate::model::onnx::tensor_proto::DataType;
use crate::model::{Form, Layout, Role, SiteName, role};

/// The inputs that writes share: name in the plan → name in the graph.
#[derive(Default)]
pub(super) struct Inputs(HashMap<String, String>);

impl Inputs {
    fn get<'name>(&'name self, name: &'name str) -> &'name str {
        self.0.get(name).map_or(name, String::as_str)
    }
}

/// Declares the inputs of all writes, masks first, and puts them into the manifest.
pub(super) fn declare(
    editor: &mut Editor,
    writes: &[(&Write, Layout)],
    d_model: usize,
    manifest: &mut Manifest,
) -> Inputs {
    for (index, (write, layout)) in writes.iter().enumerate() {
        let mask = editor.fresh(&format!("candor.mask.{}.{index}", write.site()));
        let mut dims = editor.axes_of(*layout);
        dims.pop();
        dims.push(build::size(1));
        editor.input(build::value(mask.clone(), DataType::Bool, dims));
        manifest.masks.push((write.site(), mask));
    }
    let mut inputs = Inputs::default();
    for (name, kind) in writes
        .iter()
        .flat_map(|(write, layout)| write.inputs(*layout))
    {
        if inputs.0.contains_key(name) {
            continue;
        }
        let declared = editor.fresh(&format!("candor.in.{name}"));
        let dims = match kind {
            ExtraInput::Value(layout) => editor.axes_of(layout),
            ExtraInput::Direction => editor.per_row(Some(d_model)),
            ExtraInput::Target => editor.per_row(None),
        };
        editor.input(build::value(declared.clone(), DataType::Float, dims));
        manifest.inputs.push((declared.clone(), kind));
        inputs.0.insert(name.to_owned(), declared);
    }
    inputs
}

/// Applies `writes` (each with its mask) to what holds one site, in order.
///
/// The first tensor of a sum takes up the change of the whole: where nothing is written that is 0, and it keeps its bits.
///
/// # Errors
/// Usage: nothing in the graph computes the tensor, other values of a fused node depend on it, or its element type
/// cannot be restored.
pub(super) fn apply(
    editor: &mut Editor,
    site: SiteName,
    held: &Held,
    writes: &[(&Write, &str)],
    inputs: &Inputs,
) -> Result<()> {
    let tensor = held.tensor();
    let refuse = |found: String| Fault::usage(format!("planning a write at `{site}`"), found);
    let producer = editor.producer(tensor).ok_or_else(|| {
        refuse(format!("`{tensor}` is fed or stored, not computed"))
            .expected("a tensor that a node computes")
    })?;
    let restore = Restore::of(editor, tensor).map_err(refuse)?;
    let raw = editor.fresh(&format!("candor.raw.{site}"));
    editor.declare_like(&raw, tensor);
    let behind = detach(editor, producer, &raw, tensor).map_err(|fault| Fault {
        doing: format!("planning a write at `{site}`: {}", fault.doing),
        ..fault
    })?;

    let place = Some(producer.node);
    let float = match restore {
        Restore::Nothing => raw.clone(),
        _ => editor.cast(place, &raw, DataType::Float, "candor.float"),
    };
    let others = held.others();
    let whole = sum(editor, place, float.clone(), others);
    let mut x = to_layout(editor, place, whole, held.layout, held.form);
    let before = x.clone();
    let direct = restore == Restore::Nothing && others.is_empty() && held.form == Form::Same;
    for (index, (write, mask)) in writes.iter().enumerate() {
        let output = if direct && index + 1 == writes.len() {
            tensor.to_owned()
        } else {
            editor.fresh(&format!("candor.edited.{site}"))
        };
        x = edit(editor, place, write, mask, &x, inputs, output);
    }
    if !others.is_empty() {
        x = editor.compute(place, "Sub", &[&x, &before], "candor.change");
    }
    x = to_shape_of(editor, place, x, &raw, held);
    if !others.is_empty() {
        x = editor.compute(place, "Add", &[&float, &x], "candor.changed");
    }
    match restore {
        Restore::Nothing if direct => {}
        Restore::Nothing => {
            editor.compute_as(place, "Identity", &[&x], tensor.to_owned());
        }
        Restore::Cast(element) => {
            editor.cast_as(place, &x, element, tensor.to_owned());
        }
        Restore::Like => {
            editor.compute_as(place, "CastLike", &[&x, &raw], tensor.to_owned());
        }
    }
    for node in behind {
        editor.push(place, node);
    }
    Ok(())
}

/// Whether a tensor is the sum inside a fused norm. Such are written first: that moves the norm, whose output may be
/// written too.
pub(super) fn is_fused_sum(editor: &Editor, tensor: &str) -> bool {
    let producer = editor
        .producer(tensor)
        .filter(|producer| producer.output == SUM_OUTPUT);
    let node = producer.and_then(|producer| editor.graph.node.get(producer.node));
    node.is_some_and(is_skip_norm)
}

/// How an edited float32 value gets the element type of the stream again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Restore {
    Nothing,
    Cast(DataType),
    Like,
}

impl Restore {
    fn of(editor: &Editor, tensor: &str) -> std::result::Result<Self, String> {
        const CAST_LIKE: i64 = 15;
        match editor.element(tensor) {
            Some(DataType::Float) => Ok(Self::Nothing),
            Some(element @ (DataType::Float16 | DataType::Bfloat16)) => Ok(Self::Cast(element)),
            Some(element) => Err(format!(
                "values of type {}, which float32 edits would round",
                element.as_str_name()
            )),
            None if editor.opset >= CAST_LIKE => Ok(Self::Like),
            None => Err(format!(
                "`{tensor}` without a declared element type, in operator set {} (from {CAST_LIKE} on it can be copied)",
                editor.opset
            )),
        }
    }
}

/// Whether the first output of an operator is the last thing that it computes: what others hold (statistics of a norm, masks,
/// grown caches) is then not made from it.
fn ends_in_first(op_type: &str) -> bool {
    matches!(
        role(op_type),
        Some(Role::SkipNorm { .. } | Role::Lookup { .. } | Role::Attention)
    )
}

/// Lets the producer of `tensor` put out `raw` instead. Returns what must follow `tensor` where the producer was a
/// fused norm.
fn detach(
    editor: &mut Editor,
    producer: Producer,
    raw: &str,
    tensor: &str,
) -> Result<Vec<NodeProto>> {
    // A fused norm whose sum was taken out stands among the additions.
    if editor.rename_added(Some(producer.node), tensor, raw) {
        return Ok(vec![]);
    }
    let Some(node) = editor.graph.node.get(producer.node) else {
        return Ok(vec![]);
    };
    if is_skip_norm(node) && producer.output == SUM_OUTPUT {
        return split(editor, producer.node, raw, tensor);
    }
    // What a fused operator puts out beside the tensor may be computed from it, out of reach of the edit.
    let mut others = node
        .output
        .iter()
        .filter(|name| !name.is_empty() && *name != tensor);
    let is_plain = matches!(node.domain(), "" | "ai.onnx");
    let is_last = producer.output == 0 && ends_in_first(node.op_type());
    if !is_plain
        && !is_last
        && let Some(other) = others.find(|name| editor.reads(name))
    {
        return Err(Fault::usage(
            format!(
                "editing an output of the fused operator `{}`",
                node.op_type()
            ),
            format!("its other output `{other}` is read too and may hold the unedited value"),
        )
        .expected("a site on a tensor of its own"));
    }
    let node = editor.graph.node.get_mut(producer.node);
    if let Some(slot) = node.and_then(|node| node.output.get_mut(producer.output)) {
        raw.clone_into(slot);
    }
    Ok(vec![])
}

fn edit(
    editor: &mut Editor,
    place: Place,
    write: &Write,
    mask: &str,
    x: &str,
    inputs: &Inputs,
    output: String,
) -> String {
    let edited = match write {
        Write::Replace { value, .. } => inputs.get(value).to_owned(),
        Write::Project {
            direction, target, ..
        } => project(editor, place, x, inputs.get(direction), inputs.get(target)),
        Write::Add { vector, .. } => {
            let row = editor.unsqueeze(place, inputs.get(vector), &[1], "candor.row");
            editor.compute(place, "Add", &[x, &row], "candor.sum")
        }
    };
    // A selection, and not arithmetic with the mask: where nothing is written the value keeps its bits.
    editor.compute_as(place, "Where", &[mask, &edited, x], output)
}

/// `x − ((x·v) − c)·v`, with `v` `[batch, d_model]` and `c` `[batch]` of each row.
fn project(editor: &mut Editor, place: Place, x: &str, direction: &str, target: &str) -> String {
    let column = editor.unsqueeze(place, direction, &[2], "candor.column");
    let row = editor.unsqueeze(place, direction, &[1], "candor.row");
    let target = editor.unsqueeze(place, target, &[1, 2], "candor.target");
    let component = editor.compute(place, "MatMul", &[x, &column], "candor.component");
    let excess = editor.compute(place, "Sub", &[&component, &target], "candor.excess");
    let along = editor.compute(place, "Mul", &[&excess, &row], "candor.along");
    editor.compute(place, "Sub", &[x, &along], "candor.projected")
}
