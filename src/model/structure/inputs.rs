//! What each graph input means: by what reads it, and by its name only where that does not tell.

use super::super::architecture::{Element, InputPort, InputRole};
use super::super::onnx::ValueInfoProto;
use super::super::onnx::tensor_proto::DataType;
use super::super::operators::{Role, role};
use super::broken;
use super::cache;
use super::port;
use super::reach::Reach;
use super::shape;
use crate::fault::{Fault, Result};

/// How many operators may stand between an input and the table that it indexes.
const FAR: usize = 16;

/// Lists the inputs with their roles.
///
/// # Errors
/// No input holds token ids, or an input is not understood.
pub(super) fn read(
    reach: &Reach<'_, '_>,
    embedding: &str,
    vocab_size: usize,
) -> Result<Vec<InputPort>> {
    let tokens = token_ids(reach, embedding, vocab_size)?;
    let mut ports = Vec::new();
    for input in reach.index.inputs() {
        let name = input.name();
        let element = element(input)?;
        let (role, grown) = if name == tokens {
            (InputRole::TokenIds, None)
        } else {
            match cache::read(reach, input)? {
                Some(cache) if element.is_float() => {
                    (InputRole::PastKeyValue(cache.dims), cache.grown)
                }
                _ => (port::of(reach, input, element)?, None),
            }
        };
        ports.push(InputPort {
            name: name.to_string(),
            element,
            role,
            grown,
        });
    }
    Ok(ports)
}

/// If the node looks rows up in a constant table: the table and the indices.
pub(super) fn lookup<'g>(reach: &Reach<'_, 'g>, node: usize) -> Option<(&'g str, &'g str)> {
    let message = reach.index.node(node)?;
    let Some(Role::Lookup { table, indices }) = role(message.op_type()) else {
        return None;
    };
    let (table, indices) = (message.input.get(table)?, message.input.get(indices)?);
    (!reach.is_live(table) && reach.is_live(indices)).then_some((table, indices))
}

/// The integer input that indexes the embedding's table. Positions may index a table of their own: the one with
/// a row for each word of the vocabulary wins, then the larger.
fn token_ids<'g>(reach: &Reach<'_, 'g>, embedding: &'g str, vocab_size: usize) -> Result<&'g str> {
    let mut best: Option<(bool, usize, &'g str)> = None;
    for node in reach.region(embedding, None)? {
        let Some((table, indices)) = lookup(reach, node) else {
            continue;
        };
        let Some(input) = fed_directly(reach, indices) else {
            continue;
        };
        let rows = shape::dims(reach.index, table)
            .and_then(|dims| dims.first().copied().flatten())
            .unwrap_or(0);
        let found = (rows == vocab_size, rows, input);
        if best.is_none_or(|best| (found.0, found.1) > (best.0, best.1)) {
            best = Some(found);
        }
    }
    best.map(|(_, _, input)| input).ok_or_else(|| {
        broken(
            format!("no graph input indexes the table behind the embedding `{embedding}`"),
            "token ids, an integer input [batch, seq]",
        )
        .hint("export the model with token ids as its input, not with embeddings")
    })
}

/// The graph input behind a tensor if nothing is computed on the way.
pub(super) fn fed_directly<'g>(reach: &Reach<'_, 'g>, tensor: &'g str) -> Option<&'g str> {
    let mut at = tensor;
    for _ in 0..FAR {
        if reach.index.input(at).is_some() {
            return Some(at);
        }
        let node = reach.index.node(reach.index.producer(at)?.0)?;
        match node.op_type() {
            "Reshape" | "Cast" | "Identity" | "Unsqueeze" | "Squeeze" | "Flatten" | "Slice"
            | "Transpose" => {
                at = node.input.first()?;
            }
            _ => return None,
        }
    }
    None
}

fn element(input: &ValueInfoProto) -> Result<Element> {
    let kind = shape::tensor_type(input).and_then(|tensor| tensor.elem_type);
    let kind = kind.and_then(|kind| DataType::try_from(kind).ok());
    Ok(match kind {
        Some(DataType::Float) => Element::F32,
        Some(DataType::Float16) => Element::F16,
        Some(DataType::Bfloat16) => Element::BF16,
        Some(DataType::Int64) => Element::I64,
        Some(DataType::Int32) => Element::I32,
        Some(DataType::Bool) => Element::Bool,
        other => {
            return Err(unknown(
                input,
                &format!(
                    "of type {}",
                    other.map_or("unknown", |kind| kind.as_str_name())
                ),
            ));
        }
    })
}

/// An input that nothing is known to be fed into.
pub(super) fn unknown(input: &ValueInfoProto, what: &str) -> Fault {
    broken(
        format!("a graph input `{}` {what}", input.name()),
        "token ids, an attention mask, positions, or a key or value cache",
    )
    .hint("export the model as a plain decoder: token ids and an attention mask in, logits out")
}
