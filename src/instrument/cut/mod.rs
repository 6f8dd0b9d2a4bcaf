//! The model cut into pieces at its stream and its branches, each a graph of its own over the same weights. Pure.
//!
//! A piece is what lies between the tensors that it is given and those that are wanted of it, found backwards from the latter. What
//! depends on the model's inputs alone (masks, rotary tables, sizes) is computed again in each piece that needs it, for the batch
//! and the length that the piece is run with.

mod region;
mod stand_ins;

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;

use super::build;
use super::editor::Editor;
use super::element::Elements;
use super::narrow::narrow;
use super::sites;
use super::split::split;
use super::write::is_fused_sum;
use crate::fault::{Fault, Result};
use crate::model::onnx::tensor_proto::DataType;
use crate::model::onnx::{GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto};
use crate::model::{
    Architecture, Encoder, Form, GraphIndex, InputRole, Layout, Model, Point, SiteName,
};
use region::Region;
use stand_ins::StandIns;

/// A place at which the model can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cut {
    /// The stream as it enters block `layer`; as it leaves the last one for the number of layers.
    Stream(usize),
    /// What enters the attention of a block while each token stands for itself ([`crate::model::Block::crossing`]).
    Crossing(usize),
    /// What the heads of a block have gathered, as the output projection reads it; the attention's output where the graph does
    /// not show it.
    Gathered(usize),
    /// What the attention of a block adds to the stream.
    AttnOut(usize),
    /// The stream between attention and MLP.
    Mid(usize),
    /// What the MLP of a block adds to the stream.
    MlpOut(usize),
    /// The logits.
    Logits,
    /// The logits of the tokens that a further input names, [`TOKENS`](super::TOKENS) `[tokens]`.
    SomeLogits,
}

/// A graph between two sets of cuts.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The encoded ONNX model; external tensors still refer to files in `folder`.
    pub bytes: Vec<u8>,
    /// Where external data lies.
    pub folder: PathBuf,
    /// The tensors that it is given, by their names in the model; its inputs beside the model's own. Those that nothing
    /// wanted is computed from are left out.
    pub given: Vec<String>,
    /// The tensors that are wanted, its outputs. Those that are given already are left out.
    pub wanted: Vec<String>,
}

/// Cuts one model.
pub struct Cutter {
    proto: ModelProto,
    encoder: Encoder,
    graph: GraphProto,
    elements: Elements,
    cuts: HashMap<Cut, Vec<String>>,
    why_not: HashMap<Cut, String>,
    /// Tensors `[batch, seq, width]` of known width.
    by_token: HashMap<String, usize>,
    /// Whatever is computed from the stream.
    streamed: HashSet<String>,
    tokens: String,
    layers: usize,
}

impl Cutter {
    /// Prepares a model; sums inside fused norms are taken out of them.
    ///
    /// # Errors
    /// Usage: the architecture does not belong to the model, or its graph is damaged.
    pub fn new(model: &Model, arch: &Architecture) -> Result<Self> {
        let mut editor = Editor::new(model.proto(), arch)?;
        let held = arch
            .sites
            .iter()
            .map(|site| Ok((site, sites::held(&mut editor, site)?)))
            .collect::<Result<Vec<_>>>()?;
        let mut opened = HashSet::new();
        for (_, held) in &held {
            let sum = held.tensor();
            let fused = is_fused_sum(&editor, sum) && opened.insert(sum.to_owned());
            let Some(producer) = editor.producer(sum).filter(|_| fused) else {
                continue;
            };
            for node in split(&mut editor, producer.node, sum, sum)? {
                editor.push(Some(producer.node), node);
            }
        }
        let mut proto = editor.finish();
        let graph = proto.graph.take().unwrap_or_default();

        let mut cuts = HashMap::new();
        let mut why_not = HashMap::new();
        let mut by_token = HashMap::new();
        for (site, held) in &held {
            if let (Layout::Token { width }, Form::Same, []) =
                (site.layout, held.form, held.others())
            {
                by_token.insert(held.tensor().to_owned(), width);
            }
            for cut in cuts_of(site.name, arch.n_layers) {
                if held.form == Form::SequenceFirst {
                    let why = format!("`{}` has the sequence before the batch", site.name);
                    why_not.insert(cut, why);
                } else {
                    cuts.insert(cut, held.parts.clone());
                }
            }
        }
        for absent in &arch.absent {
            for cut in cuts_of(absent.name, arch.n_layers) {
                why_not.insert(cut, format!("no `{}`: {}", absent.name, absent.why));
            }
        }
        for (layer, block) in arch.blocks.iter().enumerate() {
            if !block.crossing.is_empty() {
                cuts.insert(Cut::Crossing(layer), block.crossing.clone());
            }
            if let Some(branch) = cuts.get(&Cut::AttnOut(layer)).cloned() {
                cuts.entry(Cut::Gathered(layer)).or_insert(branch);
            }
        }
        let stream = cuts.get(&Cut::Stream(0)).and_then(|parts| parts.first());
        let streamed = match stream {
            Some(stream) => computed_from(&GraphIndex::new(&graph)?, stream),
            None => HashSet::new(),
        };
        let tokens = arch
            .inputs
            .iter()
            .find(|port| port.role == InputRole::TokenIds)
            .map_or_else(String::new, |port| port.name.clone());
        Ok(Self {
            elements: Elements::of(&graph),
            proto,
            encoder: model.encoder().clone(),
            graph,
            cuts,
            why_not,
            by_token,
            streamed,
            tokens,
            layers: arch.n_layers,
        })
    }

    /// The tensors that are held at a cut: the terms of a sum where there are several at a branch, each its own at a crossing.
    ///
    /// # Errors
    /// Usage: the model does not show that place.
    pub fn tensors(&self, cut: Cut) -> Result<&[String]> {
        self.cuts.get(&cut).map(Vec::as_slice).ok_or_else(|| {
            let why = self
                .why_not
                .get(&cut)
                .map_or("not found in the graph", String::as_str);
            Fault::usage(
                format!("cutting the model at {}", cut.words(self.layers)),
                why,
            )
        })
    }

    /// The graph that computes `wanted` from `given` and the model's inputs.
    ///
    /// # Errors
    /// Usage: a cut is not shown by the model, or what is wanted is computed from the stream by another way than through what is
    /// given. [`Cut::SomeLogits`], which is wanted alone: something other than a product with a weight and operators on single logits
    /// makes the logits.
    pub fn piece(&self, given: &[Cut], wanted: &[Cut]) -> Result<Piece> {
        let narrowed = wanted == [Cut::SomeLogits];
        let (mut graph, given, wanted) = self.between(given, wanted)?;
        if narrowed {
            let logits = wanted.first().map_or("", String::as_str);
            narrow(&mut graph, logits).map_err(|found| {
                Fault::usage("computing the logits of some tokens", found)
                    .expected("a product with a weight, and operators on single logits behind it")
            })?;
        }
        Ok(self.encoded(graph, given, wanted))
    }

    fn encoded(&self, graph: GraphProto, given: Vec<String>, wanted: Vec<String>) -> Piece {
        let proto = ModelProto {
            graph: Some(graph),
            ..self.proto.clone()
        };
        Piece {
            bytes: self.encoder.encode(&proto),
            folder: self.encoder.folder().to_path_buf(),
            given,
            wanted,
        }
    }

    fn between(
        &self,
        given: &[Cut],
        wanted: &[Cut],
    ) -> Result<(GraphProto, Vec<String>, Vec<String>)> {
        let doing = || {
            let words = |cuts: &[Cut]| {
                let words: Vec<_> = cuts.iter().map(|cut| cut.words(self.layers)).collect();
                words.join(" and ")
            };
            format!(
                "cutting out {} as computed from {}",
                words(wanted),
                words(given)
            )
        };
        let given = self.names(given)?;
        let wanted = self.names(wanted)?;
        let index = GraphIndex::new(&self.graph)?;
        // A bias that is a term of a sum is known.
        let given: Vec<&str> = given
            .into_iter()
            .filter(|name| index.initializer(name).is_none())
            .collect();
        let is_given: HashSet<&str> = given.iter().copied().collect();
        let wanted: Vec<&str> = wanted
            .into_iter()
            .filter(|name| !is_given.contains(name))
            .collect();
        let region = Region::of(&index, &is_given, &wanted, &self.by_token);
        if let Some(other) = self.leak(&index, &region, &is_given) {
            return Err(Fault::usage(
                doing(),
                format!(
                    "`{other}`, which is computed from the stream by another way, is needed too"
                ),
            )
            .expected("blocks that read the stream as it enters them and nothing else of it"));
        }

        let (nodes, mut inputs, sizes) = self.copied(&index, &region);
        let mut given: Vec<String> = given.into_iter().map(str::to_owned).collect();
        given.retain(|name| region.given.contains(name.as_str()));
        given.dedup();
        for name in &given {
            let element = self.element(&index, name).ok_or_else(|| {
                Fault::usage(doing(), format!("`{name}` of unknown element type"))
                    .expected("an export that declares its element types")
            })?;
            inputs.push(match index.info(name) {
                Some(info) if info.r#type.is_some() => info.clone(),
                _ => build::unshaped(name.clone(), element),
            });
        }
        let made: HashSet<&str> = nodes
            .iter()
            .flat_map(|node| &node.output)
            .map(String::as_str)
            .collect();
        let value_info = self.graph.value_info.iter();
        let value_info = value_info
            .filter(|info| made.contains(info.name()))
            .cloned()
            .collect();
        let outputs = wanted.iter().map(|name| match self.element(&index, name) {
            Some(element) => build::unshaped((*name).to_owned(), element),
            None => ValueInfoProto {
                name: Some((*name).to_owned()),
                ..ValueInfoProto::default()
            },
        });
        let initializers = self.graph.initializer.iter();
        let initializers = initializers.filter(|tensor| region.stored.contains(tensor.name()));
        let sparse = self.graph.sparse_initializer.iter().filter(|tensor| {
            let values = tensor.values.as_ref();
            values.is_some_and(|values| region.stored.contains(values.name()))
        });
        let graph = GraphProto {
            name: self.graph.name.clone(),
            output: outputs.collect(),
            initializer: initializers.cloned().chain(sizes).collect(),
            sparse_initializer: sparse.cloned().collect(),
            input: inputs,
            value_info,
            node: nodes,
            ..GraphProto::default()
        };
        Ok((
            graph,
            given,
            wanted.into_iter().map(str::to_owned).collect(),
        ))
    }

    /// The nodes of a region, the model's inputs that they read, and the sizes of tensors that stand in for others of which only the
    /// shape is read.
    fn copied(
        &self,
        index: &GraphIndex<'_>,
        region: &Region<'_>,
    ) -> (Vec<NodeProto>, Vec<ValueInfoProto>, Vec<TensorProto>) {
        let mut nodes: Vec<NodeProto> = Vec::new();
        let mut stand_ins = StandIns::new(self);
        for node in region.nodes.iter().filter_map(|&node| index.node(node)) {
            let mut node = node.clone();
            if node.op_type() == "Shape" {
                for input in &mut node.input {
                    if let Some(width) = region.measured.get(input.as_str()) {
                        *input = stand_ins.of(*width, &mut nodes);
                    }
                }
            }
            nodes.push(node);
        }
        let mut inputs: Vec<ValueInfoProto> = Vec::new();
        for name in region.inputs.iter().copied().chain(stand_ins.used()) {
            if inputs.iter().all(|input| input.name() != name) {
                inputs.extend(index.input(name).cloned());
            }
        }
        (nodes, inputs, stand_ins.sizes)
    }

    fn names(&self, cuts: &[Cut]) -> Result<Vec<&str>> {
        let mut names: Vec<&str> = Vec::new();
        for cut in cuts {
            for name in self.tensors(*cut)? {
                if !names.contains(&name.as_str()) {
                    names.push(name);
                }
            }
        }
        Ok(names)
    }

    fn element(&self, index: &GraphIndex<'_>, tensor: &str) -> Option<DataType> {
        let producer = |name: &str| index.node(index.producer(name)?.0);
        self.elements.find(tensor, producer)
    }

    /// Something in the region that is computed from the stream, but not from what is given.
    fn leak(
        &self,
        index: &GraphIndex<'_>,
        region: &Region<'_>,
        given: &HashSet<&str>,
    ) -> Option<String> {
        if given.is_empty() {
            return None;
        }
        let mut through: HashSet<&str> = given.clone();
        for &node in &region.nodes {
            let Some(message) = index.node(node) else {
                continue;
            };
            let measures = |name: &str| region.measured.contains_key(name);
            let inside = index.reads(node).any(|name| through.contains(name))
                || (message.op_type() == "Shape" && index.reads(node).any(measures));
            for name in message.output.iter().filter(|name| !name.is_empty()) {
                if inside {
                    through.insert(name);
                } else if self.streamed.contains(name) {
                    return Some(name.clone());
                }
            }
        }
        None
    }
}

impl Cut {
    fn words(self, layers: usize) -> String {
        match self {
            Self::Stream(layer) if layer == layers => "the last `hook_resid_post`".into(),
            Self::Stream(layer) => format!("`blocks.{layer}.hook_resid_pre`"),
            Self::Crossing(layer) => format!("what enters the attention of block {layer}"),
            Self::Gathered(layer) => format!("`blocks.{layer}.attn.hook_z`"),
            Self::AttnOut(layer) => format!("`blocks.{layer}.hook_attn_out`"),
            Self::Mid(layer) => format!("`blocks.{layer}.hook_resid_mid`"),
            Self::MlpOut(layer) => format!("`blocks.{layer}.hook_mlp_out`"),
            Self::Logits => "the logits".into(),
            Self::SomeLogits => "the logits of some tokens".into(),
        }
    }
}

/// The cuts that a site is. The stream between two blocks is a site of both.
fn cuts_of(site: SiteName, layers: usize) -> Vec<Cut> {
    match (site.point, site.layer) {
        (Point::ResidPre, Some(layer)) => vec![Cut::Stream(layer)],
        (Point::ResidPost, Some(layer)) if layer + 1 == layers => vec![Cut::Stream(layers)],
        (Point::HookZ, Some(layer)) => vec![Cut::Gathered(layer)],
        (Point::AttnOut, Some(layer)) => vec![Cut::AttnOut(layer)],
        (Point::ResidMid, Some(layer)) => vec![Cut::Mid(layer)],
        (Point::MlpOut, Some(layer)) => vec![Cut::MlpOut(layer)],
        (Point::Logits, None) => vec![Cut::Logits, Cut::SomeLogits],
        _ => Vec::new(),
    }
}

/// Names of everything that is computed from a tensor, and the tensor.
fn computed_from(index: &GraphIndex<'_>, tensor: &str) -> HashSet<String> {
    let mut found = HashSet::from([tensor.to_owned()]);
    for &node in index.order() {
        if index.reads(node).any(|name| found.contains(name)) {
            let made = index.node(node).map_or(&[][..], |node| &node.output);
            found.extend(made.iter().filter(|name| !name.is_empty()).cloned());
        }
    }
    found
}
