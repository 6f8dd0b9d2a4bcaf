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
mod cut;
mod editor;
mod element;
mod head;
mod layout;
mod names;
mod narrow;
mod normalize;
mod plan;
mod read;
mod sites;
mod split;
pub mod tokens;
mod write;

pub use cut::{Cut, Cutter, Piece};
pub use narrow::TOKENS;
pub use plan::{
    Activation, ExtraInput, Head, Manifest, Normalization, Plan, Ranking, Scores, TopK, Write,
};

use std::collections::HashMap;
use std::path::PathBuf;

use editor::Editor;
use head::Heads;
use sites::Held;

use crate::fault::{Fault, Result};
use crate::model::onnx::ModelProto;
use crate::model::{Architecture, Model, SiteName};

/// A rewritten model, ready for a session.
#[derive(Debug, Clone)]
pub struct Instrumented {
    /// The encoded ONNX model; tensors refer to files in `folder`, large ones of the model's own file to that.
    pub bytes: Vec<u8>,
    /// Where those files lie.
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
        bytes: model.encoder().encode(&proto),
        folder: model.encoder().folder().to_path_buf(),
        manifest,
    })
}

/// Adds a plan to a model. An empty plan gives an equal model.
///
/// Added outputs are float32: taps `candor.tap.<site>` in the site's layout and heads `candor.head.<id>`
/// `[batch, seq, k]`, or one output for all heads, computed in float32 whatever the stream is. They follow the model's own.
/// Added inputs are a mask for each write,
/// `candor.mask.<site>.<index of the write>` (bool, 1 wide), and `candor.in.<name in the plan>` for its
/// values. A suffix is added where the graph has such a name already; the [`Manifest`] has the final ones.
///
/// Where all of a mask is false the stream keeps its bits. Weights are shared with `proto`, not copied.
///
/// # Errors
/// Usage: a site that the model lacks; a head of the wrong width, with numbers that are not finite or with the id of
/// another; a rank or a column that the weights lack; one input name with two meanings; a write at a tensor that is not computed, or at one whose edit other
/// outputs of a fused operator would escape; a projection or an addition off the stream; an operator set before 9.
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
    let places = places(&mut editor, arch, plan)?;
    let held = |site: SiteName| {
        places.get(&site).ok_or_else(|| {
            Fault::failed(
                "instrumenting the model",
                format!("`{site}` was not looked up"),
            )
        })
    };

    let layouts = plan
        .writes
        .iter()
        .map(|write| Ok((write, held(write.site())?.layout)))
        .collect::<Result<Vec<_>>>()?;
    let inputs = write::declare(&mut editor, &layouts, arch.d_model, &mut manifest);
    let mut written = by_place(plan, &manifest, &places)?;
    written.sort_by_key(|(_, held, _)| !write::is_fused_sum(&editor, held.tensor()));
    for (site, held, writes) in written {
        write::apply(&mut editor, site, held, &writes, &inputs)?;
    }
    for &site in &plan.taps {
        let known = manifest.taps.iter().find(|(name, _)| *name == site);
        let output = match known {
            Some((_, output)) => output.clone(),
            None => read::tap(&mut editor, site, held(site)?),
        };
        manifest.taps.push((site, output));
    }
    let mut heads = Heads::default();
    for head in &plan.heads {
        heads.add(&mut editor, head, held(head.site)?);
    }
    match &plan.scores {
        Some(scores) => manifest.scores = Some(heads.join(&mut editor, scores)),
        None => manifest.heads = heads.declare(&mut editor),
    }
    Ok((editor.finish(), manifest))
}

/// What holds every site that the plan names.
fn places(
    editor: &mut Editor,
    arch: &Architecture,
    plan: &Plan,
) -> Result<HashMap<SiteName, Held>> {
    let heads = plan.heads.iter().map(|head| head.site);
    let writes = plan.writes.iter().map(Write::site);
    let mut places = HashMap::new();
    for name in plan.taps.iter().copied().chain(heads).chain(writes) {
        places.insert(name, sites::held(editor, sites::find(arch, name)?)?);
    }
    Ok(places)
}

/// Writes with their masks.
type Writes<'plan> = Vec<(&'plan Write, &'plan str)>;

/// The writes of each place, in the order of the plan, with the first site under which it is written.
fn by_place<'plan>(
    plan: &'plan Plan,
    manifest: &'plan Manifest,
    places: &'plan HashMap<SiteName, Held>,
) -> Result<Vec<(SiteName, &'plan Held, Writes<'plan>)>> {
    let mut groups: Vec<(SiteName, &Held, Writes)> = Vec::new();
    for (write, (_, mask)) in plan.writes.iter().zip(&manifest.masks) {
        let Some(held) = places.get(&write.site()) else {
            continue;
        };
        let same = groups
            .iter_mut()
            .find(|(_, other, _)| other.tensor() == held.tensor());
        match same {
            Some((_, other, writes)) if *other == held => writes.push((write, mask)),
            Some((site, _, _)) => {
                return Err(Fault::usage(
                    format!("planning a write at `{}`", write.site()),
                    format!("a write at `{site}`, which is the same tensor in other axes"),
                )
                .expected("one of the two"));
            }
            None => groups.push((write.site(), held, vec![(write, mask)])),
        }
    }
    Ok(groups)
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
