//! Bad input through the command line: the exit code, what is said, and that nothing is left behind.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test may stop, and says what it skips"
)]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;

#[path = "bad_input/audits.rs"]
mod audits;
#[path = "bad_input/detectors.rs"]
mod detectors;
#[path = "bad_input/models.rs"]
mod models;
#[cfg(unix)]
#[path = "bad_input/outputs.rs"]
mod outputs;
#[path = "bad_input/pairs.rs"]
mod pairs;
#[path = "bad_input/patches.rs"]
mod patches;
#[path = "bad_input/prompts.rs"]
mod prompts;

use cli::bench::Bench;

const AUDIT: [&str; 4] = ["audit", "audit.yaml", "--out", "out"];

/// Messages as one text, for a snapshot.
#[derive(Default)]
struct Said(Vec<String>);

impl Said {
    fn add(&mut self, what: &str, message: &str) {
        self.0.push(format!("── {what}\n{message}"));
    }
}

#[test]
fn the_bench_as_it_is_can_be_audited() {
    let bench = Bench::new();
    let mut command = cli::candor(AUDIT);
    command.current_dir(bench.path("")).assert().code(4);
    assert!(bench.path("out/report.html").is_file());
}
