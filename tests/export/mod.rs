//! Reference models and how they are measured.

mod cell;
#[cfg(test)]
mod doubts;
mod fixture;
mod measure;
mod notes;
mod patches;
mod plain;
mod rows;
mod table;

pub use cell::Row;
pub use fixture::fixtures;
pub use measure::measure;
pub use table::Table;

use candor::run::{Runtime, RuntimeOptions};

pub fn runtime() -> Runtime {
    Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap()
}
