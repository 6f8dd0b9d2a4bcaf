//! A rule file: its schema line and its rules.

use std::path::Path;

use super::certificates;
use super::coherence;
use super::conditions::Conditions;
use super::controls;
use super::diagnostic::Code;
use super::evidence;
use super::needs;
use super::reader::{Fields, Reader};
use super::signals::{self, Declared};
use super::tree::{self, Data, Node, Place};
use crate::rules::certificate::Certificate;
use crate::rules::controls::Control;
use crate::rules::judge::Block;
use crate::rules::rule::{Needs, Rule};
use crate::rules::verdict::Severity;

/// The schema that this version reads.
pub(in crate::rules) const SCHEMA: &str = "candor/rules/v1";

/// Keys of a rule, in the order that they are best written in.
const KEYS: [&str; 14] = [
    "id",
    "title",
    "severity",
    "summary",
    "why",
    "needs",
    "signals",
    "behaviour",
    "representation",
    "causal",
    "validity",
    "evidence",
    "controls",
    "remediation",
];

/// What a file holds: the rules, controls and certificates in which nothing is wrong, every id of a rule and of a control that it gives, the
/// controls that its rules name, and the rules that its certificate speaks of, each with its place.
#[derive(Default)]
pub(super) struct Document {
    pub rules: Vec<Rule>,
    pub ids: Vec<(String, Place)>,
    pub named: Vec<(String, Place)>,
    pub controls: Vec<Control>,
    pub control_ids: Vec<(String, Place)>,
    pub certificates: Vec<Certificate>,
    pub certified_ids: Vec<(String, Place)>,
}

pub(super) fn read(reader: &mut Reader, file: &Path, text: &str) -> Document {
    let mut document = Document::default();
    let start = Place {
        line: 1,
        column: 1,
        width: 1,
    };
    let root = match tree::load(text, "a rule file") {
        Err(malformed) => {
            reader.report(malformed.place, Code::Yaml, malformed.message);
            return document;
        }
        Ok(None) => {
            reader.report(start, Code::Empty, "the file is empty");
            return document;
        }
        Ok(Some(root)) => root,
    };
    if says(&root, controls::SCHEMA) {
        controls::read(reader, &root, &mut document);
        return document;
    }
    if says(&root, certificates::SCHEMA) {
        certificates::read(reader, &root, &mut document);
        return document;
    }
    let Some(fields) = reader.fields(&root, "a rule file", &["schema", "rules"]) else {
        return document;
    };
    if let Some(schema) = reader.required(&fields, "schema") {
        reader.word(
            schema,
            "`schema`",
            &[SCHEMA, controls::SCHEMA, certificates::SCHEMA],
        );
    }
    let rules = reader.required(&fields, "rules");
    for node in rules
        .and_then(|node| reader.list(node, "`rules`"))
        .unwrap_or_default()
    {
        let rule = rule(reader, file, node, &mut document);
        document.rules.extend(rule);
    }
    document
}

/// Whether a file says that it is of this schema.
fn says(root: &Node, schema: &str) -> bool {
    let Data::Mapping(entries) = &root.data else {
        return false;
    };
    let text =
        |node: &Node, expected: &str| matches!(&node.data, Data::Text(text) if text == expected);
    entries
        .iter()
        .any(|(key, value)| text(key, "schema") && text(value, schema))
}

fn rule(reader: &mut Reader, file: &Path, node: &Node, document: &mut Document) -> Option<Rule> {
    let before = reader.errors();
    let fields = reader.fields(node, "a rule", &KEYS)?;
    let id = reader
        .required(&fields, "id")
        .and_then(|node| Some((reader.name(node, "the id of a rule", '-')?, node.place)));
    if let Some((id, place)) = id {
        document.ids.push((id.to_owned(), place));
    }
    let title = text(reader, &fields, "title");
    let summary = text(reader, &fields, "summary");
    let why = text(reader, &fields, "why");
    let remediation = text(reader, &fields, "remediation");
    let severity = severity(reader, &fields);
    let named = named_controls(reader, &fields);
    document.named.extend(named.iter().cloned());
    let needs = fields
        .optional("needs")
        .map_or_else(Needs::default, |node| needs::read(reader, node));
    let declared = reader
        .required(&fields, "signals")
        .map_or_else(Declared::default, |node| signals::read(reader, node));
    let demands = fields
        .optional("evidence")
        .map_or_else(Vec::new, |node| evidence::read(reader, node));
    let mut conditions = Conditions {
        declared: &declared,
        uses: Vec::new(),
        mentioned: Vec::new(),
    };
    let [behaviour, representation, causal, validity] = Block::ALL.map(|block| {
        fields
            .optional(block.name())
            .and_then(|node| conditions.read(reader, block, node))
    });
    let judges = [Block::Behaviour, Block::Representation, Block::Causal];
    if judges
        .iter()
        .all(|block| fields.optional(block.name()).is_none())
    {
        reader.report_with_hint(
            node.place,
            Code::NothingToJudge,
            "the rule has no condition to judge by",
            "give it at least one of `behaviour`, `representation` and `causal`",
        );
    }
    coherence::check(
        reader,
        &coherence::Parts {
            place: node.place,
            needs: &needs,
            needs_place: fields.optional("needs").map(|node| node.place),
            declared: &declared,
            demands: &demands,
            conditions: &conditions,
        },
    );
    if reader.errors() > before {
        return None;
    }
    let (id, place) = id?;
    Some(Rule {
        id: id.to_owned(),
        title: title?,
        severity: severity?,
        summary: summary?,
        why: why?,
        needs,
        signals: declared
            .signals
            .into_iter()
            .map(|(signal, _)| signal)
            .collect(),
        behaviour,
        representation,
        causal,
        validity,
        evidence: demands
            .into_iter()
            .filter_map(|(_, request, _)| request)
            .collect(),
        controls: named.into_iter().map(|(id, _)| id).collect(),
        remediation: remediation?,
        file: file.to_owned(),
        line: place.line,
        column: node.place.column,
    })
}

fn text(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Option<String> {
    let node = reader.required(fields, key)?;
    reader.text(node, &format!("`{key}`")).map(str::to_owned)
}

fn severity(reader: &mut Reader, fields: &Fields<'_>) -> Option<Severity> {
    let node = reader.required(fields, "severity")?;
    let word = reader.word(node, "`severity`", &Severity::ALL.map(Severity::name))?;
    Severity::ALL.into_iter().find(|one| one.name() == word)
}

fn named_controls(reader: &mut Reader, fields: &Fields<'_>) -> Vec<(String, Place)> {
    let Some(node) = fields.optional("controls") else {
        return Vec::new();
    };
    // An empty list is allowed here: a private rule need not bear on any framework.
    if matches!(&node.data, Data::Sequence(items) if items.is_empty()) {
        return Vec::new();
    }
    reader
        .list(node, "`controls`")
        .unwrap_or_default()
        .iter()
        .filter_map(|item| {
            let id = reader.text(item, "a control identifier")?;
            Some((id.to_owned(), item.place))
        })
        .collect()
}
