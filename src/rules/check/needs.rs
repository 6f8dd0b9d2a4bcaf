//! What a rule says it needs, from YAML.

use super::reader::Reader;
use super::signals::role;
use super::tree::Node;
use crate::rules::rule::{Needs, Purpose};

/// Reads as much as is right; what is wrong was reported.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Needs {
    let mut needs = Needs::default();
    let Some(fields) = reader.fields(node, "`needs`", &["suites", "detectors"]) else {
        return needs;
    };
    let known = Purpose::ALL.map(Purpose::name);
    if let Some(list) = fields
        .optional("suites")
        .and_then(|node| reader.list(node, "`suites` of `needs`"))
    {
        for item in list {
            let word = reader.word(item, "a suite's purpose", &known);
            needs.suites.extend(
                Purpose::ALL
                    .into_iter()
                    .find(|one| Some(one.name()) == word),
            );
        }
    }
    if let Some(list) = fields
        .optional("detectors")
        .and_then(|node| reader.list(node, "`detectors` of `needs`"))
    {
        for item in list {
            needs
                .detectors
                .extend(role(reader, item, "a detector of `needs`"));
        }
    }
    needs
}
