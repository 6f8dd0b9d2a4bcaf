//! What decoding a file would take, reckoned from its bytes before anything is decoded.
//!
//! An empty message is two bytes in a file and several hundred in memory, so that a few megabytes could fill any machine.
//! This walk reads keys and lengths alone: weights are skipped and their pages never touched.

use super::onnx;

/// How deep messages may lie in one another; a subgraph takes three (node, attribute, graph). The decoder, which calls itself,
/// goes to 100.
pub(super) const DEEPEST: usize = 96;

/// A vector grows by doubling, so that what it holds may take twice its size.
const GROWTH: u64 = 2;
/// A string beside its own bytes: its place in a vector, and what an allocation takes at the least.
const STRING: u64 = 80;
const MIB: u64 = 1 << 20;

/// What is wrong with the bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flaw {
    /// They are no protobuf.
    Damaged(String),
    /// Messages lie too deep in one another.
    Deep,
    /// Decoded they would take at least so many bytes, more than so many that are allowed.
    Large { needed: u64, allowed: u64 },
}

/// The messages of ONNX that have fields of a size that is not fixed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    Sparse,
    ValueInfo,
    Type,
    Dense,
    Wrapped,
    Map,
    Opaque,
    Shape,
    Dimension,
    Function,
    Training,
    Pair,
    Annotation,
    Device,
    Placement,
    Sharding,
    Sharded,
    Shards,
    Groups,
}

/// What a length-delimited field holds.
enum Field {
    Message(Kind, usize),
    Text,
    Bytes,
    /// Numbers one after the other, of so many bytes in the file (0: of varying length) and so many in memory.
    Numbers(u64, u64),
    Unknown,
}

/// Walks over the bytes of a model.
///
/// # Errors
/// They are no protobuf, nest too deep, or would take more memory than a file of that length may: 64 MiB and 64 times the
/// file, and not more than 1 GiB and twice the file.
pub(super) fn check(bytes: &[u8]) -> Result<(), Flaw> {
    let allowed = allowed(bytes.len());
    let needed = weigh(bytes, allowed)?;
    tracing::debug!(needed, allowed, "decoding the model");
    Ok(())
}

/// Bytes that the messages of a file of `len` bytes may take in memory.
pub(super) fn allowed(len: usize) -> u64 {
    let len = len as u64;
    let small = (64 * MIB).saturating_add(len.saturating_mul(64));
    let large = (1024 * MIB).saturating_add(len.saturating_mul(2));
    small.min(large)
}

/// Bytes of memory that the decoded messages take at the most, without what they share with `bytes`.
fn weigh(bytes: &[u8], allowed: u64) -> Result<u64, Flaw> {
    let mut reader = Reader { bytes, at: 0 };
    let mut open = vec![(Kind::Model, bytes.len())];
    let mut needed = 0_u64;
    while let Some(&(kind, end)) = open.last() {
        if reader.at >= end {
            open.pop();
            continue;
        }
        let (number, wire) = reader.key(end)?;
        let cost = match wire {
            0 => {
                reader.varint(end)?;
                GROWTH * 8
            }
            1 => {
                reader.skip(8, end)?;
                GROWTH * 8
            }
            5 => {
                reader.skip(4, end)?;
                GROWTH * 8
            }
            2 => {
                let len = reader.varint(end)?;
                let start = reader.at;
                reader.skip(len, end)?;
                match field(kind, number) {
                    Field::Message(inner, size) => {
                        open.push((inner, reader.at));
                        reader.at = start;
                        if open.len() > DEEPEST {
                            return Err(Flaw::Deep);
                        }
                        GROWTH.saturating_mul(size as u64)
                    }
                    Field::Text => STRING.saturating_add(len),
                    Field::Bytes => STRING,
                    Field::Numbers(0, size) => {
                        let held = bytes.get(start..reader.at).unwrap_or_default();
                        let count = held.iter().filter(|byte| **byte < 0x80).count() as u64;
                        GROWTH.saturating_mul(count).saturating_mul(size)
                    }
                    Field::Numbers(width, size) => {
                        GROWTH.saturating_mul(len / width).saturating_mul(size)
                    }
                    Field::Unknown => 0,
                }
            }
            other => {
                return Err(Flaw::Damaged(format!(
                    "a field of wire type {other} at byte {}",
                    reader.at
                )));
            }
        };
        needed = needed.saturating_add(cost);
        if needed > allowed {
            return Err(Flaw::Large { needed, allowed });
        }
    }
    Ok(needed)
}

struct Reader<'b> {
    bytes: &'b [u8],
    at: usize,
}

impl Reader<'_> {
    fn key(&mut self, end: usize) -> Result<(u32, u8), Flaw> {
        let at = self.at;
        let key = self.varint(end)?;
        let number = u32::try_from(key).map_or(0, |key| key >> 3);
        if number == 0 {
            return Err(Flaw::Damaged(format!("no field's key at byte {at}")));
        }
        Ok((number, (key & 7) as u8))
    }

    fn varint(&mut self, end: usize) -> Result<u64, Flaw> {
        let start = self.at;
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let Some(byte) = self.bytes.get(self.at).filter(|_| self.at < end) else {
                return Err(cut(start));
            };
            self.at += 1;
            value |= u64::from(byte & 0x7f) << shift;
            if *byte < 0x80 {
                return Ok(value);
            }
        }
        Err(Flaw::Damaged(format!(
            "a number without end at byte {start}"
        )))
    }

    fn skip(&mut self, len: u64, end: usize) -> Result<(), Flaw> {
        let next = usize::try_from(len)
            .ok()
            .and_then(|len| self.at.checked_add(len));
        match next.filter(|next| *next <= end) {
            Some(next) => {
                self.at = next;
                Ok(())
            }
            None => Err(cut(self.at)),
        }
    }
}

fn cut(at: usize) -> Flaw {
    Flaw::Damaged(format!(
        "a field at byte {at} that reaches past the end of its message"
    ))
}

/// The fields of `onnx.proto` that are length-delimited, by their numbers.
fn field(kind: Kind, number: u32) -> Field {
    use Field::{Bytes, Numbers, Text};
    match (kind, number) {
        (Kind::Model, 7) | (Kind::Attribute, 6 | 11) | (Kind::Training, 1 | 2) => {
            message::<onnx::GraphProto>(Kind::Graph)
        }
        (Kind::Model, 8) | (Kind::Function, 9) => message::<onnx::OperatorSetIdProto>(Kind::Pair),
        (Kind::Model | Kind::Function, 14)
        | (Kind::Graph, 16)
        | (Kind::Node, 9)
        | (Kind::Tensor, 13 | 16)
        | (Kind::ValueInfo, 4)
        | (Kind::Training, 3 | 4)
        | (Kind::Annotation, 2) => message::<onnx::StringStringEntryProto>(Kind::Pair),
        (Kind::Model, 20) => message::<onnx::TrainingInfoProto>(Kind::Training),
        (Kind::Model, 25) => message::<onnx::FunctionProto>(Kind::Function),
        (Kind::Model, 26) => message::<onnx::DeviceConfigurationProto>(Kind::Device),
        (Kind::Graph, 1) | (Kind::Function, 7) => message::<onnx::NodeProto>(Kind::Node),
        (Kind::Graph, 5) | (Kind::Attribute, 5 | 10) | (Kind::Sparse, 1 | 2) => {
            message::<onnx::TensorProto>(Kind::Tensor)
        }
        (Kind::Graph, 15) | (Kind::Attribute, 22 | 23) => {
            message::<onnx::SparseTensorProto>(Kind::Sparse)
        }
        (Kind::Graph, 11..=13) | (Kind::Function, 12) => {
            message::<onnx::ValueInfoProto>(Kind::ValueInfo)
        }
        (Kind::Graph, 14) => message::<onnx::TensorAnnotation>(Kind::Annotation),
        (Kind::Node, 5) | (Kind::Function, 11) => message::<onnx::AttributeProto>(Kind::Attribute),
        (Kind::Node, 10) => message::<onnx::NodeDeviceConfigurationProto>(Kind::Placement),
        (Kind::Attribute, 14 | 15) | (Kind::ValueInfo | Kind::Map, 2) | (Kind::Wrapped, 1) => {
            message::<onnx::TypeProto>(Kind::Type)
        }
        (Kind::Type, 1 | 8) => message::<onnx::type_proto::Tensor>(Kind::Dense),
        (Kind::Type, 4 | 9) => message::<onnx::type_proto::Sequence>(Kind::Wrapped),
        (Kind::Type, 5) => message::<onnx::type_proto::Map>(Kind::Map),
        (Kind::Type, 7) => message::<onnx::type_proto::Opaque>(Kind::Opaque),
        (Kind::Dense, 2) => message::<onnx::TensorShapeProto>(Kind::Shape),
        (Kind::Shape, 1) => message::<onnx::tensor_shape_proto::Dimension>(Kind::Dimension),
        (Kind::Placement, 2) => message::<onnx::ShardingSpecProto>(Kind::Sharding),
        (Kind::Sharding, 3) => message::<onnx::IntIntListEntryProto>(Kind::Groups),
        (Kind::Sharding, 4) => message::<onnx::ShardedDimProto>(Kind::Sharded),
        (Kind::Sharded, 2) => message::<onnx::SimpleShardedDimProto>(Kind::Shards),
        (Kind::Attribute, 4 | 9) | (Kind::Tensor, 6 | 9) => Bytes,
        (Kind::Attribute, 7) | (Kind::Tensor, 4) => Numbers(4, 4),
        (Kind::Tensor, 10) => Numbers(8, 8),
        (Kind::Tensor, 5) => Numbers(0, 4),
        (Kind::Attribute, 8)
        | (Kind::Tensor, 1 | 7 | 11)
        | (Kind::Sparse, 3)
        | (Kind::Sharding | Kind::Groups, 2) => Numbers(0, 8),
        (Kind::Model, 2..=4 | 6)
        | (Kind::Graph, 2 | 10)
        | (Kind::Node, 1..=4 | 6..=8)
        | (Kind::Attribute, 1 | 13 | 21)
        | (Kind::Tensor, 8 | 12)
        | (Kind::ValueInfo | Kind::Device, 1 | 3)
        | (Kind::Type, 6)
        | (Kind::Opaque | Kind::Pair, 1 | 2)
        | (Kind::Dimension, 2 | 3)
        | (Kind::Function, 1 | 4..=6 | 8 | 10 | 13)
        | (Kind::Annotation | Kind::Placement | Kind::Sharding, 1)
        | (Kind::Shards, 2) => Text,
        _ => Field::Unknown,
    }
}

fn message<M>(kind: Kind) -> Field {
    Field::Message(kind, size_of::<M>())
}
