//! `candor inspect`: a model's structure, for people and for programs.

use serde::Serialize;

use super::args::{InspectArgs, InspectFormat};
use super::drawing::{drawing, role};
use super::terminal;
use crate::fault::{Fault, Result};
use crate::model::{Architecture, FileDigest, Model};

#[derive(Serialize)]
struct Page<'a> {
    architecture: ArchitecturePage<'a>,
    sites: Vec<SitePage<'a>>,
    inputs: Vec<InputPage<'a>>,
    logits: &'a str,
    files: Vec<FilePage<'a>>,
}

#[derive(Serialize)]
struct ArchitecturePage<'a> {
    n_layers: usize,
    d_model: usize,
    n_heads: Option<usize>,
    vocab_size: usize,
    family_hint: &'a str,
    blocks: Vec<BlockPage<'a>>,
}

#[derive(Serialize)]
struct BlockPage<'a> {
    parallel: bool,
    attention: &'a str,
}

#[derive(Serialize)]
struct SitePage<'a> {
    name: String,
    tensor: &'a str,
    shape: &'a [String],
}

#[derive(Serialize)]
struct InputPage<'a> {
    name: &'a str,
    role: &'static str,
}

#[derive(Serialize)]
struct FilePage<'a> {
    path: &'a str,
    sha256: &'a str,
    bytes: u64,
}

pub fn run(args: &InspectArgs) -> Result<()> {
    let model = Model::open(&args.model)?;
    let arch = Architecture::find(&model)?;
    let files = model.digests()?;
    let text = match args.format {
        InspectFormat::Json => serde_json::to_string_pretty(&page(&arch, &files))
            .map_err(|error| Fault::failed("writing JSON", error.to_string()))?,
        InspectFormat::Text => drawing(&arch, &files),
    };
    terminal::say(&text);
    Ok(())
}

fn page<'a>(arch: &'a Architecture, files: &'a [FileDigest]) -> Page<'a> {
    Page {
        architecture: ArchitecturePage {
            n_layers: arch.n_layers,
            d_model: arch.d_model,
            n_heads: arch.n_heads,
            vocab_size: arch.vocab_size,
            family_hint: &arch.family_hint,
            blocks: arch
                .blocks
                .iter()
                .map(|block| BlockPage {
                    parallel: block.parallel,
                    attention: &block.attention,
                })
                .collect(),
        },
        sites: arch
            .sites
            .iter()
            .map(|site| SitePage {
                name: site.name.to_string(),
                tensor: site.tensor.name(),
                shape: &site.shape,
            })
            .collect(),
        inputs: arch
            .inputs
            .iter()
            .map(|input| InputPage {
                name: &input.name,
                role: role(&input.role),
            })
            .collect(),
        logits: &arch.logits,
        files: files
            .iter()
            .map(|file| FilePage {
                path: &file.path,
                sha256: &file.sha256,
                bytes: file.bytes,
            })
            .collect(),
    }
}
