//! From text to token ids: the tokenizer, chat templates, suites of prompts, and which tokens are the response.

mod chat;
mod config;
mod judge;
mod prompt;
mod python;
mod suite;
mod tokenizer;
mod wire;

pub use chat::ChatTemplate;
pub use judge::{Judge, Outcome};
pub use prompt::{Given, Message, Prompt};
pub use suite::{Contrast, Item, Polarity, Purpose, Suite};
pub use tokenizer::{Encoded, Tokenizer};
