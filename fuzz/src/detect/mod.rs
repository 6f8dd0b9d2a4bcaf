//! What reads SAEs, of the room `detect`.

#[path = "../../../src/detect/sae/mod.rs"]
pub mod sae;
#[path = "../../../src/detect/tensors/mod.rs"]
mod tensors;

pub use sae::Sae;
