//! Raw checkpoints of batch-top-k training (Bussmann et al. 2024, arXiv 2412.06410) and its Matryoshka form (arXiv 2503.17547).
//! Their inference form is `jumprelu` with the threshold that training has found, which is what SAELens exports.

use ndarray::{Array1, Axis};

use super::{Architecture, Encoder, Extent, Target, jumprelu};
use crate::detect::sae::parts::Parts;
use crate::fault::Result;

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "batchtopk",
    in_saelens: true,
    own: &[
        ("b_enc", Extent::Features),
        ("topk_threshold", Extent::Number),
    ],
    tied: false,
    target: Target::Input,
    takes_k: false,
    load,
};

pub(super) const MATRYOSHKA: Architecture = Architecture {
    name: "matryoshka_batchtopk",
    ..ARCHITECTURE
};

/// The smallest decoder norm that SAELens divides by.
const SMALLEST_NORM: f32 = 1e-8;

fn load(parts: &mut Parts) -> Result<Box<dyn Encoder>> {
    let mut threshold = parts.own.take_number("topk_threshold")?;
    let mut b_enc = parts.own.take("b_enc")?;
    if parts.config.rescale_acts_by_decoder_norm {
        // Activations were compared in units of the decoder's norms, which were divided by the scaling.
        threshold /= parts.scaling.unwrap_or(1.0);
        let norms = parts
            .decoder_norms()
            .mapv_into(|norm| norm.max(SMALLEST_NORM));
        if let Some(w_enc) = &mut parts.w_enc {
            *w_enc *= &norms;
        }
        b_enc *= &norms;
        parts.w_dec /= &norms.insert_axis(Axis(1));
        parts.config.rescale_acts_by_decoder_norm = false;
    }
    let thresholds = Array1::from_elem(parts.config.d_sae, threshold);
    parts.own.insert("b_enc", b_enc);
    parts.own.insert("threshold", thresholds);
    parts.config.architecture = jumprelu::ARCHITECTURE.name;
    (jumprelu::ARCHITECTURE.load)(parts)
}
