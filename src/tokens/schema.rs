//! The published JSON Schema of `suite.yaml`.

use serde_json::{Map, Value, json};

use super::suite::SCHEMA;

/// The JSON Schema (draft 2020-12) of `suite.yaml`: what `docs/suite.schema.json` holds.
#[must_use]
pub fn suite_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA,
        "title": "Candor suite",
        "description": "Prompts and what they are for: a JSONL of items, or files of public data sets with the meaning of their columns.",
        "type": "object",
        "additionalProperties": false,
        "required": ["schema", "id", "purpose"],
        "oneOf": [{"required": ["items"]}, {"required": ["sources"]}],
        "properties": {
            "schema": {"const": SCHEMA},
            "id": text("Its name in reports."),
            "title": text("A line for people."),
            "purpose": {
                "description": "Prompts under a tested condition beside their counterparts; unrelated text; labelled items to train on.",
                "enum": ["contrast", "control", "calibration"]
            },
            "items": text("A JSONL of items, beside this file."),
            "root": text("Where the relative paths of `sources` begin (default: the folder of this file)."),
            "sources": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/source"}},
            "contrast": {
                "description": "The condition under suspicion and the one it is compared with.",
                "type": "object",
                "additionalProperties": false,
                "required": ["tested", "against"],
                "properties": {"tested": text("Such as `trigger`."), "against": text("Such as `neutral`.")}
            },
            "max_new_tokens": {"description": "Tokens that the model may write.", "type": "integer", "minimum": 1, "default": 1}
        },
        "$defs": {
            "source": source(),
            "map": map(false),
            "exploded": map(true),
            "field": field(),
            "scalar": {"type": ["string", "number", "boolean"]},
            "filters": {
                "type": "array",
                "items": {
                    "type": "object",
                    "additionalProperties": false,
                    "required": ["column", "values"],
                    "properties": {
                        "column": text("Its name in the file."),
                        "values": {"type": "array", "items": {"$ref": "#/$defs/scalar"}}
                    }
                }
            }
        }
    })
}

fn text(description: &str) -> Value {
    json!({"type": "string", "description": description})
}

fn source() -> Value {
    json!({
        "description": "One file of a public data set.",
        "type": "object",
        "additionalProperties": false,
        "required": ["file"],
        "properties": {
            "file": text("The file, from `root` or absolute."),
            "dataset": text("Its name in reports and transfer matrices (default: the file's name)."),
            "format": {"description": "Default: by the file's name.", "enum": ["csv", "tsv", "jsonl"]},
            "delimiter": {"description": "Between cells (default: a comma, in TSV a tab).", "type": "string", "minLength": 1, "maxLength": 1},
            "header": {"description": "Whether the first row names the columns; otherwise they are `column 1`, `column 2`, …", "type": "boolean", "default": true},
            "only": {"$ref": "#/$defs/filters", "description": "Rows to read."},
            "skip": {"$ref": "#/$defs/filters", "description": "Rows to leave out."},
            "map": {"$ref": "#/$defs/map"},
            "explode": {
                "description": "Items that each row gives, if not one: what an entry maps goes before `map`.",
                "type": "array",
                "items": {"$ref": "#/$defs/exploded"}
            }
        }
    })
}

/// Every part of an item that can be mapped, and what it is.
const FIELDS: [(&str, &str); 13] = [
    ("id", "Default: data set and row number."),
    ("prompt", "What the model is given."),
    ("response", "What it is to have answered."),
    (
        "label",
        "0 or 1; `True`, `False`, `1.0` and `0.0` are understood.",
    ),
    (
        "group",
        "Rows that may not be split apart (default: rows with the same text).",
    ),
    ("template", "The sentence template."),
    ("condition", "Default: plain."),
    ("polarity", "affirmative or negated."),
    ("answer", "The true answer."),
    ("accept", "Other true answers: a list."),
    ("foil", "A false answer."),
    ("pair", "The id of the counterpart."),
    (
        "each",
        "The list that one item is made of each part of; `{each}` is the part.",
    ),
];

fn map(exploded: bool) -> Value {
    let fields = FIELDS
        .iter()
        .filter(|(name, _)| exploded || *name != "each");
    let mut properties: Map<String, Value> = fields
        .map(|(name, description)| {
            let field = json!({"$ref": "#/$defs/field", "description": description});
            ((*name).to_owned(), field)
        })
        .collect();
    let messages = json!({
        "description": "A conversation in the place of `prompt`.",
        "type": "array",
        "minItems": 1,
        "items": {
            "type": "object",
            "additionalProperties": false,
            "required": ["role", "content"],
            "properties": {"role": text("Who speaks."), "content": {"$ref": "#/$defs/field"}}
        }
    });
    properties.insert("messages".to_owned(), messages);
    json!({"type": "object", "additionalProperties": false, "properties": properties})
}

fn field() -> Value {
    json!({
        "description": "A text with columns in braces, such as \"{statement}\"; {#} is the row's number.",
        "anyOf": [
            {"$ref": "#/$defs/scalar"},
            {
                "type": "object",
                "additionalProperties": false,
                "required": ["from"],
                "properties": {
                    "from": {"$ref": "#/$defs/scalar"},
                    "split": {"description": "What stands between the parts of a list.", "type": "string", "minLength": 1},
                    "part": {"description": "The part that is meant (default: the first).", "type": "integer", "minimum": 1},
                    "values": {
                        "description": "What cells mean; rows with any other are left out and counted.",
                        "type": "object",
                        "additionalProperties": {"$ref": "#/$defs/scalar"}
                    }
                }
            }
        ]
    })
}
