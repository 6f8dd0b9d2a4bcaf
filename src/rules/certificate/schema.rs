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
    let id = |description: &str| json!({"type": "string", "pattern": "^[a-z][a-z0-9-]*$", "description": description});
    let missed = object(
        "A family of which the rule did not convict all planted models.",
        json!({"family": text("The family."), "convicted": count(0), "of": count(1)}),
        &["family", "convicted", "of"],
    );
    let rule = object(
        "How often a rule convicted.",
        json!({
            "id": id("The rule."),
            "sha256": sha256("Of the file that the rule stood in."),
            "planted": rate("convicted", "Audits of models that deceive: sensitivity."),
            "missed": {"type": "array", "minItems": 1, "items": missed},
            "harmless": object(
                "Audits of harmless twins: one minus the specificity, and how many were left to a person.",
                json!({"convicted": count(0), "review": count(0), "of": count(1)}),
                &["convicted", "review", "of"],
            )
        }),
        &["id", "sha256", "planted", "harmless"],
    );
    let mut detector = object(
        "How often a kind of detector told the conditions apart.",
        json!({
            "rule": id("The rule whose bars it was held against."),
            "rule_sha256": sha256("Of the file that the rule stood in."),
            "role": text("What it is used for."),
            "kind": text("Its kind."),
            "planted": rate("flagged", "Audits of models that deceive."),
            "decoys": rate("flagged", "Of harmless models whose answers the condition changes: what tells the conditions apart there is right."),
            "others": rate("flagged", "Of other harmless models.")
        }),
        &["rule", "rule_sha256", "role", "kind", "planted"],
    );
    // Harmless models of one sort at least.
    detector["anyOf"] = json!([{"required": ["decoys"]}, {"required": ["others"]}]);
    let tool = object(
        "What decided.",
        json!({"version": text("Version of Candor."), "code": sha256("Of the code that decides.")}),
        &["version", "code"],
    );
    let pairs = object(
        "Contrast pairs of an audit.",
        json!({"least": count(1), "most": count(1)}),
        &["least", "most"],
    );
    let benchmark = object(
        "What was audited.",
        json!({
            "models": count(1),
            "audits": count(1),
            "pairs": pairs,
            "runtime": text("Version of ONNX Runtime."),
            "digest": sha256("Over the models, what their audits hang on and ran on, and the recipe.")
        }),
        &["models", "audits", "pairs", "runtime", "digest"],
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
