//! What is to be added to a graph, and where the additions can be fed and read afterwards.

use ndarray::{Array1, Array2};

use crate::model::{Layout, SiteName};

/// Taps, in-graph detector heads and residual interventions to add to a model.
#[derive(Debug, Clone, Default)]
pub struct Plan {
    /// Sites whose values become float32 outputs, each in its site's [`Layout`].
    pub taps: Vec<SiteName>,
    /// Detector heads computed beside the tapped tensor.
    pub heads: Vec<Head>,
    /// Places where the stream can be overwritten.
    pub writes: Vec<Write>,
    /// Whether all heads leave side by side in one output instead of one each.
    pub scores: Option<Scores>,
}

/// A read-out that stays in the graph: `[batch, seq, d] → [batch, seq, k]`, with the heads of `hook_z` side by side in `d`.
///
/// `activation(N(x)·weight + bias)`. All is computed in float32.
#[derive(Debug, Clone)]
pub struct Head {
    /// Names the output; unique within a plan.
    pub id: String,
    /// What it reads.
    pub site: SiteName,
    /// What is done to the values of each position first.
    pub normalization: Normalization,
    /// Weights `[d, n]`; `n` is `k` unless the activation chooses among the columns.
    pub weight: Array2<f32>,
    /// Biases `[n]`.
    pub bias: Array1<f32>,
    /// What follows.
    pub activation: Activation,
}

/// Normalisation of the values `x` `[d]` of each position, as SAELens defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalization {
    /// None.
    None,
    /// `x·√d/‖x‖`.
    ConstantNormRescale,
    /// `(x − μ)/(σ + ε)` with the unbiased σ and [`Normalization::EPSILON`].
    LayerNorm,
}

impl Normalization {
    /// The ε of [`Normalization::LayerNorm`].
    pub const EPSILON: f32 = 1e-5;
}

/// The activation of a [`Head`] on `h` `[n]`.
#[derive(Debug, Clone)]
pub enum Activation {
    /// None: a linear probe.
    Linear,
    /// `max(h, 0)`.
    Relu,
    /// `h` where `h > threshold` (strictly) and `h > 0`, else 0; thresholds `[k]`.
    JumpRelu(Array1<f32>),
    /// Features that compete: all `n` columns are computed, a few are put out.
    TopK(TopK),
}

/// Of all columns those of the `k` highest ranks keep their value, of equals those with the lower index; the others are 0.
///
/// Heads of a site with equal weights, biases and normalisation share one product, and those of an equal rank its threshold.
#[derive(Debug, Clone)]
pub struct TopK {
    /// How many are kept, from 1 to `n`.
    pub k: usize,
    /// By what they are ranked.
    pub ranking: Ranking,
    /// The columns that are put out, in this order.
    pub columns: Vec<usize>,
}

/// By what columns are ranked, and what is kept of those that are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ranking {
    /// By value; `max(h, 0)` is kept (Gao et al. 2024).
    Largest,
    /// By magnitude; `h` is kept with its sign (arXiv 2510.00404).
    Magnitude,
}

/// One output for all heads of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    /// The output's name.
    pub output: String,
    /// What each column is multiplied by, one factor for each column of each head, in the order of the plan.
    pub factors: Vec<f32>,
}

/// An intervention on a site.
#[derive(Debug, Clone)]
pub enum Write {
    /// `where(mask, value, x)`: overwrites chosen positions (and heads) of chosen rows with given activations.
    Replace {
        /// Where.
        site: SiteName,
        /// Name of the float32 input that holds the values, in the site's [`Layout`]. Writes that give the same name
        /// share one input, so that a sweep over layers feeds its values once.
        value: String,
    },
    /// On the stream and its branches: `x − mask·((x·v) − c)·v` sets the component along a unit direction to `c`, row by row.
    Project {
        /// Where.
        site: SiteName,
        /// Name of the float32 input `[batch, d_model]` that holds each row's unit direction `v`; may be shared.
        direction: String,
        /// Name of the float32 input `[batch]` that holds each row's target `c`; may be shared.
        target: String,
    },
    /// On the stream and its branches: `x + mask·v` adds a vector, row by row.
    Add {
        /// Where.
        site: SiteName,
        /// Name of the float32 input `[batch, d_model]` that holds each row's `v`; may be shared.
        vector: String,
    },
}

impl Head {
    /// Columns that it puts out.
    #[must_use]
    pub fn columns(&self) -> usize {
        match &self.activation {
            Activation::TopK(top) => top.columns.len(),
            _ => self.weight.ncols(),
        }
    }
}

impl Write {
    /// The site that is written.
    #[must_use]
    pub fn site(&self) -> SiteName {
        match self {
            Self::Replace { site, .. } | Self::Project { site, .. } | Self::Add { site, .. } => {
                *site
            }
        }
    }
}

/// Where an instrumented graph is fed and read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Site → name of its float32 output, one entry for each tap of the plan in its order.
    pub taps: Vec<(SiteName, String)>,
    /// Head id → name of its float32 output `[batch, seq, k]`, in the order of the plan; empty where [`Plan::scores`] joins them.
    pub heads: Vec<(String, String)>,
    /// The float32 output `[batch, seq, columns of all heads]`, where the plan asks for one.
    pub scores: Option<String>,
    /// One boolean mask input for each write, in the order of the plan: the site's [`Layout`] with 1 as its last axis.
    pub masks: Vec<(SiteName, String)>,
    /// The distinct value, direction and target inputs with their kind, in the order in which the plan's writes first
    /// name them (a [`Write::Project`] names its direction, then its target; the vector of a [`Write::Add`] is a direction).
    pub inputs: Vec<(String, ExtraInput)>,
}

/// What an added input holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExtraInput {
    /// float32 in that layout.
    Value(Layout),
    /// float32 `[batch, d_model]`.
    Direction,
    /// float32 `[batch]`.
    Target,
}
