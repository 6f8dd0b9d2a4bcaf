//! Detectors: linear probes and sparse autoencoders, their cards, training, calibration and selection. Pure arithmetic
//! over arrays; activations come from elsewhere.

mod calibration;
pub mod card;
mod detector;
mod features;
mod probe;
pub mod sae;
mod span;
mod tensors;
pub mod train;
mod write;

pub use calibration::{Calibration, Corpus, FalsePositives, calibrate};
pub use card::{Card, DetectorKind};
pub use detector::{Detector, FileDigest, Loaded};
pub use features::{SelectedFeature, Selection, Sign, select_features};
pub use probe::LinearProbe;
pub use sae::Sae;
pub use span::{Aggregation, Span};
