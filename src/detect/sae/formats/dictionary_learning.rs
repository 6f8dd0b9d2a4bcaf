//! dictionary_learning (Marks et al.): `config.json` of the trainer, and `ae.pt` once it is a safetensors file. Each
//! dictionary class as the library's own `load_dictionary` opens it.

use ndarray::{Array1, Array2, Axis};

use super::{Asked, Fields, Format, Listing, Read};
use crate::detect::sae::SaeConfig;
use crate::detect::sae::parts::{Own, Parts, norms};
use crate::detect::tensors::Tensors;
use crate::fault::{Fault, Result};

pub(super) const FORMAT: Format = Format {
    name: "dictionary_learning",
    about: "`config.json` with trainer.dict_class, `ae.pt` converted to `ae.safetensors`",
    conversion: "safetensors.torch.save_file({name: tensor.contiguous() for name, tensor in torch.load(\"ae.pt\", map_location=\"cpu\", weights_only=True).items()}, \"ae.safetensors\")",
    recognise: |listing| listing.config(CONFIG, &["trainer.dict_class"]).is_some(),
    read,
};

const CONFIG: &str = "config.json";

/// A dictionary class and how its tensors are taken.
struct Class {
    name: &'static str,
    read: fn(&mut Opening<'_>) -> Result<Parts>,
}

const CLASSES: [Class; 7] = [
    Class {
        name: "AutoEncoder",
        read: auto_encoder,
    },
    Class {
        name: "AutoEncoderNew",
        read: |opening| {
            let own = opening.encoder_bias()?;
            opening.linear("standard", "decoder.bias", own)
        },
    },
    Class {
        name: "GatedAutoEncoder",
        read: |opening| {
            let d_sae = opening.d_sae;
            let own = Own::of([
                ("b_gate", opening.tensors.vector("gate_bias", d_sae)?),
                ("b_mag", opening.tensors.vector("mag_bias", d_sae)?),
                ("r_mag", opening.tensors.vector("r_mag", d_sae)?),
            ]);
            let parts = opening.linear("gated", "decoder_bias", own)?;
            Ok(subtracting(parts))
        },
    },
    Class {
        name: "AutoEncoderTopK",
        read: |opening| {
            let k = opening.k()?;
            opening.tensors.ignore(&["threshold"]);
            let own = opening.encoder_bias()?;
            let mut parts = subtracting(opening.linear("topk", "b_dec", own)?);
            parts.config.k = Some(k);
            Ok(parts)
        },
    },
    Class {
        name: "BatchTopKSAE",
        read: |opening| {
            opening.k()?;
            let threshold = opening.tensors.number("threshold")?;
            let mut own = opening.encoder_bias()?;
            own.insert("threshold", Array1::from_elem(opening.d_sae, threshold));
            Ok(subtracting(opening.linear("jumprelu", "b_dec", own)?))
        },
    },
    Class {
        name: "MatryoshkaBatchTopKSAE",
        read: |opening| {
            opening.k()?;
            opening.groups()?;
            let threshold = opening.tensors.number("threshold")?;
            let b_enc = opening.tensors.vector("b_enc", opening.d_sae)?;
            let threshold = Array1::from_elem(b_enc.len(), threshold);
            Ok(subtracting(opening.jumprelu(b_enc, threshold)?))
        },
    },
    Class {
        name: "JumpReluAutoEncoder",
        read: |opening| {
            let b_enc = opening.tensors.vector("b_enc", opening.d_sae)?;
            let threshold = opening.tensors.vector("threshold", opening.d_sae)?;
            opening.jumprelu(b_enc, threshold)
        },
    },
];

/// A dictionary that is being read.
struct Opening<'a> {
    config: &'a Fields,
    tensors: Tensors<'a>,
    d_in: usize,
    d_sae: usize,
}

fn read(listing: &Listing, _: &Asked) -> Result<Read> {
    let config = listing
        .config(CONFIG, &["trainer.dict_class"])
        .ok_or_else(|| super::no_config(listing, CONFIG))?;
    let class = config.word("trainer.dict_class", "")?;
    let class = CLASSES
        .iter()
        .find(|known| known.name == class)
        .ok_or_else(|| {
            let known: Vec<&str> = CLASSES.iter().map(|known| known.name).collect();
            config.wrong(
                "trainer.dict_class",
                &format!("one of {}", known.join(", ")),
            )
        })?;
    let weights = listing.the_weights(&FORMAT, "ae.safetensors", &["encoder.weight", "W_enc"])?;
    let mut opening = Opening {
        config,
        tensors: weights.open()?,
        d_in: config.size("trainer.activation_dim")?,
        d_sae: config.size("trainer.dict_size")?,
    };
    let mut parts = (class.read)(&mut opening)?;
    opening.tensors.finish()?;
    parts.config.hook_name = hook_of(config)?;
    parts.config.metadata = config.some(&[
        ("trainer.lm_name", "model_name"),
        ("buffer.ctx_len", "context_size"),
    ]);
    Ok(Read {
        parts,
        files: vec![config.path().to_owned(), weights.path.clone()],
    })
}

fn subtracting(mut parts: Parts) -> Parts {
    parts.config.apply_b_dec_to_input = true;
    parts
}

/// Its decoder is normalised when it is opened, which the encoder makes up for.
fn auto_encoder(opening: &mut Opening<'_>) -> Result<Parts> {
    // PyTorch's `allclose`.
    const NEAR: f32 = 1e-5 + 1e-8;
    let own = opening.encoder_bias()?;
    let mut parts = subtracting(opening.linear("standard", "bias", own)?);
    let norms = norms(&parts.w_dec);
    if norms.iter().all(|norm| (norm - 1.0).abs() <= NEAR) {
        return Ok(parts);
    }
    if let Some(feature) = norms.iter().position(|norm| *norm == 0.0) {
        return Err(Fault::usage(
            opening.config.doing(),
            format!("`decoder.weight` of feature {feature} is zero"),
        )
        .expected("a positive norm, as the decoder of an `AutoEncoder` is normalised"));
    }
    let b_enc = parts.own.take("b_enc")? * &norms;
    parts.own.insert("b_enc", b_enc);
    if let Some(w_enc) = &mut parts.w_enc {
        *w_enc *= &norms;
    }
    parts.w_dec /= &norms.insert_axis(Axis(1));
    Ok(parts)
}

impl Opening<'_> {
    fn encoder_bias(&mut self) -> Result<Own> {
        let b_enc = self.tensors.vector("encoder.bias", self.d_sae)?;
        Ok(Own::of([("b_enc", b_enc)]))
    }

    /// Encoder and decoder as PyTorch's linear layers.
    fn linear(&mut self, architecture: &'static str, bias: &str, own: Own) -> Result<Parts> {
        let (d_in, d_sae) = (self.d_in, self.d_sae);
        let w_enc: Array2<f32> = self.tensors.transposed("encoder.weight", [d_in, d_sae])?;
        let w_dec = self.tensors.transposed("decoder.weight", [d_sae, d_in])?;
        let b_dec = self.tensors.vector(bias, d_in)?;
        let config = SaeConfig::of(architecture, d_in, d_sae);
        Ok(Parts::new(config, w_enc, w_dec, b_dec, own))
    }

    fn jumprelu(&mut self, b_enc: Array1<f32>, threshold: Array1<f32>) -> Result<Parts> {
        let (d_in, d_sae) = (self.d_in, self.d_sae);
        let own = Own::of([("b_enc", b_enc), ("threshold", threshold)]);
        let w_enc = self.tensors.matrix("W_enc", [d_in, d_sae])?;
        let w_dec = self.tensors.matrix("W_dec", [d_sae, d_in])?;
        let b_dec = self.tensors.vector("b_dec", d_in)?;
        let config = SaeConfig::of("jumprelu", d_in, d_sae);
        Ok(Parts::new(config, w_enc, w_dec, b_dec, own))
    }

    /// The config's `k`, which the weights may repeat.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a number of features is far below 2^23"
    )]
    fn k(&mut self) -> Result<usize> {
        let k = self.config.size("trainer.k")?;
        if self.tensors.has("k") {
            let stored = self.tensors.number("k")?;
            if (stored - k as f32).abs() > 0.0 {
                return Err(self
                    .config
                    .wrong("trainer.k", &format!("{stored}, which the weights say")));
            }
        }
        Ok(k)
    }

    /// The groups of a Matryoshka dictionary, all of which are used.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a number of features is far below 2^23"
    )]
    fn groups(&mut self) -> Result<()> {
        let sum: f32 = self.tensors.numbers("group_sizes")?.iter().sum();
        if (sum - self.d_sae as f32).abs() > 0.0 {
            return Err(self.config.wrong(
                "trainer.dict_size",
                &format!("{sum}, the sum of the weights' `group_sizes`"),
            ));
        }
        Ok(())
    }
}

/// Where it was trained: the output of a layer, unless the trainer names another module.
fn hook_of(config: &Fields) -> Result<Option<String>> {
    let layer = config.whole("trainer.layer")?;
    let module = config.word("trainer.submodule_name", "resid_post")?;
    Ok(layer
        .filter(|_| module.starts_with("resid_post"))
        .map(|layer| format!("blocks.{layer}.hook_resid_post")))
}
