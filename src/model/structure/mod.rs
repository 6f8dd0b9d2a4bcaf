//! Finds a decoder's architecture in its graph, by structure alone.
//!
//! From the logits back through the unembedding ([`unembed`]) and the last norm ([`norm`]) lies the residual stream
//! ([`stream`]): a chain of additions in which one side is the stream and the others are branches computed from it.
//! A branch with a softmax over products of queries and keys, or a fused attention operator, is attention, any other
//! an MLP ([`branch`]); together they make blocks ([`blocks`]). Names of nodes and tensors decide nothing but
//! between a mask and positions that nothing else tells apart ([`inputs`]).

mod attention;
mod blocks;
mod bounds;
mod branch;
mod cache;
mod crossing;
mod embedding;
mod facts;
mod heads;
mod hint;
mod inputs;
mod linear;
mod norm;
mod order;
mod port;
mod reach;
mod refuse;
mod scalar;
mod score_mask;
mod shape;
mod sites;
mod stream;
mod turn;
mod unembed;
mod value;

use super::architecture::{Architecture, Block, Form, InputRole};
use super::file::Model;
use super::index::GraphIndex;
use super::onnx::tensor_proto::DataType;
use super::onnx::{ModelProto, ValueInfoProto};
use super::site::Point;
use crate::fault::{Fault, Result};
use blocks::Layer;
use reach::Reach;
use sites::Found;
use value::Value;

impl Architecture {
    /// Finds layers, widths, sites and inputs.
    ///
    /// # Errors
    /// The graph is damaged, or is no decoder that is understood; the message names the place where the chain broke.
    pub fn find(model: &Model) -> Result<Self> {
        let index = GraphIndex::new(model.graph())?;
        let arch = find(model.proto(), &index).map_err(|fault| refuse::explain(&index, fault))?;
        bounds::check(&arch, &index)?;
        Ok(arch)
    }
}

/// Element type and dimensions of an input or output as the graph states them.
pub(super) fn described(info: &ValueInfoProto) -> (Option<DataType>, Option<Vec<String>>) {
    let kind = shape::tensor_type(info).and_then(|tensor| tensor.elem_type);
    let kind = kind.and_then(|kind| DataType::try_from(kind).ok());
    (kind, shape::symbolic(info))
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
    let (head, stream) = stream(&reach, head)?;
    let mut layers = blocks::group(&reach, &stream)?;
    let mut ln_final = head.norm;
    let is_own = stream.post_norm && !stream.ends_in_norm;
    if let (true, Some(norm), Some(last)) = (is_own, ln_final, layers.last_mut()) {
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
    let inputs = inputs::read(&reach, stream.embedding, vocab_size)?;
    let tokens = inputs
        .iter()
        .find(|port| port.role == InputRole::TokenIds)
        .map_or("", |port| port.name.as_str());
    let attentions = layers
        .iter()
        .map(|layer| attention::look(&reach, layer, tokens))
        .collect::<Result<Vec<_>>>()?;
    let (sites, absent) = sites::list(
        &reach,
        &Found {
            embedding: stream.embedding,
            layers: &layers,
            attentions: &attentions,
            ln_final,
            post_norm: stream.post_norm,
            logits,
            tokens,
            d_model,
            vocab_size,
        },
    )?;
    let turned = sites
        .iter()
        .any(|site| site.name.point == Point::Logits && site.form == Form::SequenceFirst);
    if turned {
        return Err(broken(
            format!("logits `{logits}` with the sequence before the batch"),
            "[batch, seq, vocab], as the token ids are [batch, seq]",
        ));
    }
    let (inside, facts) = facts::look(
        &reach,
        &facts::Whole {
            embedding: stream.embedding,
            layers: &layers,
            attentions: &attentions,
            ln_final,
            unembedding: head.unembedding,
            logits,
            inputs: &inputs,
            sites: &sites,
        },
    );
    let crossing = crossings(&reach, stream.embedding, d_model, &layers, &attentions)?;
    let blocks: Vec<Block> = layers
        .iter()
        .zip(inside)
        .zip(crossing)
        .map(|((layer, facts), crossing)| Block {
            crossing,
            parallel: layer.parallel,
            attention: index
                .node(layer.attention)
                .map_or_else(String::new, |node| node.op_type().to_string()),
            facts,
        })
        .collect();
    Ok(Architecture {
        n_layers: layers.len(),
        d_model,
        n_heads: attentions.first().and_then(|inside| inside.heads),
        vocab_size,
        family_hint: hint::family(proto, &blocks),
        blocks,
        sites,
        absent,
        inputs,
        logits: logits.to_string(),
        facts,
    })
}

/// What crosses into each layer's attention.
fn crossings<'g>(
    reach: &Reach<'_, 'g>,
    embedding: &'g str,
    d_model: usize,
    layers: &[Layer<'g>],
    attentions: &[attention::Inside<'g>],
) -> Result<Vec<Vec<String>>> {
    let mut pre = Value::Named(embedding);
    let mut all = Vec::with_capacity(layers.len());
    for (layer, inside) in layers.iter().zip(attentions) {
        let stream = match pre {
            Value::Named(tensor) => Some(tensor),
            // Nothing reads a sum inside a fused norm but the norm.
            Value::SkipSum(node) => reach
                .index
                .node(node)
                .and_then(|node| node.output.first())
                .map(String::as_str),
        };
        let end = inside.z.as_ref().map_or(layer.branch, |(z, _)| *z);
        all.push(match stream {
            Some(stream) => crossing::between(reach, stream, d_model, end)?,
            None => Vec::new(),
        });
        pre = layer.post;
    }
    Ok(all)
}

/// The stream below the head. Encoders have a small network with a norm of its own before their unembedding, so that
/// norms further down are tried too; the fault of the first one tells the most.
fn stream<'g>(
    reach: &Reach<'_, 'g>,
    head: unembed::Head<'g>,
) -> Result<(unembed::Head<'g>, stream::Stream<'g>)> {
    let first = match stream::walk(reach, head.stream) {
        Ok(stream) => return Ok((head, stream)),
        Err(fault) => fault,
    };
    let mut head = head;
    while let Some(further) = unembed::further(reach, &head)? {
        head = further;
        if let Ok(stream) = stream::walk(reach, head.stream) {
            return Ok((head, stream));
        }
    }
    Err(first)
}

/// The float output that is `[batch, seq, vocab]` and comes from an unembedding; the widest if several do, and of those as
/// wide the one with the most layers below it, because the others leave the model early.
fn logits<'g>(reach: &Reach<'_, 'g>) -> Result<(&'g str, unembed::Head<'g>)> {
    let mut found: Vec<(usize, &'g str, unembed::Head<'g>)> = Vec::new();
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
                found.push((width, output.name(), head));
            }
            Err(fault) => first_fault = first_fault.or(Some(fault)),
        }
    }
    let widest = found.iter().map(|(width, _, _)| *width).max();
    found.retain(|(width, _, _)| Some(*width) == widest);
    let alone = found.len() < 2;
    let mut best = None;
    for (_, name, head) in found {
        let layers = if alone { 0 } else { layers(reach, head) };
        if best.as_ref().is_none_or(|(most, _, _)| layers > *most) {
            best = Some((layers, name, head));
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

/// How many blocks lie below a head; none if there is no stream.
fn layers<'g>(reach: &Reach<'_, 'g>, head: unembed::Head<'g>) -> usize {
    let found = stream(reach, head).and_then(|(_, stream)| blocks::group(reach, &stream));
    found.map_or(0, |layers| layers.len())
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
        .flat_map(|layer| [&layer.attn_out, &layer.mlp_out])
        .flatten()
        .filter_map(|parts| parts.first().copied());
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
