//! Reports: every format from one made-up audit.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::too_many_lines,
    clippy::float_cmp,
    clippy::print_stdout,
    reason = "a test may panic and say that it was skipped, and what it makes up is small"
)]

mod baseline;
mod browser;
mod exhibits;
mod exit;
mod full;
mod gate;
mod html;
mod json;
mod outputs;
mod parquet;
mod stored;
mod synthetic;
mod table;
#[allow(dead_code, reason = "other tests hold other formats against them")]
#[path = "../validators/mod.rs"]
mod validators;
mod waivers;
mod why;
