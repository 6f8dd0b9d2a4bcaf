//! `--output FORMAT=PATH`, checked before any work.

use super::terminal;
use crate::fault::{Fault, Result};
use crate::files;
use crate::report::{Mode, Output};

/// Where a run of GitHub Actions wants its summary.
const STEP_SUMMARY: &str = "GITHUB_STEP_SUMMARY";

/// The outputs that were asked for. A wrong path fails here and not after the work.
pub fn parse(texts: &[String]) -> Result<Vec<Output>> {
    let summary = std::env::var_os(STEP_SUMMARY).filter(|path| !path.is_empty());
    let mut outputs = Vec::with_capacity(texts.len());
    for text in texts {
        let mut output: Output = text.parse()?;
        // The runner owns that file, and other commands of the step write to it.
        if summary.as_deref() == Some(output.path.as_os_str()) {
            output.mode = Mode::Append;
        }
        outputs.push(output);
    }
    if outputs.iter().filter(|o| o.mode == Mode::Print).count() > 1 {
        return Err(Fault::usage("reading `--output`", "`-` twice")
            .expected("one format at most on standard output"));
    }
    Ok(outputs)
}

/// Makes sure that each can be written. What is appended to is there already, and printing needs no place.
pub fn prepare(outputs: &[Output]) -> Result<()> {
    let replaced = |output: &&Output| output.mode == Mode::Replace;
    outputs.iter().filter(replaced).try_for_each(|output| {
        if output.format.is_folder() {
            files::prepare(&output.path)
        } else {
            files::writable(&output.path)
        }
    })
}

/// Says `text` on standard output, or on standard error where an output has standard output to itself.
pub fn say(outputs: &[Output], text: &str) {
    if outputs.iter().any(|output| output.mode == Mode::Print) {
        terminal::note(text);
    } else {
        terminal::say(text);
    }
}
