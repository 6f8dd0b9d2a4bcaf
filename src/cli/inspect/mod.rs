//! `candor inspect`: a model's structure, for people and for programs.

mod blocks;
mod json;
mod layers;
mod page;
pub(super) mod paint;
mod ports;
mod sites;
mod stream;
mod words;

use super::args::{InspectArgs, InspectFormat};
use super::terminal;
use crate::fault::{Fault, Result};
use crate::files;
use crate::model::{Architecture, FileDigest, Model, ModelFile, Overview};
use crate::report::Exit;
use paint::Surface;

/// What is shown of a model.
struct Seen<'a> {
    path: String,
    overview: Overview,
    /// The architecture, or why none was found.
    found: std::result::Result<&'a Architecture, &'a Fault>,
    files: Vec<ModelFile>,
    /// In the order of `files`; empty unless they were asked for.
    digests: Vec<FileDigest>,
}

/// Prints the page; the exit code is that of a wrong argument where the model is refused.
pub fn run(args: &InspectArgs) -> Result<u8> {
    if let Some(out) = &args.out {
        files::writable(out)?;
    }
    let model = Model::open(&args.model)?;
    let found = Architecture::find(&model);
    let seen = Seen {
        path: args.model.display().to_string(),
        overview: Overview::of(&model),
        found: found.as_ref(),
        files: model.files(),
        digests: if args.digest {
            model.digests()?
        } else {
            Vec::new()
        },
    };
    let json = || {
        serde_json::to_string_pretty(&json::page(&seen))
            .map_err(|error| Fault::failed("writing JSON", error.to_string()))
    };
    if let Some(out) = &args.out {
        files::write_whole(out, json()?.as_bytes())?;
    }
    let is_text = args.format == InspectFormat::Text;
    if is_text {
        terminal::say(&page::page(&seen, args.sites, Surface::of_stdout()));
    } else {
        terminal::say(&json()?);
    }
    match &found {
        Ok(_) => Ok(0),
        // Whoever looks at the page has read the reason.
        Err(fault) if is_text && terminal::is_one() => Ok(Exit::of_fault(fault).code()),
        Err(fault) => Err(fault.clone()),
    }
}
