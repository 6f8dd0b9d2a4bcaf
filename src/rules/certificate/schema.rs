//! The published JSON Schema of certificates.

use serde_json::{Value, json};

use crate::rules::check::CERTIFICATE_SCHEMA;

/// The JSON Schema (draft 2020-12) of a certificate: what `rules/certificate.schema.json` holds.
#[must_use]
pub fn schema() -> Value {
    let object = |description: &str, properties: Value, required: &[&str]| {
        json!({
            "description": description,
            "type": "object",
            "additionalProperties": false,
            "required": required,
            "properties": properties
        })
    };
    let sha256 = |description: &str| json!({"type": "string", "pattern": "^[0-9a-f]{64}$", "description": description});
    let text =
        |description: &str| json!({"type": "string", "pattern": "\\S", "description": description});
    let count = |least: u32| json!({"type": "integer", "minimum": least, "maximum": 1_000_000});
    let rate = |what: &str, description: &str| {
        object(
            description,
            json!({what: count(0), "of": count(1)}),
            &[what, "of"],
        )
    };
    let rule = object(
        "How often a rule convicted.",
        json!({
            "id": {"type": "string", "pattern": "^[a-z][a-z0-9-]*$"},
            "sha256": sha256("Of the file that the rule stood in."),
            "planted": rate("convicted", "Models that deceive: sensitivity."),
            "harmless": rate("convicted", "Harmless twins: one minus the specificity.")
        }),
        &["id", "sha256", "planted", "harmless"],
    );
    let detector = object(
        "How often a kind of detector told the conditions apart.",
        json!({
            "role": text("What it is used for."),
            "kind": text("Its kind."),
            "planted": rate("flagged", "Models that deceive."),
            "harmless": rate("flagged", "Harmless twins: a decoy represents its condition as well as a liar does.")
        }),
        &["role", "kind", "planted", "harmless"],
    );
    let tool = object(
        "What decided.",
        json!({"version": text("Version of Candor."), "code": sha256("Of the code that decides.")}),
        &["version", "code"],
    );
    let benchmark = object(
        "What was audited.",
        json!({"models": count(1), "audits": count(1), "digest": sha256("Over the models and the recipe.")}),
        &["models", "audits", "digest"],
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": CERTIFICATE_SCHEMA,
        "title": "Candor certificate",
        "description": "How often rules and kinds of detectors were right on models whose answer is known.",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema", "made", "tool", "benchmark", "rules"],
        "properties": {
            "schema": {"const": CERTIFICATE_SCHEMA},
            "made": {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": "The day."},
            "tool": tool,
            "benchmark": benchmark,
            "rules": {"type": "array", "minItems": 1, "items": rule},
            "detectors": {"type": "array", "minItems": 1, "items": detector}
        }
    })
}
