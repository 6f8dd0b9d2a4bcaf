//! The page for people: what the model is, its stream as a drawing, and lists of what can be reached in it.

use super::paint::{Line, Surface, Tone, flow, shortened, wrapped};
use super::{Seen, ports, sites, stream, words};
use crate::fault::Fault;
use crate::model::{Architecture, Overview, Unused};

/// Operators that are named before the rest is left out.
const OPERATORS: usize = 12;

pub fn page(seen: &Seen<'_>, every_site: bool, surface: Surface) -> String {
    let width = surface.width;
    let mut lines = head(seen, width);
    let overview = &seen.overview;
    let arch = seen.found.ok();
    if let Some(arch) = arch {
        lines.extend(alarm(&arch.facts.unused, width));
    }
    if let Err(fault) = seen.found {
        section(&mut lines, "no residual stream", "", broken(fault, width));
    }
    section(
        &mut lines,
        "inputs",
        "",
        ports::inputs(&overview.inputs, arch, width),
    );
    if let Some(arch) = arch {
        section(&mut lines, "stream", "", stream::drawing(arch, width));
    }
    section(
        &mut lines,
        "outputs",
        "",
        ports::outputs(&overview.outputs, arch, width),
    );
    if let Some(arch) = arch {
        let (list, note) = if every_site {
            (sites::listed(arch, width), String::new())
        } else {
            (
                sites::grouped(arch, width),
                format!("{} in all: `--sites` lists each", arch.sites.len()),
            )
        };
        section(&mut lines, "sites", &note, list);
        section(
            &mut lines,
            "not in this graph",
            "",
            sites::absent(arch, width),
        );
    }
    let operators = if arch.is_some() {
        &overview.fused
    } else {
        &overview.operators
    };
    let title = if arch.is_some() {
        "fused operators"
    } else {
        "operators"
    };
    section(&mut lines, title, "", counted(operators, width));
    section(&mut lines, "weights", "", weights(overview, width));
    section(&mut lines, "files", "", files(seen, width));
    lines
        .iter()
        .map(|line| line.shown(surface.coloured))
        .collect::<Vec<_>>()
        .join("\n")
}

fn section(lines: &mut Vec<Line>, title: &str, note: &str, content: Vec<Line>) {
    if content.is_empty() {
        return;
    }
    lines.push(Line::new());
    lines.push(
        Line::new()
            .with(Tone::Strong, title)
            .with(Tone::Quiet, format!("  {note}")),
    );
    lines.extend(content);
}

fn head(seen: &Seen<'_>, width: usize) -> Vec<Line> {
    let overview = &seen.overview;
    let mut lines = vec![Line::new().with(Tone::Strong, shortened(&seen.path, width))];
    let mut said = Vec::new();
    if let Ok(arch) = seen.found {
        said.push(arch.family_hint.clone());
        said.push(words::counted(arch.n_layers, "block", "blocks"));
        said.push(format!("d_model {}", arch.d_model));
        said.extend(
            arch.n_heads
                .map(|heads| words::counted(heads, "head", "heads")),
        );
        said.push(format!("vocabulary {}", arch.vocab_size));
    }
    let parameters = overview.parameters();
    if parameters > 0 {
        said.push(format!("{} parameters", words::rounded(parameters)));
    }
    lines.extend(
        flow(&said, width)
            .into_iter()
            .map(|text| Line::new().with(Tone::Plain, text)),
    );
    let mut made = Vec::new();
    if !overview.producer.is_empty() {
        made.push(overview.producer.clone());
    }
    made.extend(overview.ir_version.map(|version| format!("IR {version}")));
    made.extend(
        overview
            .opsets
            .iter()
            .map(|(domain, version)| match domain.as_str() {
                "ai.onnx" => format!("opset {version}"),
                domain => format!("{domain} {version}"),
            }),
    );
    made.push(words::counted(overview.nodes, "node", "nodes"));
    lines.extend(
        flow(&made, width)
            .into_iter()
            .map(|text| Line::new().with(Tone::Quiet, text)),
    );
    lines
}

/// What the logits do not depend on, where it is more than bookkeeping.
fn alarm(unused: &Unused, width: usize) -> Vec<Line> {
    if unused.products == 0 && unused.parameters == 0 {
        return Vec::new();
    }
    let mut parts = Vec::new();
    if unused.nodes > 0 {
        parts.push(format!(
            "{} of {} do not lead to the logits",
            unused.nodes,
            words::counted(unused.of_nodes, "node", "nodes")
        ));
    }
    if unused.products > 0 {
        parts.push(format!(
            "{} among them",
            words::counted(
                unused.products,
                "attention or product with weights",
                "attentions and products with weights"
            )
        ));
    }
    if unused.parameters > 0 {
        parts.push(format!(
            "{} of {} ({} numbers) have no part in the logits",
            unused.weights,
            words::counted(unused.of_weights, "weight tensor", "weight tensors"),
            words::rounded(unused.parameters)
        ));
    }
    let advice =
        "an audit sees only what the logits depend on: compare with the model that was exported";
    let text = format!("{}; {advice}", parts.join(", "));
    let mut lines = vec![Line::new()];
    let texts = wrapped(&text, width - 4);
    lines.extend(texts.into_iter().enumerate().map(|(number, text)| {
        let mark = if number == 0 { "  ! " } else { "    " };
        Line::new().with(Tone::Alarm, format!("{mark}{text}"))
    }));
    lines
}

fn counted(operators: &[(String, usize)], width: usize) -> Vec<Line> {
    let mut said: Vec<String> = operators
        .iter()
        .take(OPERATORS)
        .map(|(op, count)| match count {
            1 => op.clone(),
            count => format!("{op} × {count}"),
        })
        .collect();
    if operators.len() > OPERATORS {
        said.push(format!("{} more kinds", operators.len() - OPERATORS));
    }
    flow(&said, width - 2)
        .into_iter()
        .map(|text| Line::new().with(Tone::Plain, format!("  {text}")))
        .collect()
}

fn weights(overview: &Overview, width: usize) -> Vec<Line> {
    let kinds: Vec<String> = overview.weights.iter().map(words::storage).collect();
    let widest = kinds
        .iter()
        .map(|kind| kind.chars().count())
        .max()
        .unwrap_or(0)
        .min(width - 48);
    let line = |(stored, kind): (&crate::model::Stored, &String)| {
        let line = Line::new()
            .with(Tone::Plain, format!("  {}", shortened(kind, widest)))
            .filled(Tone::Plain, " ", widest + 4);
        let tensors = words::counted(stored.tensors, "tensor", "tensors");
        line.with(
            Tone::Quiet,
            format!(
                "{tensors:>12}  {:>8} parameters  {:>8}",
                words::rounded(stored.parameters),
                words::bytes(stored.bytes)
            ),
        )
    };
    overview.weights.iter().zip(&kinds).map(line).collect()
}

fn files(seen: &Seen<'_>, width: usize) -> Vec<Line> {
    let names = seen
        .files
        .iter()
        .map(|file| file.path.chars().count())
        .max()
        .unwrap_or(0)
        .min(width - 16);
    let mut lines = Vec::new();
    for (number, file) in seen.files.iter().enumerate() {
        let line = Line::new()
            .with(Tone::Plain, format!("  {}", shortened(&file.path, names)))
            .filled(Tone::Plain, " ", names + 4);
        lines.push(line.with(Tone::Plain, format!("{:>9}", words::bytes(file.bytes))));
        if let Some(digest) = seen.digests.get(number) {
            let texts = wrapped(&digest.sha256, if width < 70 { 32 } else { 64 });
            lines.extend(
                texts
                    .into_iter()
                    .map(|text| Line::new().with(Tone::Quiet, format!("    {text}"))),
            );
        }
    }
    lines
}

/// Where the search ended, in the words of the error that follows.
fn broken(fault: &Fault, width: usize) -> Vec<Line> {
    let parts = [
        ("found", &fault.found),
        ("expected", &fault.expected),
        ("hint", &fault.hint),
    ];
    let mut lines = Vec::new();
    for (name, text) in parts.into_iter().filter(|(_, text)| !text.is_empty()) {
        for (number, text) in wrapped(text, width - 12).into_iter().enumerate() {
            let tone = if name == "found" {
                Tone::Alarm
            } else {
                Tone::Plain
            };
            let label = if number == 0 { name } else { "" };
            lines.push(
                Line::new()
                    .with(Tone::Quiet, format!("  {label:<8}  "))
                    .with(tone, text),
            );
        }
    }
    lines
}

impl Seen<'_> {
    /// The architecture if one was found.
    pub fn architecture(&self) -> Option<&Architecture> {
        self.found.ok()
    }
}
