//! Detectors: linear probes and sparse autoencoders, their cards, training, calibration and selection. Pure arithmetic
//! over arrays; activations come from elsewhere.
mod aggregation;
mod agreement;
mod baselines;
mod binding;
mod calibration;
pub mod card;
mod column;
mod detector;
mod direction;
mod features;
mod probe;
pub mod sae;
mod span;
mod split;
mod tensors;
pub mod train;
mod words;
mod write;

pub use aggregation::Aggregation;
pub use agreement::{
    Agreement, auroc_agreement, false_alarm_agreement, flip_agreement, sae_agreements,
};
pub use baselines::{
    bag_of_words_auroc, bag_of_words_scores, length_auroc, logistic_scores, permutation_auroc,
};
pub use binding::Foreign;
pub use calibration::{Calibration, Corpus, FalsePositives, Flags, calibrate};
pub use card::{Card, DetectorKind};
pub use column::Column;
pub use detector::{Detector, FileDigest, ItemScore, Loaded};
pub use direction::Direction;
pub use features::{
    FeatureActs, Histogram, Neighbour, RankedFeature, SelectedFeature, Selection, Sign,
    best_features, nearest_features, rank_features, select_features,
};
pub use probe::Probe;
pub use sae::Sae;
pub use span::Span;
pub use split::{HoldOut, SplitItem, folds, hold_out};
