//! Arguments, progress, exit codes.

use std::process::ExitCode;

/// Parses the arguments, does the work and returns the exit code.
#[must_use]
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
