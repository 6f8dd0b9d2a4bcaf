//! The `candor` command. All work is in the library; this file only hands over the arguments.

use std::process::ExitCode;

fn main() -> ExitCode {
    candor::cli::main()
}
