//! The researcher's verbs, each a function over one opened model: respond, read, capture, patch, train, find.
//!
//! `audit` is made of the same verbs.

mod progress;
mod read;
mod respond;
mod subject;

pub use progress::{Progress, Silent};
pub use read::{Reading, encode_items, span_positions};
pub use respond::respond;
pub use subject::Subject;
