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
}

/// A small affine read-out that stays in the graph: `[batch, seq, d] → [batch, seq, k]`, with the heads of `hook_z` side by
/// side in `d`.
#[derive(Debug, Clone)]
pub struct Head {
    /// Names the output; unique within a plan.
    pub id: String,
    /// What it reads.
    pub site: SiteName,
    /// Weights `[d, k]`.
    pub weight: Array2<f32>,
    /// Biases `[k]`.
    pub bias: Array1<f32>,
    /// Element-wise activation.
    pub activation: Activation,
}

/// The element-wise activation of a [`Head`].
#[derive(Debug, Clone)]
pub enum Activation {
    /// None: a linear probe.
    Linear,
    /// `max(h, 0)`.
    Relu,
    /// `h` where `h > threshold` (strictly) and `h > 0`, else 0; thresholds `[k]`.
    JumpRelu(Array1<f32>),
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
}

impl Write {
    /// The site that is written.
    #[must_use]
    pub fn site(&self) -> SiteName {
        match self {
            Self::Replace { site, .. } | Self::Project { site, .. } => *site,
        }
    }
}

/// Where an instrumented graph is fed and read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Site → name of its float32 output, one entry for each tap of the plan in its order.
    pub taps: Vec<(SiteName, String)>,
    /// Head id → name of its float32 output `[batch, seq, k]`, in the order of the plan.
    pub heads: Vec<(String, String)>,
    /// One boolean mask input for each write, in the order of the plan: the site's [`Layout`] with 1 as its last axis.
    pub masks: Vec<(SiteName, String)>,
    /// The distinct value, direction and target inputs with their kind, in the order in which the plan's writes first
    /// name them (a [`Write::Project`] names its direction, then its target).
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
