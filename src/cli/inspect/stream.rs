//! The stream from the token ids down to the logits.

use super::blocks::Boxes;
use super::layers;
use super::paint::{Line, Tone, flow};
use super::words;
use crate::model::{Architecture, InputRole};

/// A drawing is not stretched further.
const WIDEST: usize = 84;
/// Where text beside the stream begins.
const BESIDE: usize = 8;

pub fn drawing(arch: &Architecture, width: usize) -> Vec<Line> {
    let width = width.min(WIDEST);
    let boxes = Boxes::new(width);
    let tokens = arch
        .inputs
        .iter()
        .find(|port| port.role == InputRole::TokenIds);
    let mut lines = stop(
        "○",
        Tone::Plain,
        tokens.map_or("token ids", |port| port.name.as_str()),
        &[],
        width,
    );
    lines.push(Boxes::stem());
    lines.extend(stop("●", Tone::Strong, "embed", &below(arch), width));
    for group in layers::groups(&arch.blocks) {
        lines.push(Boxes::stem());
        lines.extend(boxes.draw(&group));
    }
    lines.push(Boxes::stem());
    if let Some(norm) = arch.facts.final_norm {
        lines.extend(stop("●", Tone::Norm, norm.name(), &["final".into()], width));
        lines.push(Boxes::stem());
    }
    lines.extend(stop("●", Tone::Strong, "unembed", &above(arch), width));
    lines.push(Line::new().with(Tone::Rail, "      ▼"));
    lines.extend(stop(
        "○",
        Tone::Plain,
        &arch.logits,
        &[format!("{} wide", arch.vocab_size)],
        width,
    ));
    lines
}

/// A place on the stream with its name and what is said of it.
fn stop(mark: &str, tone: Tone, name: &str, said: &[String], width: usize) -> Vec<Line> {
    let head = Line::new()
        .with(Tone::Rail, format!("      {mark} "))
        .with(tone, name);
    let start = head.width() + 2;
    let mut texts = flow(said, width.saturating_sub(start)).into_iter();
    let first = match texts.next() {
        Some(text) => head.with(Tone::Plain, format!("  {text}")),
        None => head,
    };
    let more = texts.map(|text| {
        Line::new()
            .with(Tone::Rail, "      │")
            .filled(Tone::Plain, " ", start.max(BESIDE))
            .with(Tone::Plain, text)
    });
    std::iter::once(first).chain(more).collect()
}

fn below(arch: &Architecture) -> Vec<String> {
    let facts = &arch.facts;
    let mut said = vec![format!("{} × {}", arch.vocab_size, arch.d_model)];
    said.extend(
        facts
            .embedding_scale
            .map(|scale| format!("times {}", words::constant(scale))),
    );
    if facts.added_positions {
        said.push("positions added".into());
    }
    said.extend(facts.embedding_norm.map(|norm| norm.name().to_owned()));
    said
}

fn above(arch: &Architecture) -> Vec<String> {
    let facts = &arch.facts;
    let mut said = Vec::new();
    if facts.tied {
        said.push("the embedding's weights".into());
    }
    said.extend(
        facts
            .logit_scale
            .map(|scale| format!("times {}", words::constant(scale))),
    );
    said.extend(
        facts
            .logit_cap
            .map(|cap| format!("soft cap {}", words::constant(cap))),
    );
    said
}
