//! The published JSON Schema of waiver files.

use serde_json::{Value, json};

use super::document::SCHEMA;

/// The JSON Schema (draft 2020-12) of a waiver file: what `rules/waivers.schema.json` holds.
#[must_use]
pub fn schema() -> Value {
    let text =
        |description: &str| json!({"type": "string", "pattern": "\\S", "description": description});
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        "title": "Candor waivers",
        "description": "Findings that a person accepts until a day.",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema", "waivers"],
        "properties": {
            "schema": {"const": SCHEMA},
            "waivers": {"type": "array", "items": {
                "type": "object",
                "additionalProperties": false,
                "required": ["rule", "reason", "owner", "expires"],
                "properties": {
                    "rule": {
                        "type": "string",
                        "pattern": "^[a-z][a-z0-9-]*$",
                        "description": "The id of the rule whose findings are waived."
                    },
                    "model": text("The only model that it holds for, by its name in the audit."),
                    "suite": text("The only suite that it holds for, by its id."),
                    "reason": text("Why the finding is accepted."),
                    "owner": text("Who accepts it."),
                    "expires": {
                        "type": "string",
                        "format": "date",
                        "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
                        "description": "The last day (UTC) on which it holds."
                    }
                }
            }}
        }
    })
}
