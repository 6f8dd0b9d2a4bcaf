//! Causal evidence: activation patching and ablations, each with its controls.

mod ablate;
mod blockwise;
mod engine;
mod metric;
mod pair;
mod patch;
mod planner;
mod random;
mod row;
mod rows;
mod staged;

pub use ablate::{Means, Removal, ablate};
pub use blockwise::{Blockwise, DEFAULT_BUDGET};
pub use engine::Engine;
pub use metric::{kl_divergence, logit_difference, top_token};
pub use pair::{Pair, equal_length};
pub use patch::{MIN_DENOMINATOR, patch_map, random_control, refuse_partial};
pub use planner::{Choice, Load, Way, open};
pub use row::{Change, Row, Runs, SeeActivation, SeeLogits, To};
