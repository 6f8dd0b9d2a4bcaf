//! The published JSON Schema of control mappings.

use serde_json::{Value, json};

use crate::rules::check::CONTROLS_SCHEMA;

/// The JSON Schema (draft 2020-12) of a control mapping: what `rules/controls.schema.json` holds.
#[must_use]
pub fn schema() -> Value {
    let text =
        |description: &str| json!({"type": "string", "pattern": "\\S", "description": description});
    let object = |description: &str, properties: Value| {
        let required: Vec<&String> = properties
            .as_object()
            .into_iter()
            .flat_map(|all| all.keys())
            .collect();
        json!({
            "description": description,
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": properties
        })
    };
    let control = object(
        "A control.",
        json!({
            "id": text("Its id within the framework; rules name it behind the framework's name."),
            "title": text("What it asks for, in a few words."),
            "bearing": text("How a finding bears on it: evidence toward it, never compliance.")
        }),
    );
    let framework = object(
        "Where the controls come from.",
        json!({
            "name": text("A short name, with which the ids of its controls begin in rules."),
            "title": text("The full name with its version or date."),
            "source": text("Where it is published, such as a URL.")
        }),
    );
    let mut schema = object(
        "Controls that findings are evidence toward.",
        json!({
            "schema": {"const": CONTROLS_SCHEMA},
            "framework": framework,
            "controls": {"type": "array", "minItems": 1, "items": control}
        }),
    );
    if let Some(schema) = schema.as_object_mut() {
        schema.insert(
            "$schema".to_owned(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        schema.insert("$id".to_owned(), json!(CONTROLS_SCHEMA));
        schema.insert("title".to_owned(), json!("Candor controls"));
    }
    schema
}
