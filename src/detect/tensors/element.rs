//! Element types of stored tensors, read as single precision.

use safetensors::Dtype;

/// An element type that can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Element {
    F16,
    BF16,
    F32,
    F64,
    I32,
    I64,
}

impl Element {
    pub(super) fn of_safetensors(dtype: Dtype) -> Option<Self> {
        match dtype {
            Dtype::F16 => Some(Self::F16),
            Dtype::BF16 => Some(Self::BF16),
            Dtype::F32 => Some(Self::F32),
            Dtype::F64 => Some(Self::F64),
            Dtype::I32 => Some(Self::I32),
            Dtype::I64 => Some(Self::I64),
            _ => None,
        }
    }

    /// The element type of a NumPy descriptor; big-endian ones are not read.
    pub(super) fn of_numpy(descr: &str) -> Option<Self> {
        match descr {
            "<f2" => Some(Self::F16),
            "<f4" => Some(Self::F32),
            "<f8" => Some(Self::F64),
            "<i4" => Some(Self::I32),
            "<i8" => Some(Self::I64),
            _ => None,
        }
    }

    /// Bytes of one element.
    pub(super) const fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::I64 => 8,
        }
    }

    pub(super) const fn is_float(self) -> bool {
        !matches!(self, Self::I32 | Self::I64)
    }

    /// Appends the elements in `bytes`; a rest that is no whole element is left out.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "weights are computed with in single precision"
    )]
    pub(super) fn append(self, bytes: &[u8], values: &mut Vec<f32>) {
        match self {
            Self::F16 => values.extend(chunks(bytes).map(|b| half::f16::from_le_bytes(b).to_f32())),
            Self::BF16 => {
                values.extend(chunks(bytes).map(|b| half::bf16::from_le_bytes(b).to_f32()));
            }
            Self::F32 => values.extend(chunks(bytes).map(f32::from_le_bytes)),
            Self::F64 => values.extend(chunks(bytes).map(|b| f64::from_le_bytes(b) as f32)),
            Self::I32 => values.extend(chunks(bytes).map(|b| i32::from_le_bytes(b) as f32)),
            Self::I64 => values.extend(chunks(bytes).map(|b| i64::from_le_bytes(b) as f32)),
        }
    }
}

fn chunks<const N: usize>(bytes: &[u8]) -> impl Iterator<Item = [u8; N]> {
    let (chunks, _) = bytes.as_chunks::<N>();
    chunks.iter().copied()
}
