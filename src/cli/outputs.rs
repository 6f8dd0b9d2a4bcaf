//! `--output FORMAT=PATH`, checked before any work.

use std::path::{Path, PathBuf};

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

/// Makes sure that no two write to one place, nor any to what is `taken` or lies in it.
pub fn apart(outputs: &[Output], taken: &[PathBuf]) -> Result<()> {
    let place = |path: &Path| -> PathBuf {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        // What is not there yet has no canonical path, but its folder may.
        let folder = absolute
            .parent()
            .and_then(|folder| folder.canonicalize().ok());
        let known = absolute.canonicalize().ok();
        known.unwrap_or_else(|| match (folder, absolute.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => absolute,
        })
    };
    let taken: Vec<PathBuf> = taken.iter().map(|path| place(path)).collect();
    let mut seen: Vec<(PathBuf, &str)> = Vec::new();
    for output in outputs.iter().filter(|output| output.mode == Mode::Replace) {
        let (path, name) = (place(&output.path), output.format.name);
        let other = seen.iter().find(|(other, _)| *other == path);
        let found = match other {
            Some((_, other)) if *other == name => None,
            Some((_, other)) => Some(format!("{other} and {name} in one place")),
            None if taken.iter().any(|taken| path.starts_with(taken)) => {
                Some(format!("{name} where the audit keeps what it seals"))
            }
            None => None,
        };
        if let Some(found) = found {
            return Err(Fault::usage(
                "reading `--output`",
                format!("{found}, `{}`", output.path.display()),
            )
            .expected("a place of its own for each"));
        }
        seen.push((path, name));
    }
    Ok(())
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
