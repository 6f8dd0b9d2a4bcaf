//! OpenAI's sparse_autoencoder (Gao et al. 2024, arXiv 2406.04093): a pickle, once it is a safetensors file with what is no tensor
//! beside it in `config.json`. `f = act((x' − pre_bias)·Wᵀ + latent_bias)`, with `x'` layer-normed if the activation is top-k.

use super::{Asked, Format, Listing, Read};
use crate::detect::sae::parts::{Own, Parts};
use crate::detect::sae::{Normalization, SaeConfig};
use crate::fault::Result;

pub(super) const FORMAT: Format = Format {
    name: "openai",
    about: "`autoencoder.pt` converted to a safetensors file with pre_bias and latent_bias, and `config.json` with activation",
    conversion: "state = torch.load(\"autoencoder.pt\", map_location=\"cpu\", weights_only=True); \
                 json.dump({name: state.pop(name) for name in (\"activation\", \"activation_state_dict\") if name in state}, open(\"config.json\", \"w\")); \
                 safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in state.items()}, \"autoencoder.safetensors\")",
    recognise: |listing| {
        listing.any(|weights| weights.has("pre_bias") && weights.has("latent_bias"))
    },
    read,
};

const CONFIG: &str = "config.json";
/// Statistics of its training.
const STATISTICS: [&str; 3] = [
    "stats_last_nonzero",
    "latents_activation_frequency",
    "latents_mean_square",
];

fn read(listing: &Listing, _: &Asked) -> Result<Read> {
    let weights = listing.the_weights(&FORMAT, "autoencoder.safetensors", &["pre_bias"])?;
    let config = listing.config(CONFIG, &["activation"]).ok_or_else(|| {
        super::no_config(listing, CONFIG)
            .expected("`config.json` with `activation` and `activation_state_dict`")
            .hint(format!(
                "they stand in the pickle beside the tensors: `{}`",
                FORMAT.conversion
            ))
    })?;
    let [d_sae, d_in] = weights.sides("encoder.weight")?;
    let mut tensors = weights.open()?;
    tensors.ignore(&STATISTICS);
    let read = match config.word("activation", "ReLU")? {
        "ReLU" => SaeConfig::of("standard", d_in, d_sae),
        "TopK" => {
            if config.word("activation_state_dict.postact_fn", "ReLU")? != "ReLU" {
                return Err(config.wrong("activation_state_dict.postact_fn", "`ReLU`"));
            }
            SaeConfig {
                k: Some(config.size("activation_state_dict.k")?),
                normalization: Normalization::LayerNorm,
                ..SaeConfig::of("topk", d_in, d_sae)
            }
        }
        _ => return Err(config.wrong("activation", "`ReLU` or `TopK`")),
    };
    let read = SaeConfig {
        apply_b_dec_to_input: true,
        ..read
    };
    let own = Own::of([("b_enc", tensors.vector("latent_bias", d_sae)?)]);
    let w_enc = tensors.transposed("encoder.weight", [d_in, d_sae])?;
    let w_dec = tensors.transposed("decoder.weight", [d_sae, d_in])?;
    let b_dec = tensors.vector("pre_bias", d_in)?;
    tensors.finish()?;
    Ok(Read {
        parts: Parts::new(read, w_enc, w_dec, b_dec, own),
        files: vec![config.path().to_owned(), weights.path.clone()],
    })
}
