//! What the structure finder says of a model: where the residual stream and its branches are.

use super::site::SiteName;

/// A place found in the graph and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The name as `TransformerLens` spells it.
    pub name: SiteName,
    /// Where the values are.
    pub tensor: SiteTensor,
    /// Symbolic shape as the graph states it, such as `["batch", "seq", "64"]`.
    pub shape: Vec<String>,
}

/// How a site's values are reached in the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteTensor {
    /// A named tensor of the graph.
    Named(String),
    /// The sum inside a fused `Skip…LayerNormalization` node (index into `graph.node`) that the node does not put
    /// out by itself; it becomes visible as the node's fourth output (`input_skip_bias_sum`).
    SkipSum {
        /// Index of the fused node in `graph.node`.
        node: usize,
        /// The name that the fourth output is given when it is declared.
        name: String,
    },
}

impl SiteTensor {
    /// The name under which the tensor is, or becomes, known in the graph.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) | Self::SkipSum { name, .. } => name,
        }
    }
}

/// One block of the residual stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// Whether attention and MLP both read the block's input (GPT-NeoX, GPT-J) instead of one after the other.
    pub parallel: bool,
    /// What the attention is made of, as an operator name such as `Softmax` or `GroupQueryAttention`.
    pub attention: String,
}

/// Element type of a tensor that Candor reads or feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 16-bit float.
    F16,
    /// bfloat16.
    BF16,
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// Boolean.
    Bool,
}

impl Element {
    /// Whether it is a float of any width.
    #[must_use]
    pub const fn is_float(self) -> bool {
        matches!(self, Self::F32 | Self::F16 | Self::BF16)
    }
}

/// A graph input and what Candor has to feed into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputPort {
    /// The input's name.
    pub name: String,
    /// Its element type.
    pub element: Element,
    /// What it means.
    pub role: InputRole,
    /// For a key or value cache, the graph output that returns it grown by the new tokens, if one does.
    pub grown: Option<String>,
}

/// What a graph input means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputRole {
    /// Token ids `[batch, seq]`.
    TokenIds,
    /// 1 for a real token, 0 for padding, `[batch, total_seq]`.
    AttentionMask,
    /// Which earlier tokens each token may attend to, `[batch, head, seq, total_seq]`.
    ScoreMask(ScoreMask),
    /// Positions `[batch, seq]`.
    PositionIds,
    /// Places in the cache that the new tokens take, `[seq]`.
    CachePositions,
    /// The segment of each token, `[batch, seq]`; all tokens are of segment 0.
    TokenTypes,
    /// How many of the last tokens get logits, a scalar or `[1]`; all of them do.
    LogitsToKeep,
    /// The number of real tokens so far less one, `[batch]` or `[batch, 1]`: `seqlens_k` of `GroupQueryAttention`.
    LastTokens,
    /// The number of tokens so far with padding, a scalar or `[1]`.
    TotalLength,
    /// An empty key or value cache: these dimensions with `None` for batch and `Some(0)` for the past length, or the
    /// length of the window where the operator slides a buffer of that size.
    PastKeyValue(Vec<Option<usize>>),
}

/// How an input says which tokens may be attended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScoreMask {
    /// Size of the head dimension: 1, or the number of heads where the graph states it.
    pub heads: usize,
    /// Whether there is a row for each new token; otherwise one row holds for all of them, and the graph itself keeps
    /// them from what comes later.
    pub by_query: bool,
    /// What a token that may be attended to is marked with.
    pub open: Open,
}

/// How a [`ScoreMask`] marks what may be attended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// True or 1 may be attended to.
    True,
    /// False or 0 may be attended to.
    False,
    /// 0 is added to the score of what may be attended to, a large negative number to that of the rest.
    Zero,
}

/// The architecture of a decoder, found from the graph's structure alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Architecture {
    /// Number of blocks.
    pub n_layers: usize,
    /// Width of the residual stream.
    pub d_model: usize,
    /// Attention (query) heads, where the graph tells.
    pub n_heads: Option<usize>,
    /// Size of the vocabulary (last dimension of the logits).
    pub vocab_size: usize,
    /// What the exporter's metadata or the operators suggest; shown to the user and never used for a decision.
    pub family_hint: String,
    /// One entry a layer.
    pub blocks: Vec<Block>,
    /// Every place that can be read, in the order of the model.
    pub sites: Vec<Site>,
    /// The graph's inputs.
    pub inputs: Vec<InputPort>,
    /// Name of the logits output `[batch, seq, vocab]`.
    pub logits: String,
}

impl Architecture {
    /// The site of that name, if the model has it.
    #[must_use]
    pub fn site(&self, name: SiteName) -> Option<&Site> {
        self.sites.iter().find(|site| site.name == name)
    }
}
