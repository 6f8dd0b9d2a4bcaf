//! Reference models and how they are measured.

mod cell;
mod fixture;
mod measure;
mod patches;
mod plain;
mod table;

pub use cell::{Cell, Row};
pub use fixture::{Compare, Fixture, fixtures};
pub use measure::measure;
pub use table::Table;

use candor::run::{Runtime, RuntimeOptions};

pub fn runtime() -> Runtime {
    Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap()
}
