//! EleutherAI's sparsify: `cfg.json` and `sae.safetensors`. `f = topk(relu((x − b_dec)·Eᵀ + b))`, or the maximum of each of
//! `k` groups; a transcoder subtracts nothing and may add `x·W_skipᵀ`.

use super::{Asked, Format, Listing, Read};
use crate::detect::sae::SaeConfig;
use crate::detect::sae::parts::{Own, Parts};
use crate::fault::Result;
use crate::model::ModulePath;

pub(super) const FORMAT: Format = Format {
    name: "sparsify",
    about: "`cfg.json` with d_in, k and expansion_factor, `sae.safetensors` with encoder.weight and W_dec",
    conversion: "safetensors.torch.save_file(torch.load(\"sae.pt\", weights_only=True), \"sae.safetensors\")",
    recognise: |listing| {
        listing
            .config(CONFIG, &["d_in", "k"])
            .is_some_and(|config| {
                !config.has("d_sae")
                    && (config.has("expansion_factor") || config.has("num_latents"))
            })
    },
    read,
};

const CONFIG: &str = "cfg.json";

fn read(listing: &Listing, asked: &Asked) -> Result<Read> {
    let weights = listing.the_weights(&FORMAT, "sae.safetensors", &["encoder.weight"])?;
    let config = listing
        .config(CONFIG, &["d_in", "k"])
        .ok_or_else(|| super::no_config(listing, CONFIG))?;
    let d_in = config.size("d_in")?;
    let d_sae = match config.whole("num_latents")?.filter(|latents| *latents > 0) {
        Some(latents) => latents,
        None => config
            .size("expansion_factor")?
            .checked_mul(d_in)
            .ok_or_else(|| config.wrong("expansion_factor", "a width that can be counted"))?,
    };
    let transcode = config.flag("transcode", false)? || asked.site_out.is_some();
    let skip = config.flag("skip_connection", false)?;
    if config.flag("signed", false)? {
        return Err(config.wrong("signed", "false: latents that are not negative"));
    }
    let architecture = match (config.word("activation", "topk")?, transcode, skip) {
        ("topk", false, false) => "topk",
        ("groupmax", false, false) => "groupmax",
        ("topk", true, false) => "topk_transcoder",
        ("topk", true, true) => "topk_skip_transcoder",
        ("groupmax", true, false) => "groupmax_transcoder",
        ("groupmax", true, true) => "groupmax_skip_transcoder",
        (_, false, true) => {
            return Err(config.wrong("skip_connection", "false, unless it is a transcoder"));
        }
        _ => return Err(config.wrong("activation", "`topk` or `groupmax`")),
    };
    let mut tensors = weights.open()?;
    // The folder is called by the module whose output is read, or whose input a transcoder reads.
    let module = super::folder_of(&weights.path).and_then(|name| ModulePath::parse(&name)?.site());
    let module = module.map(|site| site.to_string());
    let (hook_name, hook_name_out) = if transcode {
        (None, module)
    } else {
        (module, None)
    };
    let read = SaeConfig {
        apply_b_dec_to_input: !transcode,
        k: Some(config.size("k")?),
        hook_name,
        hook_name_out,
        ..SaeConfig::of(architecture, d_in, d_sae)
    };
    let w_enc = tensors.transposed("encoder.weight", [d_in, d_sae])?;
    let own = Own::of([("b_enc", tensors.vector("encoder.bias", d_sae)?)]);
    let w_dec = tensors.matrix("W_dec", [d_sae, d_in])?;
    let b_dec = tensors.vector("b_dec", d_in)?;
    let mut parts = Parts::new(read, w_enc, w_dec, b_dec, own);
    if skip {
        parts.w_skip = Some(tensors.matrix("W_skip", [d_in, d_in])?);
    }
    tensors.finish()?;
    Ok(Read {
        parts,
        files: vec![config.path().to_owned(), weights.path.clone()],
    })
}
