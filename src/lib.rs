//! Candor audits an exported language model for deception before release.
//!
//! Data flows one way through the rooms below; a room imports only from rooms above it in this list,
//! and only [`audit`] joins them. See `ARCHITECTURE.md`.

pub mod fault;
pub mod stats;

pub mod digest;
pub mod files;
pub mod interrupt;
mod names;

pub mod seal;

pub mod model;
pub mod tokens;

pub mod instrument;

pub mod run;

pub mod detect;

pub mod evidence;

pub mod archive;

pub mod causal;

pub mod rules;

pub mod report;

pub mod lab;

pub mod audit;

pub mod bench;

pub mod cli;
