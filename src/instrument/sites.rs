//! From a site's name to the one tensor of the graph that holds its values.

use super::editor::{Editor, Producer};
use super::split::is_skip_norm;
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Form, Layout, Site, SiteName, SiteTensor};

/// Outputs of ONNX Runtime's `Skip…LayerNormalization`: normalised, mean, inverse deviation, input + skip + bias.
pub(super) const SUM_OUTPUT: usize = 3;

/// The site of that name.
///
/// # Errors
/// Usage: the model has no such site; the message lists near ones.
pub(super) fn find(arch: &Architecture, name: SiteName) -> Result<&Site> {
    arch.site(name).ok_or_else(|| {
        let why = arch.why_absent(name);
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        Fault::usage(
            "instrumenting the model",
            format!("no site `{name}` in this model{why}"),
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

/// What holds a site's values in the graph.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Held {
    /// The tensors whose sum they are; mostly one. The first is made after the others.
    pub parts: Vec<String>,
    /// The axes in which they are read and written.
    pub layout: Layout,
    /// How the tensors lie to that.
    pub form: Form,
}

impl Held {
    /// The tensor that a write replaces.
    pub fn tensor(&self) -> &str {
        self.parts.first().map_or("", String::as_str)
    }

    /// What is added to it.
    pub fn others(&self) -> &[String] {
        self.parts.get(1..).unwrap_or_default()
    }
}

/// What holds the site's values. Copies by `Identity` are followed to their source, so that two names of one value are
/// one tensor, and a sum inside a fused node is declared as its fourth output.
///
/// # Errors
/// Usage: the architecture does not belong to this graph.
pub(super) fn held(editor: &mut Editor, site: &Site) -> Result<Held> {
    let parts = match &site.tensor {
        SiteTensor::Named(name) => vec![source(editor, name, site)?],
        SiteTensor::Sum(parts) => parts
            .iter()
            .map(|name| source(editor, name, site))
            .collect::<Result<_>>()?,
        SiteTensor::SkipSum { node, name } => vec![
            declare_sum(editor, *node, name)
                .ok_or_else(|| foreign(site, &format!("no node {node} with a sum")))?,
        ],
    };
    Ok(Held {
        parts,
        layout: site.layout,
        form: site.form,
    })
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
