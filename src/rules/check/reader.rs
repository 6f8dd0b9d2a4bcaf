//! Reading nodes while collecting everything that is wrong with them.

use std::path::{Path, PathBuf};

use super::diagnostic::{Code, Diagnostic, Level};
use super::tree::{Data, Node, Place};

/// Collects the diagnostics of one file.
pub(in crate::rules) struct Reader {
    file: PathBuf,
    lines: Vec<String>,
    pub found: Vec<Diagnostic>,
}

/// The known keys of one mapping.
pub(in crate::rules) struct Fields<'a> {
    place: Place,
    what: String,
    entries: Vec<(&'a str, &'a Node)>,
}

impl Reader {
    pub fn new(file: &Path, text: &str) -> Self {
        Self {
            file: file.to_owned(),
            lines: text.lines().map(str::to_owned).collect(),
            found: Vec::new(),
        }
    }

    /// The file that is read.
    pub fn file(&self) -> &Path {
        &self.file
    }

    pub fn report(&mut self, place: Place, code: Code, message: impl Into<String>) {
        self.push(place, code, &message.into(), None);
    }

    pub fn report_with_hint(
        &mut self,
        place: Place,
        code: Code,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.push(place, code, &message.into(), Some(hint.into()));
    }

    fn push(&mut self, place: Place, code: Code, message: &str, hint: Option<String>) {
        let excerpt = self.lines.get(place.line - 1).cloned().unwrap_or_default();
        self.found.push(Diagnostic {
            file: self.file.clone(),
            line: place.line,
            column: place.column,
            severity: code.level(),
            code,
            message: printable(message),
            hint,
            excerpt: printable(&excerpt),
            width: place.width,
        });
    }

    /// Errors so far.
    pub fn errors(&self) -> usize {
        self.found
            .iter()
            .filter(|one| one.severity == Level::Error)
            .count()
    }

    fn wrong_type(&mut self, node: &Node, what: &str, expected: &str) {
        let found = node.data.describe();
        self.report(
            node.place,
            Code::WrongType,
            format!("{what} is {found}, expected {expected}"),
        );
    }

    /// The entries of a mapping whose keys are text; duplicates are reported and dropped.
    pub fn entries<'a>(
        &mut self,
        node: &'a Node,
        what: &str,
    ) -> Option<Vec<(&'a str, &'a Node, Place)>> {
        let Data::Mapping(entries) = &node.data else {
            self.wrong_type(node, what, "a mapping");
            return None;
        };
        let mut seen: Vec<(&str, &Node, Place)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let Data::Text(name) = &key.data else {
                self.wrong_type(key, "a key", "text");
                continue;
            };
            match seen.iter().find(|(known, _, _)| *known == name) {
                None => seen.push((name.as_str(), value, key.place)),
                Some((_, _, first)) => {
                    let message = format!("the key `{name}` is given twice");
                    let hint = format!("it is first given in line {}", first.line);
                    self.report_with_hint(key.place, Code::DuplicateKey, message, hint);
                }
            }
        }
        Some(seen)
    }

    /// A mapping with known keys.
    pub fn fields<'a>(&mut self, node: &'a Node, what: &str, known: &[&str]) -> Option<Fields<'a>> {
        let mut entries = Vec::new();
        for (key, value, place) in self.entries(node, what)? {
            if known.contains(&key) {
                entries.push((key, value));
            } else {
                let message = format!("{what} has no key `{key}`");
                self.report_with_hint(place, Code::UnknownKey, message, suggestion(key, known));
            }
        }
        Some(Fields {
            place: node.place,
            what: what.to_owned(),
            entries,
        })
    }

    /// The keys of a mapping before it is known which are right: nothing is reported of them.
    pub fn peek<'a>(&mut self, node: &'a Node, what: &str) -> Option<Fields<'a>> {
        let Data::Mapping(entries) = &node.data else {
            self.wrong_type(node, what, "a mapping");
            return None;
        };
        let named = entries.iter().filter_map(|(key, value)| match &key.data {
            Data::Text(name) => Some((name.as_str(), value)),
            _ => None,
        });
        Some(Fields {
            place: node.place,
            what: what.to_owned(),
            entries: named.collect(),
        })
    }

    /// A key that has to be there.
    pub fn required<'a>(&mut self, fields: &Fields<'a>, key: &str) -> Option<&'a Node> {
        let found = fields.optional(key);
        if found.is_none() {
            let message = format!("{} has no `{key}`", fields.what);
            self.report(fields.place, Code::MissingKey, message);
        }
        found
    }

    /// Text that is not blank, without blanks around it.
    pub fn text<'a>(&mut self, node: &'a Node, what: &str) -> Option<&'a str> {
        let Data::Text(text) = &node.data else {
            self.wrong_type(node, what, "text");
            return None;
        };
        let text = text.trim();
        if text.is_empty() {
            self.report(node.place, Code::Empty, format!("{what} is empty"));
            return None;
        }
        Some(text)
    }

    /// Lower-case words joined by `joint`.
    pub fn name<'a>(&mut self, node: &'a Node, what: &str, joint: char) -> Option<&'a str> {
        let text = self.text(node, what)?;
        self.spelled(text, node.place, what, joint).then_some(text)
    }

    /// Whether a name is spelled as lower-case words joined by `joint`; reports it if not.
    pub fn spelled(&mut self, text: &str, place: Place, what: &str, joint: char) -> bool {
        let good = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint);
        if !good {
            let message = format!(
                "{what} is `{text}`, expected lower-case letters and digits joined by `{joint}`"
            );
            self.report(place, Code::BadName, message);
        }
        good
    }

    /// One of the known words.
    pub fn word<'a>(&mut self, node: &'a Node, what: &str, known: &[&str]) -> Option<&'a str> {
        let text = self.text(node, what)?;
        if known.contains(&text) {
            return Some(text);
        }
        let message = format!("{what} is `{text}`, which is not known");
        self.report_with_hint(
            node.place,
            Code::UnknownWord,
            message,
            suggestion(text, known),
        );
        None
    }

    /// A finite number.
    pub fn number(&mut self, node: &Node, what: &str) -> Option<f64> {
        match node.data {
            Data::Number(number) if number.is_finite() => Some(number),
            _ => {
                self.wrong_type(node, what, "a finite number");
                None
            }
        }
    }

    /// A whole number from `least` up to a million.
    pub fn count(&mut self, node: &Node, what: &str, least: usize, why: &str) -> Option<usize> {
        const MOST: f64 = 1e6;
        let number = self.number(node, what)?;
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "checked to be whole and within range"
        )]
        if number.fract() == 0.0 && (0.0..=MOST).contains(&number) && number as usize >= least {
            return Some(number as usize);
        }
        let message =
            format!("{what} is {number}, expected a whole number from {least} to {MOST}: {why}");
        self.report(node.place, Code::OutOfRange, message);
        None
    }

    /// A list that is not empty.
    pub fn list<'a>(&mut self, node: &'a Node, what: &str) -> Option<&'a [Node]> {
        let Data::Sequence(items) = &node.data else {
            self.wrong_type(node, what, "a list");
            return None;
        };
        if items.is_empty() {
            self.report(node.place, Code::Empty, format!("{what} is an empty list"));
            return None;
        }
        Some(items)
    }
}

impl<'a> Fields<'a> {
    pub fn optional(&self, key: &str) -> Option<&'a Node> {
        self.entries
            .iter()
            .find(|(known, _)| *known == key)
            .map(|(_, node)| *node)
    }
}

/// Control characters of a hostile file must not reach a terminal.
fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && c != '\t' {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// The known word that was probably meant, or all of them.
pub(in crate::rules) fn suggestion(word: &str, known: &[&str]) -> String {
    match nearest(word, known) {
        Some(candidate) => format!("did you mean `{candidate}`?"),
        None if known.is_empty() => "no other key is known here".to_owned(),
        None => format!("known are: {}", known.join(", ")),
    }
}

/// The known word that was probably meant.
pub(super) fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let allowed = (word.chars().count() / 3).max(1);
    known
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
