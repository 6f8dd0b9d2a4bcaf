//! The researcher's verbs, each a function over one opened model: respond, read, capture, patch, train, find.
//!
//! `audit` is made of the same verbs.

mod capture;
mod patch;
mod progress;
mod read;
mod respond;
mod sites;
mod subject;

pub use capture::{Captured, capture, check_ids};
pub use patch::{PatchFile, patch};
pub use progress::{Progress, Silent};
pub use read::{Reading, encode_items, span_positions};
pub use respond::respond;
pub use sites::select_sites;
pub use subject::Subject;
