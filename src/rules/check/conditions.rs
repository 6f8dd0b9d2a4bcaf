//! Condition trees from YAML.

use super::diagnostic::Code;
use super::reader::{Reader, suggestion};
use super::signals::Declared;
use super::tree::{Node, Place};
use crate::rules::condition::{Bar, Comparison, Condition};
use crate::rules::judge::Block;
use crate::rules::signals::{Class, Kind};

/// Words of the tree that no signal may be named after.
pub(super) const JOINTS: [&str; 3] = ["all", "any", "not"];

/// A bar of the rule and where it stands.
pub(super) struct Use {
    pub signal: String,
    pub bar: Bar,
    pub place: Place,
}

/// Reads the trees of one rule.
pub(super) struct Conditions<'a> {
    pub declared: &'a Declared,
    /// Every bar read so far.
    pub uses: Vec<Use>,
    /// Names that conditions mention, whether right or wrong.
    pub mentioned: Vec<String>,
}

impl Conditions<'_> {
    pub fn read(&mut self, reader: &mut Reader, block: Block, node: &Node) -> Option<Condition> {
        let what = format!("the condition of `{}`", block.name());
        self.tree(reader, block, node, &what)
    }

    fn tree(
        &mut self,
        reader: &mut Reader,
        block: Block,
        node: &Node,
        what: &str,
    ) -> Option<Condition> {
        let entries = reader.entries(node, what)?;
        if entries.is_empty() {
            let message = format!("{what} is empty");
            reader.report_with_hint(
                node.place,
                Code::Empty,
                message,
                "leave the block out instead",
            );
            return None;
        }
        if let Some((_, _, place)) = entries.get(1) {
            let message = format!("{what} has {} keys where one belongs", entries.len());
            reader.report_with_hint(
                *place,
                Code::WrongType,
                message,
                "join them with `all:` or `any:`",
            );
        }
        let mut parts = entries
            .iter()
            .map(|(key, value, place)| self.one(reader, block, key, value, *place))
            .collect::<Vec<_>>();
        if parts.len() == 1 {
            parts.pop().flatten()
        } else {
            None
        }
    }

    fn one(
        &mut self,
        reader: &mut Reader,
        block: Block,
        key: &str,
        value: &Node,
        place: Place,
    ) -> Option<Condition> {
        let what = format!("`{key}:`");
        match key {
            "all" | "any" => {
                let parts: Vec<_> = reader
                    .list(value, &what)?
                    .iter()
                    .map(|part| self.tree(reader, block, part, &format!("a part of {what}")))
                    .collect();
                let parts = parts.into_iter().collect::<Option<Vec<_>>>()?;
                Some(if key == "all" {
                    Condition::All(parts)
                } else {
                    Condition::Any(parts)
                })
            }
            "not" => Some(Condition::Not(Box::new(
                self.tree(reader, block, value, &what)?,
            ))),
            signal => self.leaf(reader, block, signal, value, place),
        }
    }

    fn leaf(
        &mut self,
        reader: &mut Reader,
        block: Block,
        signal: &str,
        value: &Node,
        place: Place,
    ) -> Option<Condition> {
        self.mentioned.push(signal.to_owned());
        let kind = self.kind_of(reader, block, signal, place);
        let known = Comparison::ALL.map(Comparison::name);
        let what = format!("the bar of `{signal}`");
        let entries = reader.entries(value, &what)?;
        if entries.is_empty() {
            let hint = suggestion("", &known);
            reader.report_with_hint(value.place, Code::Empty, format!("{what} is empty"), hint);
            return None;
        }
        let mut bars = Vec::new();
        for (key, number, key_place) in &entries {
            let comparison = Comparison::ALL.into_iter().find(|one| one.name() == *key);
            if comparison.is_none() {
                let message = format!("`{key}` is not a comparison");
                reader.report_with_hint(
                    *key_place,
                    Code::UnknownKey,
                    message,
                    suggestion(key, &known),
                );
            }
            let value = reader.number(number, &format!("`{key}` of `{signal}`"));
            let in_range = match (kind, value) {
                (Some(kind), Some(value)) => within(reader, kind, signal, value, number.place),
                _ => true,
            };
            if let (Some(comparison), Some(value), true) = (comparison, value, in_range) {
                let bar = Bar { comparison, value };
                self.uses.push(Use {
                    signal: signal.to_owned(),
                    bar,
                    place: number.place,
                });
                bars.push(Condition::Leaf {
                    signal: signal.to_owned(),
                    bar,
                });
            }
        }
        kind?;
        match (bars.len() == entries.len(), bars.len()) {
            (false, _) => None,
            (true, 1) => bars.pop(),
            (true, _) => Some(Condition::All(bars)),
        }
    }

    fn kind_of(
        &self,
        reader: &mut Reader,
        block: Block,
        signal: &str,
        place: Place,
    ) -> Option<&'static Kind> {
        let Some(kind) = self.declared.kinds.get(signal) else {
            let mut known: Vec<&str> = self.declared.kinds.keys().map(String::as_str).collect();
            known.extend(JOINTS);
            let message = format!("the rule defines no signal `{signal}`");
            reader.report_with_hint(
                place,
                Code::UnknownSignal,
                message,
                suggestion(signal, &known),
            );
            return None;
        };
        let kind = (*kind)?;
        if !admits(block, kind.class) {
            let message = format!(
                "`{signal}` ({}) is {} and cannot stand in `{}`",
                kind.name,
                describe(kind.class),
                block.name()
            );
            reader.report_with_hint(place, Code::WrongBlock, message, home(kind.class));
            return None;
        }
        Some(kind)
    }
}

/// A block takes evidence of its own sort only; what is valid may hang on anything.
fn admits(block: Block, class: Class) -> bool {
    match block {
        Block::Behaviour => class == Class::Behaviour,
        Block::Representation => class == Class::Representation,
        Block::Causal => class == Class::Causal,
        Block::Validity => true,
    }
}

const fn describe(class: Class) -> &'static str {
    match class {
        Class::Behaviour => "evidence of behaviour",
        Class::Representation => "evidence of a representation",
        Class::Causal => "causal evidence",
        Class::Control => "a control",
    }
}

const fn home(class: Class) -> &'static str {
    match class {
        Class::Behaviour => "it belongs in `behaviour` or `validity`",
        Class::Representation => {
            "it belongs in `representation` or `validity`: a representation alone convicts no model"
        }
        Class::Causal => "it belongs in `causal` or `validity`",
        Class::Control => "it belongs in `validity`",
    }
}

fn within(reader: &mut Reader, kind: &Kind, signal: &str, value: f64, place: Place) -> bool {
    let (low, high) = kind.range;
    let inside = (low..=high).contains(&value);
    if !inside {
        let message = format!(
            "the bar of `{signal}` is {value}, but `{}` lies within {low} to {high}",
            kind.name
        );
        reader.report(place, Code::OutOfRange, message);
    }
    inside
}
