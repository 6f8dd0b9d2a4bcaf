//! Names of the places in a transformer that can be read or written, as `TransformerLens` spells them.

use std::fmt;
use std::str::FromStr;

use crate::fault::Fault;

/// What is read within a block, or around the blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Point {
    /// The embedding of the tokens, scaled as the model scales it, before learned positions are added:
    /// `[batch, seq, d_model]`.
    Embed,
    /// The residual stream as it enters a block: `[batch, seq, d_model]`.
    ResidPre,
    /// The stream between the attention and the MLP of a sequential block: `[batch, seq, d_model]`.
    ResidMid,
    /// The residual stream as it leaves a block: `[batch, seq, d_model]`.
    ResidPost,
    /// What the attention branch adds to the stream: `[batch, seq, d_model]`.
    AttnOut,
    /// What the MLP branch adds to the stream: `[batch, seq, d_model]`.
    MlpOut,
    /// The values that each head has gathered, as the output projection reads them: `[batch, seq, head, d_head]`.
    HookZ,
    /// The attention weights after their softmax: `[batch, head, query, key]`.
    Pattern,
    /// The output of the last norm: `[batch, seq, d_model]`.
    LnFinal,
    /// The logits: `[batch, seq, vocab]`.
    Logits,
}

/// A place in the model: a [`Point`] and, inside the blocks, the layer (0-based).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SiteName {
    /// 0-based block; `None` for places outside the blocks.
    pub layer: Option<usize>,
    /// Which place.
    pub point: Point,
}

const IN_BLOCK: [(Point, &str); 7] = [
    (Point::ResidPre, "hook_resid_pre"),
    (Point::ResidMid, "hook_resid_mid"),
    (Point::ResidPost, "hook_resid_post"),
    (Point::AttnOut, "hook_attn_out"),
    (Point::MlpOut, "hook_mlp_out"),
    (Point::HookZ, "attn.hook_z"),
    (Point::Pattern, "attn.hook_pattern"),
];
const OUTSIDE: [(Point, &str); 3] = [
    (Point::Embed, "hook_embed"),
    (Point::LnFinal, "ln_final.hook_normalized"),
    (Point::Logits, "logits"),
];

impl SiteName {
    /// A place inside block `layer`.
    #[must_use]
    pub const fn block(layer: usize, point: Point) -> Self {
        Self {
            layer: Some(layer),
            point,
        }
    }

    /// A place outside the blocks.
    #[must_use]
    pub const fn outside(point: Point) -> Self {
        Self { layer: None, point }
    }
}

impl SiteName {
    /// The name without its block, such as `hook_resid_pre` or `attn.hook_z`.
    #[must_use]
    pub fn hook(&self) -> &'static str {
        let table: &[(Point, &'static str)] = match self.layer {
            Some(_) => &IN_BLOCK,
            None => &OUTSIDE,
        };
        let own = table.iter().find(|(point, _)| *point == self.point);
        own.map_or("", |(_, name)| name)
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(layer) = self.layer {
            write!(f, "blocks.{layer}.")?;
        }
        f.write_str(self.hook())
    }
}

impl FromStr for SiteName {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let unknown = || {
            Fault::usage("reading a site name", format!("`{text}`"))
                .expected("a TransformerLens name such as `blocks.3.hook_resid_pre`, `hook_embed` or `ln_final.hook_normalized`")
                .hint("`candor inspect MODEL` lists the sites of a model")
        };
        if let Some((point, _)) = OUTSIDE.iter().find(|(_, name)| *name == text) {
            return Ok(Self::outside(*point));
        }
        let rest = text.strip_prefix("blocks.").ok_or_else(unknown)?;
        let (layer, hook) = rest.split_once('.').ok_or_else(unknown)?;
        let layer = layer.parse().map_err(|_| unknown())?;
        let (point, _) = IN_BLOCK
            .iter()
            .find(|(_, name)| *name == hook)
            .ok_or_else(unknown)?;
        Ok(Self::block(layer, *point))
    }
}
