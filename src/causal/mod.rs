//! Causal evidence: activation patching and ablations, each with its controls.

mod ablate;
mod blockwise;
pub mod circuit;
mod engine;
mod grid;
pub mod intervention;
mod measure;
mod metric;
mod pair;
mod patch;
mod path;
mod planner;
mod queue;
mod random;
mod reading;
mod row;
mod rows;
mod staged;
mod summary;
mod sweep;
mod work;

pub use ablate::{Means, Removal, ablate};
pub use blockwise::{Blockwise, DEFAULT_BUDGET};
pub use engine::Engine;
pub use grid::{By, Cell, Grid};
pub use intervention::Intervention;
pub use measure::{Metric, Question, TokenScore};
pub use metric::{kl_divergence, log_probability, logit_difference, rank, top_token};
pub use pair::{Pair, equal_length};
pub use patch::{MIN_DENOMINATOR, patch_map, random_control, refuse_partial};
pub use path::{Through, path_patch};
pub use planner::{Choice, Load, Way, open};
pub use row::{Change, Row, Runs, SeeActivation, SeeLogits, To};
pub use summary::{Controls, Summary, controls, summarise};
pub use sweep::{CellMap, Sweep, Swept, sweep};
