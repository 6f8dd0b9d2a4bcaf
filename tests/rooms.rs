//! The layout of the house: a room imports only from rooms above it in `lib.rs`, and four crates stay in one room each.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::path::Path;

/// Crates that one room alone may name.
const KEPT: [(&str, &str); 4] = [
    ("ed25519_dalek", "seal"),
    ("ort", "run"),
    ("prost", "model"),
    ("polars", "archive"),
];

/// A source file as the words and signs that matter here.
struct Source {
    /// Relative to `src`, with `/`.
    path: String,
    tokens: Vec<String>,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            tokens: tokens(text),
        }
    }

    /// Modules from the crate down to this file: `run/feed.rs` is `[run, feed]`.
    fn module(&self) -> Vec<&str> {
        let path = self.path.trim_end_matches(".rs");
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').collect()
    }

    fn room(&self) -> &str {
        self.module()[0]
    }

    fn is(&self, at: usize, token: &str) -> bool {
        self.tokens.get(at).is_some_and(|found| found == token)
    }

    /// The names that the path at `at`, just behind a `::`, may begin with: one, or each of a group.
    fn names(&self, at: usize) -> Vec<&str> {
        if !self.is(at, "{") {
            return self
                .tokens
                .get(at)
                .map(String::as_str)
                .into_iter()
                .collect();
        }
        let (mut depth, mut names) = (0, Vec::new());
        for (index, token) in self.tokens.iter().enumerate().skip(at) {
            match token.as_str() {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ if depth == 1 && (self.is(index - 1, "{") || self.is(index - 1, ",")) => {
                    names.push(token.as_str());
                }
                _ => {}
            }
            if depth == 0 {
                break;
            }
        }
        names
    }

    /// Rooms that this file names, by `crate::…` or by enough `super::`.
    fn imports(&self) -> Vec<&str> {
        let mut imports = Vec::new();
        let mut depth = self.module().len();
        for at in 0..self.tokens.len() {
            if self.is(at, "mod") && self.is(at + 1, "tests") && self.is(at + 2, "{") {
                depth += 1;
            }
            if self.is(at, "crate") && self.is(at + 1, "::") {
                imports.extend(self.names(at + 2));
            }
            let first = self.is(at, "super") && !(at > 0 && self.is(at - 1, "::"));
            let mut next = at;
            let mut chain = 0;
            while first && self.is(next, "super") && self.is(next + 1, "::") {
                (next, chain) = (next + 2, chain + 1);
            }
            if chain >= depth {
                imports.extend(self.names(next));
            }
        }
        imports
    }

    /// Whether a path or a `use` begins with the crate, or with one of its family (`polars_core`).
    fn names_crate(&self, name: &str) -> bool {
        let family = format!("{name}_");
        (0..self.tokens.len()).any(|at| {
            let token = &self.tokens[at];
            let begins = at < 2
                || !self.is(at - 1, "::")
                || !self.tokens[at - 2].starts_with(|c: char| c.is_alphanumeric() || c == '_');
            (token == name || token.starts_with(&family))
                && begins
                && (self.is(at + 1, "::") || (at > 0 && self.is(at - 1, "use")))
        })
    }
}

/// Identifiers, `::` and single signs; no comments, strings, characters or lifetimes.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest).or_else(|| quoted(rest)) {
            length
        } else if word(first) {
            let length = rest.find(|c| !word(c)).unwrap_or(rest.len());
            tokens.push(rest[..length].to_owned());
            length
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// Length of the raw string that the text begins with.
fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    let inside = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let start = text.len() - inside.len();
    Some(start + inside.find(&end)? + end.len())
}

/// Length of the string, character or lifetime mark that the text begins with.
fn quoted(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|&(_, c)| {
        let ends = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    let end = end.map_or(text.len(), |(at, _)| at + 1);
    let lifetime =
        quote == '\'' && !text.starts_with("'\\") && text[1..].chars().nth(1) != Some('\'');
    Some(if lifetime { 1 } else { end })
}

/// Everything that breaks the layout.
fn violations(order: &[String], sources: &[Source]) -> Vec<String> {
    let place = |room: &str| order.iter().position(|known| known == room);
    let mut found = Vec::new();
    for source in sources {
        let (path, room) = (&source.path, source.room());
        for (name, home) in KEPT {
            if room != home && source.names_crate(name) {
                found.push(format!("{path} names `{name}`, which stays in {home}/"));
            }
        }
        let Some(own) = place(room) else { continue };
        for import in source.imports() {
            match place(import) {
                Some(other) if other <= own => {}
                Some(_) => found.push(format!("{path}: `{room}` lies above `{import}`")),
                None => found.push(format!("{path} imports `{import}`, which is no room")),
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The rooms in the order of `lib.rs`.
fn order() -> Vec<String> {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let tokens = tokens(&text);
    let mods = tokens.windows(2).filter(|pair| pair[0] == "mod");
    mods.map(|pair| pair[1].clone()).collect()
}

fn read(folder: &Path, base: &Path, sources: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read(&path, base, sources);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let relative = path.strip_prefix(base).unwrap();
            let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            let text = fs::read_to_string(&path).unwrap();
            sources.push(Source::new(&parts.join("/"), &text));
        }
    }
}

#[test]
fn rooms_import_only_from_rooms_above_them() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    read(&src, &src, &mut sources);
    assert!(sources.len() > 100, "{}", sources.len());
    let order = order();
    for source in &sources {
        let known = order.iter().any(|room| room == source.room());
        assert!(
            known || matches!(source.room(), "lib" | "main"),
            "{}",
            source.path
        );
    }
    for (name, home) in KEPT {
        let named = sources.iter().filter(|source| source.names_crate(name));
        assert!(named.count() > 0, "`{name}` is not named even in {home}/");
    }
    let found = violations(&order, &sources);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn what_breaks_the_layout_is_seen() {
    let order: Vec<String> = ["fault", "model", "run", "report", "cli"]
        .map(str::to_owned)
        .into();
    let found = |path: &str, text: &str| violations(&order, &[Source::new(path, text)]);
    let broken = [
        ("model/a.rs", "use ort::session::Session;"),
        ("model/a.rs", "use {std::fmt, ort::Error};"),
        ("model/a.rs", "fn f() -> ::polars_core::Frame { todo() }"),
        ("run/mod.rs", "#[derive(prost::Message)] struct A;"),
        ("run/b.rs", "use polars as p;"),
        ("main.rs", "use polars::prelude::*;"),
        ("model/mod.rs", "use crate::run::Session;"),
        (
            "model/a/b.rs",
            "use crate::{fault::{Fault, Result}, report::{self, Exit}};",
        ),
        ("model/a/b.rs", "fn f() { let x = crate::cli::main(); }"),
        ("model/mod.rs", "use super::run::Session;"),
        ("model/a/b.rs", "use super::super::super::run::Session;"),
        (
            "model/a.rs",
            "mod tests { use super::super::super::run::Session; }",
        ),
        ("model/a.rs", "pub(crate) use crate::*;"),
        (
            "model/a.rs",
            "// use crate::fault\nlet q = '\"'; use crate::run::A; // \"",
        ),
    ];
    for (path, text) in broken {
        assert_eq!(found(path, text).len(), 1, "{path}: {text}");
    }
    let sound = [
        (
            "run/a.rs",
            "use ort::Error; use crate::{fault::{Fault, run}, model::Model};",
        ),
        (
            "model/a.rs",
            "use super::b::run; use super::super::model; use self::c::ort;",
        ),
        (
            "model/a.rs",
            "// use crate::run;\n/* ort::Error */ let ort = r#\"polars::\"#; let s = \"ort::\";",
        ),
        ("model/a.rs", "mod tests { use super::super::run; }"),
        (
            "model/a.rs",
            "fn f<'a>(x: &'a str) { x.import::ort(); self::a::ort::b(); }",
        ),
        ("main.rs", "fn main() { candor::cli::main() }"),
    ];
    for (path, text) in sound {
        assert_eq!(found(path, text), [""; 0], "{path}: {text}");
    }
}
