//! From text to token ids: the tokenizer, suites of prompts, and which tokens are the response.

mod judge;
mod suite;
mod tokenizer;
mod wire;

pub use judge::{Judge, Outcome};
pub use suite::{Contrast, Item, Purpose, Suite};
pub use tokenizer::{Encoded, Tokenizer};
