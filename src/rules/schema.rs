//! The published JSON Schema of rule files, built from the same tables that the checker reads.

use serde_json::{Value, json};

use super::check::{LEAST_PAIRS, LEAST_RANDOM, SCHEMA, points};
use super::condition::Comparison;
use super::rule::Purpose;
use super::signals::{KINDS, Kind, Param};
use super::verdict::Severity;

/// The JSON Schema (draft 2020-12) of a rule file: what `rules/rules.schema.json` holds.
#[must_use]
pub fn schema() -> Value {
    let signals: Vec<Value> = KINDS.iter().map(|kind| signal(kind)).collect();
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        "title": "Candor rules",
        "description": "Rules that say what measured evidence means for a model.",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema", "rules"],
        "properties": {
            "schema": {"const": SCHEMA},
            "rules": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/rule"}}
        },
        "$defs": {
            "rule": rule(),
            "name": {"type": "string", "pattern": "^[a-z][a-z0-9-]*$"},
            "text": {"type": "string", "pattern": "\\S"},
            "detector": {
                "description": "A detector, by what it detects.",
                "type": "object",
                "additionalProperties": false,
                "required": ["role"],
                "properties": {"role": {"$ref": "#/$defs/name"}}
            },
            "signal": {"oneOf": signals},
            "condition": condition(),
            "bar": bar(),
            "evidence": evidence()
        }
    })
}

fn rule() -> Value {
    let text = |description: &str| json!({"$ref": "#/$defs/text", "description": description});
    let block =
        |description: &str| json!({"$ref": "#/$defs/condition", "description": description});
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["id", "title", "severity", "summary", "why", "signals", "remediation"],
        "anyOf": [
            {"required": ["behaviour"]},
            {"required": ["representation"]},
            {"required": ["causal"]}
        ],
        "properties": {
            "id": {"$ref": "#/$defs/name", "description": "Unique in a pack."},
            "title": text("A few words for a table."),
            "severity": {
                "description": "How much a finding matters.",
                "enum": Severity::ALL.map(Severity::name)
            },
            "summary": text("What the rule says of a model."),
            "why": text("Why it reasons as it does, where its thresholds come from, and the papers."),
            "needs": {
                "description": "What has to be part of the audit.",
                "type": "object",
                "additionalProperties": false,
                "properties": {
                    "suites": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"enum": Purpose::ALL.map(Purpose::name)}
                    },
                    "detectors": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"$ref": "#/$defs/detector"}
                    }
                }
            },
            "signals": {
                "description": "What is measured, by names of your choice.",
                "type": "object",
                "minProperties": 1,
                "propertyNames": {
                    "pattern": "^[a-z][a-z0-9_]*$",
                    "not": {"enum": ["all", "any", "not"]}
                },
                "additionalProperties": {"$ref": "#/$defs/signal"}
            },
            "behaviour": block("What is visible from outside. Without it a rule never fails a model."),
            "representation": block("What is visible inside. Alone it asks for a review at most."),
            "causal": block("What interventions show."),
            "validity": block("Controls that must hold before anything is concluded."),
            "evidence": {"$ref": "#/$defs/evidence"},
            "controls": {
                "description": "Control identifiers that a finding is evidence toward.",
                "type": "array",
                "items": {"$ref": "#/$defs/text"}
            },
            "remediation": text("What to do about a finding.")
        }
    })
}

fn signal(kind: &Kind) -> Value {
    let mut properties = serde_json::Map::new();
    properties.insert("kind".to_owned(), json!({"const": kind.name}));
    let mut required = vec!["kind"];
    for param in kind.params {
        let value = match param {
            Param::Detector => json!({"$ref": "#/$defs/detector"}),
            other => json!({"enum": other.words()}),
        };
        properties.insert(param.key().to_owned(), value);
        required.push(param.key());
    }
    json!({
        "title": kind.name,
        "description": kind.doc,
        "type": "object",
        "additionalProperties": false,
        "required": required,
        "properties": properties
    })
}

fn condition() -> Value {
    let parts = json!({"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/condition"}});
    json!({
        "description": "`all:`, `any:`, `not:`, or a signal with its bar. A bar holds when the whole 95 % interval is on its side.",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "properties": {"all": parts, "any": parts, "not": {"$ref": "#/$defs/condition"}},
        "additionalProperties": {"$ref": "#/$defs/bar"}
    })
}

fn bar() -> Value {
    let properties: serde_json::Map<String, Value> = Comparison::ALL
        .iter()
        .map(|one| (one.name().to_owned(), json!({"type": "number"})))
        .collect();
    json!({
        "type": "object",
        "minProperties": 1,
        "additionalProperties": false,
        "properties": properties
    })
}

fn evidence() -> Value {
    let random = json!({"type": "integer", "minimum": LEAST_RANDOM, "maximum": 1_000_000});
    let ablation = |description: &str| {
        json!({
            "description": description,
            "type": "object",
            "additionalProperties": false,
            "required": ["detector", "random_directions", "max_items"],
            "properties": {
                "detector": {"$ref": "#/$defs/detector"},
                "random_directions": random,
                "max_items": {"type": "integer", "minimum": 1, "maximum": 1_000_000}
            }
        })
    };
    let hooks: Vec<String> = points().into_iter().map(|(_, name)| name).collect();
    json!({
        "description": "The interventions that the rule demands.",
        "type": "object",
        "minProperties": 1,
        "additionalProperties": false,
        "properties": {
            "patching": {
                "description": "Layer by position activation patching over equal-length pairs.",
                "type": "object",
                "additionalProperties": false,
                "required": ["modes", "point", "max_pairs", "random_directions"],
                "properties": {
                    "modes": {
                        "type": "array",
                        "minItems": 1,
                        "items": {"enum": Param::Mode.words()}
                    },
                    "point": {"enum": hooks},
                    "max_pairs": {"type": "integer", "minimum": LEAST_PAIRS, "maximum": 1_000_000},
                    "random_directions": random
                }
            },
            "directional_ablation": ablation("A probe's direction, set to its mean over the baseline's prompts."),
            "feature_ablation": ablation("A detector's selected SAE features, the error term kept.")
        }
    })
}
