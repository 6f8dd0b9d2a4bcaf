//! Gemma Scope 2: `config.json` with `hf_hook_point_in`, and `params.safetensors` with `w_enc` `[d, n]`, `w_dec` `[n, d]`,
//! `b_enc`, `b_dec`, `threshold`. JumpReLU, nothing is subtracted. A transcoder may add `x·affine_skip_connection`.

use super::{Asked, Fields, Format, Listing, Read};
use crate::detect::sae::SaeConfig;
use crate::detect::sae::parts::{Own, Parts};
use crate::fault::{Fault, Result};

pub(super) const FORMAT: Format = Format {
    name: "gemma_scope_2",
    about: "`config.json` with hf_hook_point_in, `params.safetensors` with w_enc, w_dec and threshold",
    conversion: "safetensors.torch.save_file(torch.load(\"params.pt\", weights_only=True), \"params.safetensors\")",
    recognise: |listing| {
        listing.config(CONFIG, &["hf_hook_point_in"]).is_some()
            || listing
                .any(|weights| !weights.is_npz() && weights.has("w_enc") && weights.has("w_dec"))
    },
    read,
};

const CONFIG: &str = "config.json";
const SKIP: &str = "affine_skip_connection";

fn read(listing: &Listing, asked: &Asked) -> Result<Read> {
    let config = listing
        .config(CONFIG, &["hf_hook_point_in"])
        .ok_or_else(|| super::no_config(listing, CONFIG))?;
    if config.word("architecture", "")? != "jump_relu" {
        return Err(config.wrong("architecture", "`jump_relu`"));
    }
    let weights = listing.the_weights(&FORMAT, "params.safetensors", &["w_enc"])?;
    if weights.shape("w_dec").is_some_and(|shape| shape.len() == 3) {
        return Err(super::cross_layers(listing));
    }
    let [d_in, d_sae] = weights.sides("w_enc")?;
    let [_, d_out] = weights.sides("w_dec")?;
    let point_in = config.word("hf_hook_point_in", "")?;
    let point_out = config.word("hf_hook_point_out", "")?;
    let transcodes = (!point_out.is_empty() && point_out != point_in) || asked.site_out.is_some();
    let skip = weights.has(SKIP);
    agrees(config, skip)?;
    let architecture = match (transcodes, skip) {
        (true, true) => "jumprelu_skip_transcoder",
        (true, false) => "jumprelu_transcoder",
        (false, false) => "jumprelu",
        (false, true) => {
            return Err(config.wrong(
                "hf_hook_point_out",
                "another hook: an affine skip connection is a transcoder's",
            ));
        }
    };
    let d_out = if transcodes { d_out } else { d_in };
    let hook = hook_of(point_in);
    let read = SaeConfig {
        d_out,
        flattens_heads: point_in.ends_with("self_attn.o_proj.input"),
        hook_name: hook,
        hook_name_out: hook_of(point_out).filter(|_| transcodes),
        metadata: config.some(&[
            ("model_name", "model_name"),
            ("hf_hook_point_in", "hf_hook_name"),
            ("hf_hook_point_out", "hf_hook_name_out"),
        ]),
        ..SaeConfig::of(architecture, d_in, d_sae)
    };
    let mut tensors = weights.open()?;
    let own = Own::of([
        ("b_enc", tensors.vector("b_enc", d_sae)?),
        ("threshold", tensors.vector("threshold", d_sae)?),
    ]);
    let w_enc = tensors.matrix("w_enc", [d_in, d_sae])?;
    let w_dec = tensors.matrix("w_dec", [d_sae, d_out])?;
    let b_dec = tensors.vector("b_dec", d_out)?;
    let mut parts = Parts::new(read, w_enc, w_dec, b_dec, own);
    if skip {
        // x·A: SAELens 6.54 and circuit-tracer 0.5 agree on it.
        parts.w_skip = Some(tensors.transposed(SKIP, [d_out, d_in])?);
    }
    tensors.finish()?;
    Ok(Read {
        parts,
        files: vec![config.path().to_owned(), weights.path.clone()],
    })
}

/// Whether config and tensors say the same of the skip connection.
fn agrees(config: &Fields, skip: bool) -> Result<()> {
    if config.flag("affine_connection", skip)? == skip {
        return Ok(());
    }
    let there = if skip { "there" } else { "missing" };
    Err(Fault::usage(
        config.doing(),
        format!(
            "`affine_connection` is {}, and the tensor `{SKIP}` is {there}",
            !skip
        ),
    )
    .expected("a config that fits its tensors"))
}

/// TransformerLens's name of a Hugging Face hook point; the point itself where TransformerLens has another activation there.
fn hook_of(point: &str) -> Option<String> {
    let rest = point.split_once("layers.").map(|(_, rest)| rest);
    let hook = rest.and_then(|rest| {
        let (layer, place) = rest.split_once('.')?;
        let layer: usize = layer.parse().ok()?;
        let name = match place {
            "output" => "hook_resid_post",
            "self_attn.o_proj.input" => "attn.hook_z",
            "post_feedforward_layernorm.output" => "hook_mlp_out",
            "post_attention_layernorm.output" => "hook_attn_out",
            _ => return None,
        };
        Some(format!("blocks.{layer}.{name}"))
    });
    hook.or_else(|| Some(point.to_owned()).filter(|point| !point.is_empty()))
}
