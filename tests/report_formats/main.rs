//! SARIF, JUnit XML, GitHub annotations, Markdown and CSV: what they say, and what the validators of others say of them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::too_many_lines,
    reason = "a test may stop, and what it makes up is small"
)]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../cli/mod.rs"]
mod cli;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../report/synthetic.rs"]
mod synthetic;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../validators/mod.rs"]
mod validators;

mod annotations;
mod audits;
mod csv;
mod junit;
mod markdown;
mod places;
mod sarif;
mod scenarios;
