//! What the structure finder says of a model: where the residual stream and its branches are.

use super::facts::{BlockFacts, ModelFacts};
use super::module_path::ModulePath;
use super::site::SiteName;
use crate::fault::{Fault, Result};

/// A place found in the graph and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// The name as `TransformerLens` spells it.
    pub name: SiteName,
    /// Where the values are.
    pub tensor: SiteTensor,
    /// Their meaning by axis, which is the shape in which they are read and written.
    pub layout: Layout,
    /// How the tensor itself lies to that.
    pub form: Form,
    /// What the model does with the output of the module (such as `a norm` or `a factor`) before it adds it to the
    /// stream, where it does anything: then this site, which is what is added, is not what the module puts out.
    pub processed: Option<&'static str>,
    /// Symbolic shape as it is read, such as `["batch", "seq", "64"]`.
    pub shape: Vec<String>,
}

/// A place that blocks of transformers have, but this graph does not show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Absent {
    /// The name as `TransformerLens` spells it.
    pub name: SiteName,
    /// Why it is not there, in words.
    pub why: String,
}

/// What the axes of a site's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layout {
    /// `[batch, seq, width]`.
    Token {
        /// `d_model`, or the size of the vocabulary.
        width: usize,
    },
    /// `[batch, seq, head, d_head]`.
    Heads {
        /// Query heads.
        heads: usize,
        /// Width of a head.
        d_head: usize,
    },
    /// `[batch, head, query, key]`.
    Pattern {
        /// Query heads.
        heads: usize,
    },
}

/// How a tensor of the graph lies to the axes of its site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Form {
    /// In these axes.
    Same,
    /// The same elements in the same order, in another shape.
    Reshaped,
    /// The sequence before the batch, in any shape.
    SequenceFirst,
}

impl Layout {
    /// Number of values at one position of one prompt, where the length of the prompt does not change it.
    #[must_use]
    pub fn per_position(self) -> Option<usize> {
        match self {
            Self::Token { width } => Some(width),
            Self::Heads { heads, d_head } => heads.checked_mul(d_head),
            Self::Pattern { .. } => None,
        }
    }
}

/// How a site's values are reached in the graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SiteTensor {
    /// A named tensor of the graph.
    Named(String),
    /// The sum of several tensors: a branch whose bias is added by a fused operator only, or MLPs that are added apart.
    /// The first is computed, and after all others.
    Sum(Vec<String>),
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
    /// The name under which the tensor is, or becomes, known in the graph; the first of a sum.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Named(name) | Self::SkipSum { name, .. } => name,
            Self::Sum(parts) => parts.first().map_or("", String::as_str),
        }
    }
}

/// One block of the residual stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Block {
    /// Whether attention and MLP both read the block's input (GPT-NeoX, GPT-J) instead of one after the other.
    pub parallel: bool,
    /// Tensors by which the stream enters the attention while each token still stands for itself: as a rule queries, keys and
    /// values before heads are told apart.
    pub crossing: Vec<String>,
    /// What the attention is made of, as an operator name such as `Softmax` or `GroupQueryAttention`.
    pub attention: String,
    /// What else the structure tells of it.
    pub facts: BlockFacts,
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
#[derive(Debug, Clone, PartialEq)]
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
    /// The places that are missing, in the same order.
    pub absent: Vec<Absent>,
    /// The graph's inputs.
    pub inputs: Vec<InputPort>,
    /// Name of the logits output `[batch, seq, vocab]`.
    pub logits: String,
    /// What else the structure tells of what lies around the blocks.
    pub facts: ModelFacts,
}

impl Architecture {
    /// The site of that name, if the model has it.
    #[must_use]
    pub fn site(&self, name: SiteName) -> Option<&Site> {
        self.sites.iter().find(|site| site.name == name)
    }

    /// The site of a Hugging Face module's output.
    ///
    /// # Errors
    /// The model has no such site, or the model changes the module's output before it adds it to the stream.
    pub fn module(&self, path: &ModulePath, layer: Option<usize>) -> Result<&Site> {
        let name = SiteName {
            layer,
            point: path.point,
        };
        let doing = || format!("finding the site of a module that puts out `{name}`");
        let site = self.site(name).ok_or_else(|| {
            let why = self
                .why_absent(name)
                .unwrap_or("the model has no such site");
            Fault::usage(doing(), why).hint("`candor inspect MODEL` lists all sites")
        })?;
        match site.processed {
            None => Ok(site),
            Some(what) => Err(Fault::usage(
                doing(),
                format!("{what} between the module's output and what is added to the stream"),
            )
            .expected("a module whose output is added as it is")
            .hint(format!(
                "what is added is `{name}`: name that site if it is meant"
            ))),
        }
    }

    /// Why the model has no site of that name, if it is one that transformers have.
    #[must_use]
    pub fn why_absent(&self, name: SiteName) -> Option<&str> {
        let absent = self.absent.iter().find(|absent| absent.name == name);
        absent.map(|absent| absent.why.as_str())
    }
}
