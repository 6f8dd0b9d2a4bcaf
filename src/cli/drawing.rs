//! A model's structure as a drawing for the terminal.

use crate::model::{Architecture, Block, FileDigest, InputRole};

/// The stream from the inputs down to the logits, then the sites and the files.
pub fn drawing(arch: &Architecture, files: &[FileDigest]) -> String {
    let heads = arch
        .n_heads
        .map_or_else(String::new, |heads| format!(" · {heads} heads"));
    let mut lines = vec![
        format!(
            "{} · {} layers · d_model {}{heads} · vocabulary {}",
            arch.family_hint, arch.n_layers, arch.d_model, arch.vocab_size
        ),
        String::new(),
    ];
    lines.extend(inputs(arch));
    lines.extend(["    │", "  embed"].map(str::to_owned));
    let mut layer = 0;
    while let Some(block) = arch.blocks.get(layer) {
        let rest = arch.blocks.get(layer..).unwrap_or_default();
        let same = rest.iter().take_while(|other| *other == block).count();
        let name = match same {
            1 => format!("block {layer}"),
            _ => format!("blocks {layer}–{}", layer + same - 1),
        };
        lines.push("    │".to_owned());
        lines.extend(branches(block, &name));
        layer += same;
    }
    lines.push("    │".to_owned());
    lines.push(format!("  final norm ─▶ {}", arch.logits));
    lines.push("\nsites".to_owned());
    let names: Vec<String> = arch
        .sites
        .iter()
        .map(|site| site.name.to_string())
        .collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    lines.extend(arch.sites.iter().zip(&names).map(|(site, name)| {
        format!(
            "  {name:width$}  [{}]  {}",
            site.shape.join(", "),
            site.tensor.name()
        )
    }));
    lines.push("\nfiles".to_owned());
    lines.extend(
        files
            .iter()
            .map(|file| format!("  {}  {:>12} bytes  {}", file.sha256, file.bytes, file.path)),
    );
    lines.join("\n")
}

fn inputs(arch: &Architecture) -> Vec<String> {
    let (caches, others): (Vec<_>, Vec<_>) = arch
        .inputs
        .iter()
        .partition(|input| matches!(input.role, InputRole::PastKeyValue(_)));
    let width = others
        .iter()
        .map(|input| input.name.len())
        .max()
        .unwrap_or(0);
    let mut lines: Vec<String> = others
        .iter()
        .map(|input| format!("  {:width$}  {}", input.name, role(&input.role)))
        .collect();
    if !caches.is_empty() {
        lines.push(format!("  {} key/value caches, fed empty", caches.len()));
    }
    lines
}

/// What an input means, in words.
pub fn role(role: &InputRole) -> &'static str {
    match role {
        InputRole::TokenIds => "token ids",
        InputRole::AttentionMask => "attention mask",
        InputRole::ScoreMask(_) => "attention mask by head and query",
        InputRole::PositionIds => "position ids",
        InputRole::CachePositions => "positions in the cache",
        InputRole::TokenTypes => "token types, all 0",
        InputRole::LogitsToKeep => "number of tokens that get logits, all",
        InputRole::LastTokens => "number of real tokens so far less one",
        InputRole::TotalLength => "number of tokens so far",
        InputRole::PastKeyValue(_) => "past key or value",
    }
}

/// The branches of a block beside the stream, which runs down on the left.
fn branches(block: &Block, name: &str) -> Vec<String> {
    let attention = format!("├─▶ attention ({}) ─", block.attention);
    let width = attention.chars().count();
    let ruled = |start: &str, end: &str| {
        format!(
            "    {start}{}{end}",
            "─".repeat(width - start.chars().count())
        )
    };
    let (attention, mlp, sum) = (ruled(&attention, "┐"), "├─▶ MLP ", "⊕◀");
    if block.parallel {
        vec![
            attention,
            ruled(mlp, "┤") + &format!("   {name}, parallel"),
            ruled(sum, "┘"),
        ]
    } else {
        vec![
            attention,
            ruled(sum, "┘") + &format!("   {name}, sequential"),
            ruled(mlp, "┐"),
            ruled(sum, "┘"),
        ]
    }
}
