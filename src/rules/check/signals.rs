//! Signals from YAML.

use std::collections::BTreeMap;

use super::conditions::JOINTS;
use super::diagnostic::Code;
use super::reader::{Fields, Reader, suggestion};
use super::tree::{Node, Place};
use crate::rules::signals::{KINDS, Kind, Param, Params, Signal};
use crate::rules::words;

/// The signals that a rule declares.
#[derive(Default)]
pub(super) struct Declared {
    /// Every name, with its kind if that is known.
    pub kinds: BTreeMap<String, Option<&'static Kind>>,
    /// The signals in which nothing is wrong, with the place of their name.
    pub signals: Vec<(Signal, Place)>,
    /// Where each name stands.
    pub places: Vec<(String, Place)>,
}

pub(super) fn read(reader: &mut Reader, node: &Node) -> Declared {
    let mut declared = Declared::default();
    let Some(entries) = reader.entries(node, "`signals`") else {
        return declared;
    };
    if entries.is_empty() {
        reader.report(node.place, Code::Empty, "`signals` is empty");
    }
    for (name, value, place) in entries {
        let what = format!("the signal `{name}`");
        if JOINTS.contains(&name) {
            let message = format!("a signal may not be named `{name}`, a word of conditions");
            reader.report(place, Code::BadName, message);
        } else {
            reader.spelled(name, place, "a signal's name", '_');
        }
        let kind = kind_of(reader, value, &what);
        declared.kinds.insert(name.to_owned(), kind);
        declared.places.push((name.to_owned(), place));
        if let Some(kind) = kind
            && let Some(params) = params(reader, value, kind, &what)
        {
            let name = name.to_owned();
            declared
                .signals
                .push((Signal { name, kind, params }, place));
        }
    }
    declared
}

fn kind_of(reader: &mut Reader, node: &Node, what: &str) -> Option<&'static Kind> {
    let entries = match &node.data {
        super::tree::Data::Mapping(_) => Fields::peek(node),
        _ => {
            reader.entries(node, what);
            return None;
        }
    };
    let Some(kind) = entries.optional("kind") else {
        reader.report(
            node.place,
            Code::MissingKey,
            format!("{what} has no `kind`"),
        );
        return None;
    };
    let name = reader.text(kind, &format!("`kind` of {what}"))?;
    let found = Kind::named(name);
    if found.is_none() {
        let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
        let message = format!("there is no kind of signal `{name}`");
        reader.report_with_hint(
            kind.place,
            Code::UnknownSignalKind,
            message,
            suggestion(name, &known),
        );
    }
    found
}

fn params(reader: &mut Reader, node: &Node, kind: &'static Kind, what: &str) -> Option<Params> {
    let mut known = vec!["kind"];
    known.extend(kind.params.iter().map(|param| param.key()));
    let fields = reader.fields(node, &format!("{what} ({})", kind.name), &known)?;
    let mut params = Params::default();
    let mut complete = true;
    for param in kind.params {
        let Some(value) = reader.required(&fields, param.key()) else {
            complete = false;
            continue;
        };
        let what = format!("`{}` of {what}", param.key());
        if *param == Param::Detector {
            params.role = role(reader, value, &what);
            complete &= params.role.is_some();
            continue;
        }
        let Some(word) = reader.word(value, &what, param.words()) else {
            complete = false;
            continue;
        };
        match param {
            Param::Of | Param::OfOrControl => params.of = words::of_of(word),
            Param::Mode => params.mode = words::mode_of(word),
            Param::Ablation => params.ablation = words::ablation_of(word),
            Param::Detector => {}
        }
    }
    complete.then_some(params)
}

/// `{role: …}`
pub(super) fn role(reader: &mut Reader, node: &Node, what: &str) -> Option<String> {
    let fields = reader.fields(node, what, &["role"])?;
    let role = reader.required(&fields, "role")?;
    reader
        .name(role, &format!("the role of {what}"), '-')
        .map(str::to_owned)
}
