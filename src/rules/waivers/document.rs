//! A waiver file: its schema line and its waivers.

use std::path::Path;

use super::{Day, Waiver};
use crate::rules::check::diagnostic::Code;
use crate::rules::check::reader::{Fields, Reader};
use crate::rules::check::tree::{self, Data, Node, Place};

/// The schema that this version reads.
pub(super) const SCHEMA: &str = "candor/waivers/v1";

/// Keys of a waiver, in the order that they are best written in.
const KEYS: [&str; 6] = ["rule", "model", "suite", "reason", "owner", "expires"];

/// The waivers in which nothing is wrong, each with the place of its rule.
pub(super) fn read(reader: &mut Reader, file: &Path, text: &str) -> Vec<(Waiver, Place)> {
    let root = match tree::load(text, "a waiver file") {
        Err(malformed) => {
            reader.report(malformed.place, Code::Yaml, malformed.message);
            return Vec::new();
        }
        Ok(None) => {
            reader.report(START, Code::Empty, "the file is empty");
            return Vec::new();
        }
        Ok(Some(root)) => root,
    };
    let Some(fields) = reader.fields(&root, "a waiver file", &["schema", "waivers"]) else {
        return Vec::new();
    };
    if let Some(schema) = reader.required(&fields, "schema") {
        reader.word(schema, "`schema`", &[SCHEMA]);
    }
    let Some(list) = reader.required(&fields, "waivers") else {
        return Vec::new();
    };
    // A file outlives its last waiver.
    if matches!(&list.data, Data::Sequence(items) if items.is_empty()) {
        return Vec::new();
    }
    let nodes = reader.list(list, "`waivers`").unwrap_or_default();
    let read = nodes.iter().filter_map(|node| waiver(reader, file, node));
    read.collect()
}

const START: Place = Place {
    line: 1,
    column: 1,
    width: 1,
};

fn waiver(reader: &mut Reader, file: &Path, node: &Node) -> Option<(Waiver, Place)> {
    let before = reader.errors();
    let fields = reader.fields(node, "a waiver", &KEYS)?;
    let rule = reader
        .required(&fields, "rule")
        .and_then(|node| Some((reader.name(node, "the id of a rule", '-')?, node.place)));
    let reason = text(reader, &fields, "reason");
    let owner = text(reader, &fields, "owner");
    let expires = reader
        .required(&fields, "expires")
        .and_then(|node| day(reader, node));
    let mut limit = |key: &str| {
        let node = fields.optional(key)?;
        reader.text(node, &format!("`{key}`")).map(str::to_owned)
    };
    let (model, suite) = (limit("model"), limit("suite"));
    if reader.errors() > before {
        return None;
    }
    let (rule, place) = rule?;
    let waiver = Waiver {
        rule: rule.to_owned(),
        model,
        suite,
        reason: reason?,
        owner: owner?,
        expires: expires?,
        file: file.to_owned(),
        line: place.line,
    };
    Some((waiver, place))
}

fn text(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Option<String> {
    let node = reader.required(fields, key)?;
    reader.text(node, &format!("`{key}`")).map(str::to_owned)
}

fn day(reader: &mut Reader, node: &Node) -> Option<Day> {
    let text = reader.text(node, "`expires`")?;
    Day::parse(text)
        .map_err(|wrong| reader.report(node.place, Code::BadDay, format!("`expires` {wrong}")))
        .ok()
}
