//! What a graph's structure tells of a model beyond its sites. Whatever it does not tell is `None`, and nothing is guessed
//! from names.

/// Facts of one block.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BlockFacts {
    /// The attention.
    pub attention: AttentionFacts,
    /// Norms around the attention.
    pub attention_norms: Norms,
    /// The MLP.
    pub mlp: MlpFacts,
    /// Norms around the MLP.
    pub mlp_norms: Norms,
    /// Whether attention and MLP of a parallel block read the output of one and the same norm.
    pub one_norm: bool,
}

/// Facts of an attention.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AttentionFacts {
    /// Query heads.
    pub heads: Option<usize>,
    /// Heads of keys and values; fewer than the query heads where several of these share one.
    pub kv_heads: Option<usize>,
    /// Width of a head's values.
    pub d_head: Option<usize>,
    /// Whether one product makes queries, keys and values.
    pub fused_qkv: Option<bool>,
    /// The norm that queries and keys pass, head by head or whole.
    pub qk_norm: Option<Norm>,
    /// How positions come in.
    pub positions: Option<Positions>,
    /// How many positions a query looks back at, itself included.
    pub window: Option<usize>,
    /// `c` of scores that are capped as `c · tanh(score / c)`.
    pub score_cap: Option<f32>,
}

/// How an attention learns of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Positions {
    /// Queries and keys are rotated (RoPE).
    Rotary,
    /// A slope for each head times the distance is added to the scores (ALiBi).
    Alibi,
}

/// Kinds of norms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Norm {
    /// Mean and variance.
    Layer,
    /// Root mean square alone.
    Rms,
}

/// Where norms stand around one branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Norms {
    /// Between the stream and the branch (pre-norm).
    pub before: Option<Norm>,
    /// Between the branch and the addition.
    pub after: Option<Norm>,
    /// On the stream itself, after the addition (post-norm).
    pub stream: Option<Norm>,
}

impl Norms {
    /// The placement in the field's words; `None` where no norm was found.
    #[must_use]
    pub fn placement(self) -> Option<&'static str> {
        match (self.before, self.after, self.stream) {
            (Some(_), Some(_), _) => Some("sandwich"),
            (Some(_), None, None) => Some("pre"),
            (None, Some(_), None) => Some("post, on the branch"),
            (None, _, Some(_)) => Some("post, on the stream"),
            (Some(_), None, Some(_)) => Some("pre and post"),
            (None, None, None) => None,
        }
    }
}

/// Facts of an MLP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MlpFacts {
    /// How it is built.
    pub kind: Option<MlpKind>,
    /// Its inner width; of a mixture that of one expert.
    pub width: Option<usize>,
    /// What it applies to its inner values.
    pub activation: Option<Activation>,
}

/// How an MLP is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MlpKind {
    /// The block has none.
    Absent,
    /// In, activation, out.
    Plain,
    /// The activation of one product scales another (GLU).
    Gated,
    /// A router chooses among experts.
    Experts {
        /// Number of experts.
        count: usize,
        /// How many are chosen for a token.
        chosen: Option<usize>,
        /// Whether each expert is gated.
        gated: Option<bool>,
        /// Whether another MLP serves every token beside them.
        shared: bool,
    },
}

/// Activations of an MLP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// By the error function.
    Gelu,
    /// The approximation by tanh.
    GeluTanh,
    /// `x · σ(1.702 x)`.
    QuickGelu,
    /// `x · σ(x)`, also called Swish.
    Silu,
    /// `max(x, 0)`.
    Relu,
    /// `max(x, 0)²`.
    SquaredRelu,
    /// `σ(x)`.
    Sigmoid,
    /// `tanh(x)`.
    Tanh,
    /// None of these.
    Other,
}

impl Norm {
    /// As papers spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Layer => "LayerNorm",
            Self::Rms => "RMSNorm",
        }
    }
}

impl Activation {
    /// As papers spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Gelu => "GELU",
            Self::GeluTanh => "GELU (tanh)",
            Self::QuickGelu => "GELU (sigmoid)",
            Self::Silu => "SiLU",
            Self::Relu => "ReLU",
            Self::SquaredRelu => "ReLU²",
            Self::Sigmoid => "sigmoid",
            Self::Tanh => "tanh",
            Self::Other => "other",
        }
    }
}

/// Facts of what lies around the blocks.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelFacts {
    /// Whether the stream begins with a term that depends on the position alone.
    pub added_positions: bool,
    /// The norm that the embedding passes before the first block.
    pub embedding_norm: Option<Norm>,
    /// The factor that the embedding of the tokens is multiplied by.
    pub embedding_scale: Option<f32>,
    /// The last norm.
    pub final_norm: Option<Norm>,
    /// Whether the unembedding reads the very weights that the embedding looks up.
    pub tied: bool,
    /// `c` of logits that are capped as `c · tanh(logit / c)`.
    pub logit_cap: Option<f32>,
    /// The factor that logits are multiplied by.
    pub logit_scale: Option<f32>,
    /// What the logits do not depend on.
    pub unused: Unused,
}

/// What the graph holds and the logits do not depend on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unused {
    /// Nodes from which no path leads to the logits.
    pub nodes: usize,
    /// Nodes in all.
    pub of_nodes: usize,
    /// Weights that only such nodes read, or none.
    pub weights: usize,
    /// Weights in all.
    pub of_weights: usize,
    /// Numbers in those weights.
    pub parameters: u64,
    /// Attentions and products with weights among the nodes.
    pub products: usize,
}
