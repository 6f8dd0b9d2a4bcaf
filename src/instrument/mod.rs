//! A plan of taps, detector heads and interventions becomes a new graph. Pure: graph in, graph out.
//!
//! The order at one tensor is: the model computes it, the writes edit it in the order of the plan, and then
//! everything reads the edited value: the rest of the model, taps, heads, and outputs that the model declares. Two
//! sites that share a tensor (`blocks.0.hook_resid_post` and `blocks.1.hook_resid_pre`) are one place: a write at
//! either is seen at both.
//!
//! The model's own names keep their meaning. Where a tensor is edited, the edited value has the tensor's name.

mod build;
mod check;
mod editor;
mod element;
mod names;
mod plan;
mod read;
mod sites;
mod split;
mod write;

pub use plan::{Activation, ExtraInput, Head, Manifest, Plan, Write};

use std::collections::HashMap;
use std::path::PathBuf;

use editor::Editor;

use crate::fault::{Fault, Result};
use crate::model::onnx::ModelProto;
use crate::model::{Architecture, Model, SiteName, encode};

/// A rewritten model, ready for a session.
#[derive(Debug, Clone)]
pub struct Instrumented {
    /// The encoded ONNX model; external tensors still refer to files in `folder`.
    pub bytes: Vec<u8>,
    /// Where external data lies.
    pub folder: PathBuf,
    /// Where the additions are fed and read.
    pub manifest: Manifest,
}

/// Adds a plan to a model and encodes the result.
///
/// # Errors
/// Those of [`rewrite`].
pub fn instrument(model: &Model, arch: &Architecture, plan: &Plan) -> Result<Instrumented> {
    let (proto, manifest) = rewrite(model.proto(), arch, plan)?;
    Ok(Instrumented {
        bytes: encode(&proto),
        folder: model.folder().to_path_buf(),
        manifest,
    })
}

/// Adds a plan to a model. An empty plan gives an equal model.
///
/// Added outputs are float32: taps `candor.tap.<site>` `[batch, seq, d_model]` and heads `candor.head.<id>`
/// `[batch, seq, k]`, computed in float32 whatever the stream is. Added inputs are a mask for each write,
/// `candor.mask.<site>.<index of the write>` bool `[batch, seq, 1]`, and `candor.in.<name in the plan>` for its
/// values. A suffix is added where the graph has such a name already; the [`Manifest`] has the final ones.
///
/// Where all of a mask is false the stream keeps its bits. Weights are shared with `proto`, not copied.
///
/// # Errors
/// Usage: a site that the model lacks; a head of the wrong width, with numbers that are not finite or with the id of
/// another; one input name with two meanings; a write behind the stream (`ln_final.hook_normalized`), at a tensor
/// that is not computed, or at one whose edit other outputs of a fused operator would escape; an operator set before 9.
pub fn rewrite(
    proto: &ModelProto,
    arch: &Architecture,
    plan: &Plan,
) -> Result<(ModelProto, Manifest)> {
    check::plan(plan, arch)?;
    let mut manifest = Manifest::default();
    if plan.taps.is_empty() && plan.heads.is_empty() && plan.writes.is_empty() {
        return Ok((proto.clone(), manifest));
    }
    let mut editor = Editor::new(proto, arch)?;
    supported(editor.opset)?;

    // All sites are found before the first edit, which may take apart the node that a site points to.
    let tensors = tensors(&mut editor, arch, plan)?;
    let tensor = |site: SiteName| tensors.get(&site).map_or("", String::as_str);

    let inputs = write::declare(&mut editor, &plan.writes, arch.d_model, &mut manifest);
    for (site, tensor, writes) in by_tensor(plan, &manifest, &tensors) {
        write::apply(&mut editor, site, tensor, &writes, &inputs)?;
    }
    for &site in &plan.taps {
        let known = manifest.taps.iter().find(|(name, _)| *name == site);
        let output = match known {
            Some((_, output)) => output.clone(),
            None => read::tap(&mut editor, site, tensor(site), arch.d_model),
        };
        manifest.taps.push((site, output));
    }
    for head in &plan.heads {
        let output = read::head(&mut editor, head, tensor(head.site));
        manifest.heads.push((head.id.clone(), output));
    }
    Ok((editor.finish(), manifest))
}

/// The tensor of every site that the plan names.
fn tensors(
    editor: &mut Editor,
    arch: &Architecture,
    plan: &Plan,
) -> Result<HashMap<SiteName, String>> {
    let heads = plan.heads.iter().map(|head| head.site);
    let writes = plan.writes.iter().map(Write::site);
    let mut tensors = HashMap::new();
    for name in plan.taps.iter().copied().chain(heads).chain(writes) {
        tensors.insert(name, sites::tensor(editor, sites::find(arch, name)?)?);
    }
    Ok(tensors)
}

/// Writes with their masks.
type Writes<'plan> = Vec<(&'plan Write, &'plan str)>;

/// The writes of each tensor, in the order of the plan, with the first site under which it is written.
fn by_tensor<'plan>(
    plan: &'plan Plan,
    manifest: &'plan Manifest,
    tensors: &'plan HashMap<SiteName, String>,
) -> Vec<(SiteName, &'plan str, Writes<'plan>)> {
    let mut groups: Vec<(SiteName, &str, Writes)> = Vec::new();
    for (write, (_, mask)) in plan.writes.iter().zip(&manifest.masks) {
        let tensor = tensors.get(&write.site()).map_or("", String::as_str);
        match groups.iter_mut().find(|(_, name, _)| *name == tensor) {
            Some((_, _, writes)) => writes.push((write, mask)),
            None => groups.push((write.site(), tensor, vec![(write, mask)])),
        }
    }
    groups
}

fn supported(opset: i64) -> Result<()> {
    // `Where` on float32 came with 9.
    const OLDEST: i64 = 9;
    if opset >= OLDEST {
        return Ok(());
    }
    Err(
        Fault::usage("instrumenting the model", format!("operator set {opset}"))
            .expected(format!("operator set {OLDEST} or newer"))
            .hint("export the model again, or convert it with `onnx.version_converter`"),
    )
}
