//! From text to token ids: the tokenizer, chat templates, suites of prompts, and which tokens are the response.

mod account;
mod chat;
mod config;
mod import;
mod intake;
mod item;
mod judge;
mod negation;
mod own;
mod prompt;
mod python;
mod schema;
mod stored;
mod suite;
mod tokenizer;
mod wire;

pub use account::{Labels, Longest, Repeated, Skipped, Source};
pub use chat::ChatTemplate;
pub use item::{Item, Polarity};
pub use judge::{Judge, Outcome};
pub use negation::without_negation;
pub use prompt::{Given, Message, Prompt};
pub use schema::suite_schema;
pub use stored::StoredItems;
pub use suite::{Contrast, Purpose, Suite};
pub use tokenizer::{Encoded, Tokenizer};
