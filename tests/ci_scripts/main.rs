//! What a pipeline runs: the steps of the GitHub action with a made-up runner, the job of the GitLab template, the hooks; and what others
//! say of their files.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may stop, and says what it skips"
)]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../cli/mod.rs"]
mod cli;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../validators/mod.rs"]
mod validators;

mod action;
mod files;
mod gitlab;
mod hooks;
mod obtain;
