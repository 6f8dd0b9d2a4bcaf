//! `candor inspect`: a model's structure, for people and for programs.

use serde::Serialize;

use super::args::{InspectArgs, InspectFormat};
use super::terminal;
use crate::fault::{Fault, Result};
use crate::model::{Architecture, FileDigest, InputRole, Model};

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

fn role(role: &InputRole) -> &'static str {
    match role {
        InputRole::TokenIds => "token ids",
        InputRole::AttentionMask => "attention mask",
        InputRole::PositionIds => "position ids",
        InputRole::PastKeyValue(_) => "past key or value",
    }
}

fn drawing(arch: &Architecture, files: &[FileDigest]) -> String {
    let mut lines = Vec::new();
    let heads = arch
        .n_heads
        .map_or_else(String::new, |heads| format!(" · {heads} heads"));
    lines.push(format!(
        "{} · {} layers · d_model {}{heads} · vocabulary {}",
        arch.family_hint, arch.n_layers, arch.d_model, arch.vocab_size
    ));
    lines.push(String::new());
    let width = arch
        .inputs
        .iter()
        .map(|input| input.name.len())
        .max()
        .unwrap_or(0);
    for input in arch
        .inputs
        .iter()
        .filter(|input| !matches!(input.role, InputRole::PastKeyValue(_)))
    {
        lines.push(format!("  {:width$}  {}", input.name, role(&input.role)));
    }
    let caches = arch
        .inputs
        .iter()
        .filter(|input| matches!(input.role, InputRole::PastKeyValue(_)))
        .count();
    if caches > 0 {
        lines.push(format!("  {caches} key/value caches, fed empty"));
    }
    lines.push("    │".to_owned());
    lines.push("  embed".to_owned());
    let mut layer = 0;
    while let Some(block) = arch.blocks.get(layer) {
        let same = arch.blocks[layer..]
            .iter()
            .take_while(|other| *other == block)
            .count();
        let name = if same == 1 {
            format!("block {layer}")
        } else {
            format!("blocks {layer}–{}", layer + same - 1)
        };
        lines.push("    │".to_owned());
        if block.parallel {
            lines.push(format!("    ├─▶ attention ({}) ─┐", block.attention));
            lines.push(format!(
                "    ├─▶ MLP {}┤   {name}, parallel",
                "─".repeat(9 + block.attention.len())
            ));
            lines.push(format!("    ⊕◀{}┘", "─".repeat(17 + block.attention.len())));
        } else {
            lines.push(format!("    ├─▶ attention ({}) ─┐", block.attention));
            lines.push(format!(
                "    ⊕◀{}┘   {name}, sequential",
                "─".repeat(17 + block.attention.len())
            ));
            lines.push(format!(
                "    ├─▶ MLP {}┐",
                "─".repeat(9 + block.attention.len())
            ));
            lines.push(format!("    ⊕◀{}┘", "─".repeat(17 + block.attention.len())));
        }
        layer += same;
    }
    lines.push("    │".to_owned());
    lines.push(format!("  final norm ─▶ {}", arch.logits));
    lines.push(String::new());
    lines.push("sites".to_owned());
    let names: Vec<String> = arch
        .sites
        .iter()
        .map(|site| site.name.to_string())
        .collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    for (site, name) in arch.sites.iter().zip(&names) {
        lines.push(format!(
            "  {name:width$}  [{}]  {}",
            site.shape.join(", "),
            site.tensor.name()
        ));
    }
    lines.push(String::new());
    lines.push("files".to_owned());
    for file in files {
        lines.push(format!(
            "  {}  {:>12} bytes  {}",
            file.sha256, file.bytes, file.path
        ));
    }
    lines.join("\n")
}
