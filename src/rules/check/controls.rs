//! A mapping of controls, from YAML.

use super::document::Document;
use super::reader::{Fields, Reader};
use super::tree::Node;
use crate::rules::controls::{Control, Framework};

/// The schema of control mappings that this version reads.
pub(in crate::rules) const SCHEMA: &str = "candor/controls/v1";

/// Reads the controls in which nothing is wrong; what is wrong was reported.
pub(super) fn read(reader: &mut Reader, root: &Node, document: &mut Document) {
    let keys = ["schema", "framework", "controls"];
    let Some(fields) = reader.fields(root, "a control mapping", &keys) else {
        return;
    };
    let framework = reader
        .required(&fields, "framework")
        .and_then(|node| framework(reader, node));
    let controls = reader.required(&fields, "controls");
    for node in controls
        .and_then(|node| reader.list(node, "`controls`"))
        .unwrap_or_default()
    {
        control(reader, node, framework.as_ref(), document);
    }
}

fn framework(reader: &mut Reader, node: &Node) -> Option<Framework> {
    let fields = reader.fields(node, "`framework`", &["name", "title", "source"])?;
    let [name, title, source] = ["name", "title", "source"].map(|key| text(reader, &fields, key));
    Some(Framework {
        name: name?,
        title: title?,
        source: source?,
    })
}

fn control(
    reader: &mut Reader,
    node: &Node,
    framework: Option<&Framework>,
    document: &mut Document,
) {
    let Some(fields) = reader.fields(node, "a control", &["id", "title", "bearing"]) else {
        return;
    };
    let [id, title, bearing] = ["id", "title", "bearing"].map(|key| text(reader, &fields, key));
    let (Some(id), Some(framework)) = (id, framework) else {
        return;
    };
    let id = format!("{} {id}", framework.name);
    let place = fields.optional("id").map_or(node.place, |node| node.place);
    document.control_ids.push((id.clone(), place));
    if let (Some(title), Some(bearing)) = (title, bearing) {
        document.controls.push(Control {
            id,
            framework: framework.clone(),
            title,
            bearing,
        });
    }
}

fn text(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Option<String> {
    let node = reader.required(fields, key)?;
    reader.text(node, &format!("`{key}`")).map(str::to_owned)
}
