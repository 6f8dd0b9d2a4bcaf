//! The operators that are known, and what each is to a transformer: the one place to add a form of an operator.
//!
//! Those of ONNX, and of ONNX Runtime's own domain, in which its optimiser and its builders write fused and quantised forms.
//! Arithmetic that is spelled out over several operators is recognised where it means something (`structure/norm.rs`).

/// What an operator does, as far as the finder and the editor care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Normalises its first input; `gain` is the slot of a weight as wide as it.
    Norm {
        /// Slot of the gain, if there is one.
        gain: Option<usize>,
    },
    /// Adds its first two inputs and a bias, and normalises the sum. The fourth output is that sum.
    SkipNorm {
        /// Slot of the gain.
        gain: usize,
        /// Slot of the optional third term.
        bias: usize,
    },
    /// A matrix product of the inputs in these two slots.
    Product([usize; 2]),
    /// A whole attention, from projected queries, keys and values (or their input) to the gathered values.
    Attention,
    /// Turns scores into weights that sum to 1.
    Softmax,
    /// Looks rows of a table up.
    Lookup {
        /// Slot of the table.
        table: usize,
        /// Slot of the row numbers.
        indices: usize,
    },
    /// Hands values on, in another type at most.
    Copy,
    /// Hands values on in the same order, in another shape.
    Reshape,
    /// Rounds to integers of few bits, or back.
    Quantise,
    /// Changes each value by itself, or with its counterparts in other inputs.
    Pointwise,
    /// Selects, joins or reorders values.
    Move,
}

/// A known operator.
#[derive(Debug)]
pub struct Operator {
    name: &'static str,
    /// What it does.
    pub role: Role,
    /// Slots of the inputs whose element type the first output has. Weights are among them: they are stored, and so of
    /// known type, where nothing else is.
    pub typed_by: &'static [usize],
}

/// The operator of that type, if it is known.
#[must_use]
pub fn operator(op_type: &str) -> Option<&'static Operator> {
    OPERATORS.iter().find(|operator| operator.name == op_type)
}

/// What the operator of that type does, if it is known.
#[must_use]
pub fn role(op_type: &str) -> Option<Role> {
    operator(op_type).map(|operator| operator.role)
}

const fn row(name: &'static str, role: Role, typed_by: &'static [usize]) -> Operator {
    Operator {
        name,
        role,
        typed_by,
    }
}

const GAIN: Role = Role::Norm { gain: Some(1) };
const MATRICES: Role = Role::Product([0, 1]);

static OPERATORS: &[Operator] = &[
    row("LayerNormalization", GAIN, &[0, 1]),
    row("SimplifiedLayerNormalization", GAIN, &[0, 1]),
    row("RMSNormalization", GAIN, &[0, 1]),
    row("LpNormalization", Role::Norm { gain: None }, &[0]),
    row(
        "SkipLayerNormalization",
        Role::SkipNorm { gain: 2, bias: 4 },
        &[0, 1, 2],
    ),
    row(
        "SkipSimplifiedLayerNormalization",
        Role::SkipNorm { gain: 2, bias: 3 },
        &[0, 1, 2],
    ),
    row("MatMul", MATRICES, &[0, 1]),
    row("Gemm", MATRICES, &[0, 1]),
    row("FusedMatMul", MATRICES, &[0, 1]),
    row("FusedGemm", MATRICES, &[0, 1]),
    row("Einsum", MATRICES, &[0, 1]),
    row("MatMulNBits", MATRICES, &[0]),
    row("MatMulBnb4", MATRICES, &[0]),
    row("MatMulFpQ4", MATRICES, &[0]),
    row("MatMulInteger", MATRICES, &[]),
    row("MatMulIntegerToFloat", MATRICES, &[2]),
    row("DynamicQuantizeMatMul", MATRICES, &[0]),
    row("QLinearMatMul", Role::Product([0, 3]), &[]),
    row("Attention", Role::Attention, &[0, 1, 2]),
    row("MultiHeadAttention", Role::Attention, &[0, 3]),
    row("GroupQueryAttention", Role::Attention, &[0, 3]),
    row("PackedAttention", Role::Attention, &[0, 1]),
    row("PackedMultiHeadAttention", Role::Attention, &[0]),
    row("DecoderMaskedMultiHeadAttention", Role::Attention, &[0]),
    row("DecoderMaskedSelfAttention", Role::Attention, &[0, 1]),
    row("DecoderAttention", Role::Attention, &[0]),
    row("QAttention", Role::Attention, &[2, 3]),
    row("QOrderedAttention", Role::Attention, &[]),
    row("SparseAttention", Role::Attention, &[0]),
    row("PagedAttention", Role::Attention, &[0]),
    row(
        "Gather",
        Role::Lookup {
            table: 0,
            indices: 1,
        },
        &[0],
    ),
    row(
        "GatherBlockQuantized",
        Role::Lookup {
            table: 0,
            indices: 1,
        },
        &[2],
    ),
    row(
        "EmbedLayerNormalization",
        Role::Lookup {
            table: 2,
            indices: 0,
        },
        &[2, 3],
    ),
    row(
        "QEmbedLayerNormalization",
        Role::Lookup {
            table: 2,
            indices: 0,
        },
        &[8],
    ),
    row("Softmax", Role::Softmax, &[0]),
    row("Identity", Role::Copy, &[0]),
    row("Dropout", Role::Copy, &[0]),
    row("Cast", Role::Copy, &[]),
    row("Reshape", Role::Reshape, &[0]),
    row("Flatten", Role::Reshape, &[0]),
    row("Squeeze", Role::Reshape, &[0]),
    row("Unsqueeze", Role::Reshape, &[0]),
    row("QuantizeLinear", Role::Quantise, &[]),
    row("DequantizeLinear", Role::Quantise, &[1]),
    row("DynamicQuantizeLinear", Role::Quantise, &[]),
    row("Add", Role::Pointwise, &[0, 1]),
    row("Sub", Role::Pointwise, &[0, 1]),
    row("Mul", Role::Pointwise, &[0, 1]),
    row("Div", Role::Pointwise, &[0, 1]),
    row("Sum", Role::Pointwise, &[0, 1]),
    row("Min", Role::Pointwise, &[0, 1]),
    row("Max", Role::Pointwise, &[0, 1]),
    row("Pow", Role::Pointwise, &[0]),
    row("Where", Role::Pointwise, &[1, 2]),
    row("Clip", Role::Pointwise, &[0]),
    row("Neg", Role::Pointwise, &[0]),
    row("Abs", Role::Pointwise, &[0]),
    row("Exp", Role::Pointwise, &[0]),
    row("Log", Role::Pointwise, &[0]),
    row("Sqrt", Role::Pointwise, &[0]),
    row("Reciprocal", Role::Pointwise, &[0]),
    row("Erf", Role::Pointwise, &[0]),
    row("Tanh", Role::Pointwise, &[0]),
    row("Sigmoid", Role::Pointwise, &[0]),
    row("Softplus", Role::Pointwise, &[0]),
    row("Relu", Role::Pointwise, &[0]),
    row("LeakyRelu", Role::Pointwise, &[0]),
    row("Elu", Role::Pointwise, &[0]),
    row("Selu", Role::Pointwise, &[0]),
    row("HardSigmoid", Role::Pointwise, &[0]),
    row("HardSwish", Role::Pointwise, &[0]),
    row("Mish", Role::Pointwise, &[0]),
    row("Gelu", Role::Pointwise, &[0]),
    row("FastGelu", Role::Pointwise, &[0, 1]),
    row("BiasGelu", Role::Pointwise, &[0, 1]),
    row("QuickGelu", Role::Pointwise, &[0]),
    row("Swish", Role::Pointwise, &[0]),
    row("Transpose", Role::Move, &[0]),
    row("Slice", Role::Move, &[0]),
    row("Concat", Role::Move, &[0]),
    row("Split", Role::Move, &[0]),
    row("Expand", Role::Move, &[0]),
    row("GatherND", Role::Move, &[0]),
];

/// What a fused operator takes an integer input of the graph for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fed {
    /// For each row the place of its last token.
    LastTokens,
    /// The number of tokens so far.
    TotalLength,
    /// The place of each token.
    Positions,
    /// The segment of each token.
    Segments,
    /// Which tokens are real.
    Mask,
}

/// What the operator takes its input in that slot for, where the slot alone tells.
#[must_use]
pub fn fed(op_type: &str, slot: usize) -> Option<Fed> {
    let row = FED
        .iter()
        .find(|(op, input, _)| *op == op_type && *input == slot);
    row.map(|(_, _, fed)| *fed)
}

const FED: [(&str, usize, Fed); 6] = [
    ("GroupQueryAttention", 5, Fed::LastTokens),
    ("GroupQueryAttention", 6, Fed::TotalLength),
    ("GroupQueryAttention", 9, Fed::Positions),
    ("EmbedLayerNormalization", 1, Fed::Segments),
    ("EmbedLayerNormalization", 7, Fed::Mask),
    ("EmbedLayerNormalization", 8, Fed::Positions),
];

/// Whether the operator rounds activations to 8-bit integers on its way; `MatMulNBits` does on some processors.
#[must_use]
pub fn rounds(op_type: &str) -> bool {
    ROUNDING.contains(&op_type)
}

const ROUNDING: [&str; 8] = [
    "MatMulNBits",
    "DynamicQuantizeLinear",
    "DynamicQuantizeMatMul",
    "QuantizeLinear",
    "QLinearMatMul",
    "MatMulInteger",
    "MatMulIntegerToFloat",
    "QAttention",
];

/// The output by which a fused attention returns the key or value cache that it reads from a slot.
#[must_use]
pub fn returned_cache(domain: &str, op_type: &str, slot: usize) -> Option<usize> {
    let domain = if domain == "ai.onnx" { "" } else { domain };
    let row = CACHES
        .iter()
        .find(|(of, op, input, _)| *of == domain && *op == op_type && *input == slot);
    row.map(|(_, _, _, output)| *output)
}

/// Domain and type of an attention, the slot of a cache, and the output that returns it.
const CACHES: [(&str, &str, usize, usize); 13] = [
    ("", "Attention", 4, 1),
    ("", "Attention", 5, 2),
    (MICROSOFT, "Attention", 4, 1),
    (MICROSOFT, "GroupQueryAttention", 3, 1),
    (MICROSOFT, "GroupQueryAttention", 4, 2),
    (MICROSOFT, "SparseAttention", 3, 1),
    (MICROSOFT, "SparseAttention", 4, 2),
    (MICROSOFT, "MultiHeadAttention", 6, 1),
    (MICROSOFT, "MultiHeadAttention", 7, 2),
    (MICROSOFT, "DecoderMaskedMultiHeadAttention", 5, 1),
    (MICROSOFT, "DecoderMaskedMultiHeadAttention", 6, 2),
    (MICROSOFT, "DecoderMaskedSelfAttention", 4, 1),
    (MICROSOFT, "QAttention", 8, 1),
];
const MICROSOFT: &str = "com.microsoft";

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_operator_has_one_row() {
        let names: HashSet<_> = OPERATORS.iter().map(|operator| operator.name).collect();
        assert_eq!(names.len(), OPERATORS.len());
    }
}
