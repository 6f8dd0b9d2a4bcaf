//! From a site's name to the one tensor of the graph that holds its values.

use super::editor::{Editor, Producer};
use super::split::is_skip_norm;
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Site, SiteName, SiteTensor};

/// Outputs of ONNX Runtime's `Skip…LayerNormalization`: normalised, mean, inverse deviation, input + skip + bias.
pub(super) const SUM_OUTPUT: usize = 3;

/// The site of that name.
///
/// # Errors
/// Usage: the model has no such site; the message lists near ones.
pub(super) fn find(arch: &Architecture, name: SiteName) -> Result<&Site> {
    arch.site(name).ok_or_else(|| {
        Fault::usage(
            "instrumenting the model",
            format!("no site `{name}` in this model"),
        )
        .expected(near(arch, name))
        .hint("`candor inspect MODEL` lists all sites")
    })
}

fn near(arch: &Architecture, wanted: SiteName) -> String {
    const SHOWN: usize = 5;
    let mut sites: Vec<SiteName> = arch.sites.iter().map(|site| site.name).collect();
    sites.sort_by_key(|site| {
        let distance = match (site.layer, wanted.layer) {
            (Some(layer), Some(wanted)) => layer.abs_diff(wanted),
            (None, None) => 0,
            _ => usize::MAX,
        };
        (distance, site.point != wanted.point)
    });
    let names = sites.iter().take(SHOWN).map(|site| format!("`{site}`"));
    let names: Vec<String> = names.collect();
    format!("a site that the model has, such as {}", names.join(", "))
}

/// The tensor that holds the site's values. Copies by `Identity` are followed to their source, so that two names of
/// one value are one tensor, and a sum inside a fused node is declared as its fourth output.
///
/// # Errors
/// Usage: the architecture does not belong to this graph.
pub(super) fn tensor(editor: &mut Editor, site: &Site) -> Result<String> {
    match &site.tensor {
        SiteTensor::Named(name) => source(editor, name, site),
        SiteTensor::SkipSum { node, name } => declare_sum(editor, *node, name)
            .ok_or_else(|| foreign(site, &format!("no node {node} with a sum"))),
    }
}

fn source(editor: &Editor, tensor: &str, site: &Site) -> Result<String> {
    let mut name = tensor;
    for _ in 0..=editor.graph.node.len() {
        match editor.producing_node(name) {
            Some(node) if node.op_type() == "Identity" && node.domain().is_empty() => {
                match node.input.first() {
                    Some(input) => name = input,
                    None => return Ok(name.to_owned()),
                }
            }
            Some(_) => return Ok(name.to_owned()),
            None if is_fed(editor, name) => return Ok(name.to_owned()),
            None => return Err(foreign(site, &format!("no tensor `{name}`"))),
        }
    }
    Err(foreign(site, &format!("a cycle through `{name}`")))
}

fn is_fed(editor: &Editor, name: &str) -> bool {
    editor.graph.input.iter().any(|input| input.name() == name)
        || editor
            .graph
            .initializer
            .iter()
            .any(|tensor| tensor.name() == name)
}

fn declare_sum(editor: &mut Editor, index: usize, wanted: &str) -> Option<String> {
    let node = editor.graph.node.get(index)?;
    if !is_skip_norm(node) {
        return None;
    }
    if let Some(name) = node.output.get(SUM_OUTPUT).filter(|name| !name.is_empty()) {
        return Some(name.clone());
    }
    let name = editor.fresh(wanted);
    let outputs = &mut editor.graph.node.get_mut(index)?.output;
    outputs.resize(SUM_OUTPUT, String::new());
    outputs.push(name.clone());
    let producer = Producer {
        node: index,
        output: SUM_OUTPUT,
    };
    editor.set_producer(&name, producer);
    Some(name)
}

fn foreign(site: &Site, found: &str) -> Fault {
    Fault::usage(format!("finding `{}` in the graph", site.name), found)
        .expected("the graph from which the architecture was read")
}
