//! Finds a decoder's architecture in its graph, by structure alone.
//!
//! From the logits back through the unembedding ([`unembed`]) and the last norm ([`norm`]) lies the residual stream
//! ([`stream`]): a chain of additions in which one side is the stream and the others are branches computed from it.
//! A branch with a softmax over products of queries and keys, or a fused attention operator, is attention, any other
//! an MLP ([`branch`]); together they make blocks ([`blocks`]). Names of nodes and tensors decide nothing but
//! between a mask and positions that nothing else tells apart ([`inputs`]).

mod blocks;
mod branch;
mod cache;
mod heads;
mod hint;
mod inputs;
mod linear;
mod norm;
mod reach;
mod role;
mod score_mask;
mod shape;
mod stream;
mod unembed;
mod value;

use std::collections::HashSet;

use super::architecture::{Architecture, Block, Site, SiteTensor};
use super::file::Model;
use super::index::GraphIndex;
use super::onnx::ModelProto;
use super::onnx::tensor_proto::DataType;
use super::site::{Point, SiteName};
use crate::fault::{Fault, Result};
use blocks::Layer;
use reach::Reach;
use value::Value;

impl Architecture {
    /// Finds layers, widths, sites and inputs.
    ///
    /// # Errors
    /// The graph is damaged, or is no decoder that is understood; the message names the place where the chain broke.
    pub fn find(model: &Model) -> Result<Self> {
        let index = GraphIndex::new(model.graph())?;
        find(model.proto(), &index)
    }
}

/// A graph that does not fit, with the place.
fn broken(found: impl Into<String>, expected: impl Into<String>) -> Fault {
    Fault::usage("finding the residual stream in the graph", found)
        .expected(expected)
        .hint("only decoders with a residual stream are audited; if this is one, export it without further fusing")
}

fn find(proto: &ModelProto, index: &GraphIndex<'_>) -> Result<Architecture> {
    let reach = Reach::new(index);
    let (logits, head) = logits(&reach)?;
    let vocab_size = shape::width(&reach, logits)
        .or_else(|| linear::width(&reach, head.unembedding))
        .ok_or_else(|| {
            broken(
                format!("the size of the last dimension of `{logits}` is nowhere stated"),
                "the size of the vocabulary",
            )
        })?;
    let stream = stream::walk(&reach, head.stream)?;
    let mut layers = blocks::group(&reach, &stream)?;
    let mut ln_final = head.norm;
    if let (true, Some(norm), Some(last)) = (stream.post_norm, ln_final, layers.last_mut()) {
        // The norm that the unembedding reads is then the last block's own.
        last.post = Value::Named(norm);
        ln_final = None;
    }
    let d_model = width(
        &reach,
        stream.embedding,
        &layers,
        ln_final,
        head.unembedding,
    )?;
    let blocks: Vec<Block> = layers
        .iter()
        .map(|layer| Block {
            parallel: layer.parallel,
            attention: index
                .node(layer.attention)
                .map_or_else(String::new, |node| node.op_type().to_string()),
        })
        .collect();
    let inputs = inputs::read(&reach, stream.embedding, vocab_size)?;
    let mut sites = Sites::new(&reach, d_model);
    sites.add(
        SiteName::outside(Point::Embed),
        Value::Named(stream.embedding),
    );
    let mut pre = Value::Named(stream.embedding);
    for (number, layer) in layers.iter().enumerate() {
        let at = |point| SiteName::block(number, point);
        sites.add(at(Point::ResidPre), pre);
        if let Some(attn_out) = layer.attn_out {
            sites.add(at(Point::AttnOut), Value::Named(attn_out));
        }
        if let Some(mid) = layer.mid {
            sites.add(at(Point::ResidMid), mid);
        }
        if let Some(mlp_out) = layer.mlp_out {
            sites.add(at(Point::MlpOut), Value::Named(mlp_out));
        }
        sites.add(at(Point::ResidPost), layer.post);
        pre = layer.post;
    }
    if let Some(norm) = ln_final {
        sites.add(SiteName::outside(Point::LnFinal), Value::Named(norm));
    }
    Ok(Architecture {
        n_layers: layers.len(),
        d_model,
        n_heads: layers
            .first()
            .and_then(|layer| heads::of(&reach, layer.attention)),
        vocab_size,
        family_hint: hint::family(proto, &blocks),
        blocks,
        sites: sites.found,
        inputs,
        logits: logits.to_string(),
    })
}

/// The float output that is `[batch, seq, vocab]` and comes from an unembedding; the widest if several do.
fn logits<'g>(reach: &Reach<'_, 'g>) -> Result<(&'g str, unembed::Head<'g>)> {
    let mut best: Option<(usize, &'g str, unembed::Head<'g>)> = None;
    let mut first_fault = None;
    for output in &reach.index.graph().output {
        let kind = shape::tensor_type(output).and_then(|tensor| tensor.elem_type);
        let kind = kind.and_then(|kind| DataType::try_from(kind).ok());
        let float = matches!(
            kind,
            None | Some(DataType::Float | DataType::Float16 | DataType::Bfloat16)
        );
        let cubic = shape::of_info(output).is_none_or(|dims| dims.len() == 3);
        if !float || !cubic {
            continue;
        }
        match unembed::trace(reach, output.name()) {
            Ok(head) => {
                let width = shape::width(reach, output.name()).unwrap_or(0);
                if best.as_ref().is_none_or(|(widest, _, _)| width > *widest) {
                    best = Some((width, output.name(), head));
                }
            }
            Err(fault) => first_fault = first_fault.or(Some(fault)),
        }
    }
    match (best, first_fault) {
        (Some((_, name, head)), _) => Ok((name, head)),
        (None, Some(fault)) => Err(fault),
        (None, None) => Err(broken(
            format!(
                "the outputs {}",
                reach
                    .index
                    .graph()
                    .output
                    .iter()
                    .map(|output| format!(
                        "`{}` [{}]",
                        output.name(),
                        shape::symbolic(output).unwrap_or_default().join(", ")
                    ))
                    .collect::<Vec<_>>()
                    .join(", ")
            ),
            "float logits [batch, seq, vocab] among them",
        )),
    }
}

/// The stream's width; every place that states one must agree.
fn width(
    reach: &Reach<'_, '_>,
    embedding: &str,
    layers: &[Layer<'_>],
    ln_final: Option<&str>,
    unembedding: usize,
) -> Result<usize> {
    let points = layers
        .iter()
        .flat_map(|layer| [layer.mid, Some(layer.post)]);
    let named = points.flatten().filter_map(|value| match value {
        Value::Named(name) => Some(name),
        Value::SkipSum(_) => None,
    });
    let branches = layers
        .iter()
        .flat_map(|layer| [layer.attn_out, layer.mlp_out])
        .flatten();
    let mut known: Option<(usize, &str)> = None;
    for name in [embedding]
        .into_iter()
        .chain(named)
        .chain(branches)
        .chain(ln_final)
    {
        let Some(width) = shape::width(reach, name) else {
            continue;
        };
        match known {
            Some((other, place)) if other != width => {
                return Err(broken(
                    format!("`{place}` is {other} wide and `{name}` {width}"),
                    "one width along the whole residual stream",
                ));
            }
            _ => known = known.or(Some((width, name))),
        }
    }
    known.map(|(width, _)| width).ok_or_else(|| {
        broken(
            format!(
                "the width of the stream before {} is nowhere stated",
                reach.index.describe(unembedding)
            ),
            "shapes or weights that tell it",
        )
    })
}

/// Collects sites and gives unnamed sums a name that nothing else has.
struct Sites<'r, 'i, 'g> {
    reach: &'r Reach<'i, 'g>,
    taken: HashSet<&'g str>,
    d_model: usize,
    found: Vec<Site>,
}

impl<'r, 'i, 'g> Sites<'r, 'i, 'g> {
    fn new(reach: &'r Reach<'i, 'g>, d_model: usize) -> Self {
        let graph = reach.index.graph();
        let made = graph.node.iter().flat_map(|node| &node.output);
        let taken = made.map(String::as_str).collect();
        Self {
            reach,
            taken,
            d_model,
            found: Vec::new(),
        }
    }

    fn add(&mut self, name: SiteName, value: Value<'g>) {
        let (tensor, shape) = match value {
            Value::Named(tensor) => {
                let stated = self.reach.index.info(tensor).and_then(shape::symbolic);
                // Code that reshapes to `[batch × seq, d_model]` leaves no place to read or write by position.
                if shape::rank(self.reach, tensor).is_some_and(|rank| rank != 3) {
                    return;
                }
                (SiteTensor::Named(tensor.to_string()), stated)
            }
            Value::SkipSum(node) => {
                let mut name = format!("node_{node}_input_skip_bias_sum");
                while self.taken.contains(name.as_str()) || self.reach.index.info(&name).is_some() {
                    name.push('_');
                }
                (SiteTensor::SkipSum { node, name }, None)
            }
        };
        self.found.push(Site {
            name,
            tensor,
            shape: shape
                .unwrap_or_else(|| vec!["batch".into(), "seq".into(), self.d_model.to_string()]),
        });
    }
}
