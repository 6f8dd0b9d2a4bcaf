//! Hugging Face module paths, such as `model.layers.5` or `transformer.h.5.mlp`, and bare layer numbers.
//!
//! A path means the output of that module. The words are those of the classes in the `transformers` library; the layer
//! is the one number in the path.

use super::site::{Point, SiteName};

/// What follows the layer in a path, and what the module there puts out.
const IN_BLOCK: [(Point, &[&str]); 3] = [
    (Point::ResidPost, &[""]),
    (
        Point::AttnOut,
        &[
            "attn",
            "self_attn",
            "attention",
            "self_attention",
            "attn.attention",
            "attn.c_proj",
            "attn.out_proj",
            "attn.o_proj",
            "attn.attention.out_proj",
            "self_attn.o_proj",
            "self_attn.out_proj",
            "self_attn.dense",
            "attention.dense",
            "attention.o_proj",
            "attention.output.dense",
            "self_attention.dense",
        ],
    ),
    (
        Point::MlpOut,
        &[
            "mlp",
            "ffn",
            "feed_forward",
            "block_sparse_moe",
            "mlp.c_proj",
            "mlp.down_proj",
            "mlp.fc2",
            "mlp.fc_out",
            "mlp.dense_4h_to_h",
            "feed_forward.down_proj",
            "fc2",
            "output.dense",
        ],
    ),
];
const OUTSIDE: [(Point, &[&str]); 3] = [
    (
        Point::Embed,
        &[
            "embed_tokens",
            "wte",
            "embed_in",
            "word_embeddings",
            "tok_embeddings",
        ],
    ),
    (
        Point::LnFinal,
        &[
            "norm",
            "ln_f",
            "final_layer_norm",
            "final_layernorm",
            "norm_f",
        ],
    ),
    (Point::Logits, &["lm_head", "embed_out"]),
];

/// A module, or one in each of several layers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModulePath {
    /// The layer as it is written: a number, or a glob over numbers. `None` outside the blocks.
    pub layer: Option<String>,
    /// What the module puts out.
    pub point: Point,
}

impl ModulePath {
    /// Reads a path; `None` if it is none that is known.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let segments: Vec<&str> = text.split('.').collect();
        let Some(at) = segments.iter().position(|segment| is_layer(segment)) else {
            let last = segments.last()?;
            let (point, _) = OUTSIDE.iter().find(|(_, words)| words.contains(last))?;
            return Some(Self {
                layer: None,
                point: *point,
            });
        };
        let (before, rest) = segments.split_at(at);
        let (layer, tail) = rest.split_first()?;
        let tail = tail.join(".");
        let (point, _) = IN_BLOCK
            .iter()
            .find(|(_, tails)| tails.contains(&tail.as_str()))?;
        // A number alone is a layer; a number and a tail without the list that it counts in is nothing.
        let is_known = if before.is_empty() {
            tail.is_empty() && layer.chars().all(|c| c.is_ascii_digit())
        } else {
            before.iter().all(|segment| !segment.is_empty())
        };
        is_known.then(|| Self {
            layer: Some((*layer).to_owned()),
            point: *point,
        })
    }

    /// The site, if the path names one layer.
    #[must_use]
    pub fn site(&self) -> Option<SiteName> {
        match &self.layer {
            None => Some(SiteName::outside(self.point)),
            Some(layer) => Some(SiteName::block(layer.parse().ok()?, self.point)),
        }
    }
}

/// A number, or a glob such as `*`, `1?`, `[0-3]` or `{1,2}` in the place of one.
fn is_layer(segment: &str) -> bool {
    !segment.is_empty()
        && segment
            .chars()
            .all(|c| c.is_ascii_digit() || "*?[]{},-!".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(text: &str) -> Option<String> {
        Some(ModulePath::parse(text)?.site()?.to_string())
    }

    #[test]
    fn paths_of_many_families_resolve() {
        for (path, expected) in [
            ("5", "blocks.5.hook_resid_post"),
            ("model.layers.5", "blocks.5.hook_resid_post"),
            ("transformer.h.11", "blocks.11.hook_resid_post"),
            ("transformer.h.5.mlp", "blocks.5.hook_mlp_out"),
            ("model.decoder.layers.0.self_attn", "blocks.0.hook_attn_out"),
            (
                "gpt_neox.layers.2.attention.dense",
                "blocks.2.hook_attn_out",
            ),
            ("layers.3.mlp", "blocks.3.hook_mlp_out"),
            ("model.embed_tokens", "hook_embed"),
            ("transformer.ln_f", "ln_final.hook_normalized"),
            ("lm_head", "logits"),
        ] {
            assert_eq!(site(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn what_is_no_module_of_the_stream_is_none() {
        for path in [
            "",
            ".",
            "5.mlp",
            "model.layers.5.input_layernorm",
            "model.layers.5.self_attn.q_proj",
            "model.layers.5.mlp.experts.3",
            "blocks.5.hook_resid_pre",
            "model",
            "*",
        ] {
            assert_eq!(ModulePath::parse(path), None, "{path}");
        }
        let all = ModulePath::parse("model.layers.*.mlp");
        assert_eq!(all.and_then(|path| path.layer).as_deref(), Some("*"));
    }
}
