//! Values as OSCAL spells them: properties, tokens, references.

use serde_json::{Value, json};

use crate::report::assurance::line;
use crate::report::{ControlDoc, FileDigest};

/// Candor's own properties.
pub(super) const NS: &str = "urn:candor:oscal";

/// A property of Candor's; null, and so left out, where there is no value.
pub(super) fn prop(name: &str, value: &str) -> Value {
    match line(value) {
        value if value.is_empty() => Value::Null,
        value => json!({"name": name, "ns": NS, "value": value}),
    }
}

pub(super) fn control_prop(control: &ControlDoc) -> Value {
    json!({
        "name": "control",
        "ns": NS,
        "value": line(&control.id),
        "class": token(&control.framework),
        "remarks": format!("{} {}", control.title, control.bearing),
    })
}

pub(super) fn link(source: &str) -> Value {
    if source.starts_with("https://") || source.starts_with("http://") {
        json!({"href": source, "rel": "reference"})
    } else {
        Value::Null
    }
}

pub(super) fn rlink(file: &FileDigest) -> Value {
    json!({"href": href(&file.path), "hashes": [hash(&file.sha256)]})
}

pub(super) fn hash(sha256: &str) -> Value {
    json!({"algorithm": "SHA-256", "value": sha256})
}

/// A path as a reference: what is not plain is percent-encoded.
pub(super) fn href(path: &str) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(path.len());
    for byte in path.replace('\\', "/").bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(text, "%{byte:02X}");
        }
    }
    text
}

/// As OSCAL spells identifiers: letters, digits, points between them, and hyphens for the rest.
pub(super) fn token(text: &str) -> String {
    let letters: Vec<char> = text.chars().collect();
    let mut token = String::new();
    for (index, letter) in letters.iter().enumerate() {
        let next = letters.get(index + 1);
        if letter.is_ascii_alphanumeric()
            || (*letter == '.' && next.is_some_and(char::is_ascii_digit))
        {
            token.push(letter.to_ascii_lowercase());
        } else if !token.is_empty() && !token.ends_with('-') {
            token.push('-');
        }
    }
    let token = token.trim_end_matches('-');
    if token.starts_with(|c: char| c.is_ascii_alphabetic()) {
        token.to_owned()
    } else {
        format!("_{token}")
    }
}

/// Text as a block of code.
pub(super) fn fenced(text: &str) -> String {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    format!("{fence}\n{text}\n{fence}")
}
