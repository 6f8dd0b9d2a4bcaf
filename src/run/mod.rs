//! ONNX Runtime: finding and loading the library, sessions, batches, caches, generation. The only room that names `ort`.

mod abilities;
mod batch;
mod budget;
mod cache;
mod continued;
mod execute;
mod feed;
mod fetch;
mod generate;
mod layout;
mod library;
mod placement;
mod precision;
mod read;
mod runtime;
mod sampling;
mod search;
mod session;
mod values;
mod wheel;

pub use abilities::{Batching, Caching, Verdict};
pub use batch::{Batch, Side, batches};
pub use budget::{Budget, token_budget};
pub use cache::Cache;
pub use feed::{Feed, Tensor};
pub use generate::{Generation, Written, generate, greedy};
pub use placement::Placed;
pub use read::{Cells, Extra, Part, Reading, each_output, last_logits, outputs_of};
pub use runtime::{Provider, Runtime, RuntimeOptions};
pub use sampling::Sampling;
pub use search::Search;
pub use session::Session;
pub use wheel::Wheel;
