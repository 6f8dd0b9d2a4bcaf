//! Llama Scope (He et al. 2024, arXiv 2410.20526; OpenMOSS): `hyperparams.json` and `checkpoints/final.safetensors`. Inputs were
//! scaled by `s = √d / mean ‖x‖` in training, and what is written by a scale of its own: both are folded into the weights.

use ndarray::Array1;

use super::{Asked, Fields, Format, Listing, Read};
use crate::detect::sae::parts::{Own, Parts, norms};
use crate::detect::sae::{Normalization, SaeConfig};
use crate::fault::Result;

pub(super) const FORMAT: Format = Format {
    name: "llama_scope",
    about: "`hyperparams.json` with d_model and dataset_average_activation_norm, `final.safetensors` with encoder.weight and decoder.weight",
    conversion: "safetensors.torch.save_file(torch.load(\"final.pt\", weights_only=True)[\"sae\"], \"final.safetensors\")",
    recognise: |listing| {
        listing
            .config(CONFIG, &["d_model", "dataset_average_activation_norm"])
            .is_some()
    },
    read,
};

const CONFIG: &str = "hyperparams.json";

fn read(listing: &Listing, asked: &Asked) -> Result<Read> {
    let config = listing
        .config(CONFIG, &["d_model", "dataset_average_activation_norm"])
        .ok_or_else(|| super::no_config(listing, CONFIG))?;
    let weights = listing.the_weights(&FORMAT, "final.safetensors", &["encoder.weight"])?;
    let mut tensors = weights.open()?;
    let (d_in, d_sae) = (config.size("d_model")?, d_sae(config)?);
    if config.flag("use_glu_encoder", false)? {
        return Err(config.wrong(
            "use_glu_encoder",
            "false: gated linear units are not computed",
        ));
    }
    let hook = |name| config.text(name).map(str::to_owned);
    let (hook_in, hook_out) = (hook("hook_point_in"), hook("hook_point_out"));
    let transcodes = hook_out.is_some() && hook_out != hook_in || asked.site_out.is_some();
    let scales = scales(config, d_in)?;
    let mut w_enc = tensors.transposed("encoder.weight", [d_in, d_sae])?;
    let mut w_dec = tensors.transposed("decoder.weight", [d_sae, d_in])?;
    let mut own = Own::of([("b_enc", tensors.vector("encoder.bias", d_sae)?)]);
    let mut b_dec = if config.flag("use_decoder_bias", true)? {
        tensors.vector("decoder.bias", d_in)?
    } else {
        Array1::zeros(d_in)
    };
    tensors.finish()?;
    let ranks_by_norm = config.flag("sparsity_include_decoder_norm", false)?;
    let (architecture, k) = match (config.word("act_fn", "jumprelu")?, transcodes) {
        ("jumprelu", _) => {
            // The files give it at the scale of the features at inference, f / s_in.
            let threshold = config.number("jump_relu_threshold")?;
            let threshold = threshold
                .ok_or_else(|| config.wrong("jump_relu_threshold", "a finite number from 0"))?
                * scales.input;
            let thresholds = if ranks_by_norm {
                // h·‖W_dec,i‖ > θ, with the activation itself left as it is.
                norms(&w_dec).mapv_into(|norm| threshold / norm.max(f32::MIN_POSITIVE))
            } else {
                Array1::from_elem(d_sae, threshold)
            };
            own.insert("threshold", thresholds);
            let name = if transcodes {
                "jumprelu_transcoder"
            } else {
                "jumprelu"
            };
            (name, None)
        }
        ("relu", false) => ("standard", None),
        ("relu", true) => ("transcoder", None),
        ("topk", _) if ranks_by_norm => {
            return Err(config.wrong(
                "sparsity_include_decoder_norm",
                "false: a ranking by decoder norm that leaves activations as they are is not computed",
            ));
        }
        ("topk", false) => ("topk", Some(config.size("top_k")?)),
        ("topk", true) => ("topk_transcoder", Some(config.size("top_k")?)),
        _ => return Err(config.wrong("act_fn", "`jumprelu`, `relu` or `topk`")),
    };
    w_enc *= scales.input;
    w_dec /= scales.output;
    b_dec /= scales.output;
    let subtracts = config.flag("apply_decoder_bias_to_pre_encoder", false)?;
    if subtracts && transcodes {
        return Err(config.wrong(
            "apply_decoder_bias_to_pre_encoder",
            "false: the decoder's bias of a transcoder belongs to what it writes",
        ));
    }
    let read = SaeConfig {
        k,
        apply_b_dec_to_input: subtracts,
        normalization: scales.normalization,
        flattens_heads: hook_in
            .as_deref()
            .is_some_and(|hook| hook.ends_with("hook_z")),
        hook_name: hook_in,
        hook_name_out: hook_out.filter(|_| transcodes),
        metadata: config.some(&[("model_name", "model_name")]),
        ..SaeConfig::of(architecture, d_in, d_sae)
    };
    Ok(Read {
        parts: Parts::new(read, w_enc, w_dec, b_dec, own),
        files: vec![config.path().to_owned(), weights.path.clone()],
    })
}

fn d_sae(config: &Fields) -> Result<usize> {
    if config.has("d_sae") {
        return config.size("d_sae");
    }
    let factor = config.size("expansion_factor")?;
    factor
        .checked_mul(config.size("d_model")?)
        .ok_or_else(|| config.wrong("expansion_factor", "a width that can be counted"))
}

/// What inputs and outputs were multiplied by in training.
struct Scales {
    input: f32,
    output: f32,
    normalization: Normalization,
}

fn scales(config: &Fields, d_in: usize) -> Result<Scales> {
    #[allow(clippy::cast_precision_loss, reason = "a width is far below 2^23")]
    let root = (d_in as f32).sqrt();
    let of = |name: &str| {
        Ok(root / config.positive(&format!("dataset_average_activation_norm.{name}"))?)
    };
    let (input, output, normalization) = match config.word("norm_activation", "dataset-wise")? {
        "dataset-wise" => (of("in")?, of("out")?, Normalization::None),
        "inference" => (1.0, 1.0, Normalization::None),
        "token-wise" => (1.0, 1.0, Normalization::ConstantNormRescale),
        _ => {
            return Err(config.wrong(
                "norm_activation",
                "`dataset-wise`, `token-wise` or `inference`: a norm of a whole batch is not computed",
            ));
        }
    };
    Ok(Scales {
        input,
        output,
        normalization,
    })
}
