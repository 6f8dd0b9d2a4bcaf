//! ONNX Runtime: finding and loading the library, sessions, batches, greedy generation. The only room that names `ort`.

mod batch;
mod feed;
mod fetch;
mod generate;
mod library;
mod placement;
mod runtime;
mod search;
mod session;
mod values;
mod wheel;

pub use batch::{Batch, batches};
pub use feed::{Feed, Tensor};
pub use generate::{greedy, last_logits, token_budget};
pub use placement::Placed;
pub use runtime::{Provider, Runtime, RuntimeOptions};
pub use search::Search;
pub use session::Session;
pub use wheel::Wheel;
