//! How `sources:` is written down in `suite.yaml`.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;

use serde::de::{Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Deserializer};

/// One file of a public data set and what its columns mean.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceWire {
    pub file: PathBuf,
    #[serde(default)]
    pub dataset: Option<String>,
    #[serde(default)]
    pub format: Option<FormatWire>,
    #[serde(default)]
    pub delimiter: Option<char>,
    #[serde(default = "yes")]
    pub header: bool,
    #[serde(default)]
    pub only: Vec<FilterWire>,
    #[serde(default)]
    pub skip: Vec<FilterWire>,
    #[serde(default)]
    pub map: MapWire,
    #[serde(default)]
    pub explode: Vec<MapWire>,
}

impl SourceWire {
    /// The format that is stated, or that the file's name ends in.
    pub fn format(&self) -> Option<FormatWire> {
        let ending = self.file.extension().map(OsStr::to_ascii_lowercase);
        let by_name = match ending.as_deref().and_then(|end| end.to_str()) {
            Some("csv") => Some(FormatWire::Csv),
            Some("tsv" | "tab") => Some(FormatWire::Tsv),
            Some("jsonl" | "ndjson") => Some(FormatWire::Jsonl),
            _ => None,
        };
        self.format.or(by_name)
    }
}

fn yes() -> bool {
    true
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FormatWire {
    Csv,
    Tsv,
    Jsonl,
}

/// Rows by what one column says.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FilterWire {
    pub column: String,
    pub values: Vec<Scalar>,
}

/// What each part of an item is made of.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapWire {
    /// The list that an entry of `explode` makes an item of each part of.
    #[serde(default)]
    pub each: Option<FieldWire>,
    #[serde(default)]
    pub id: Option<FieldWire>,
    #[serde(default)]
    pub prompt: Option<FieldWire>,
    #[serde(default)]
    pub messages: Option<Vec<MessageWire>>,
    #[serde(default)]
    pub response: Option<FieldWire>,
    #[serde(default)]
    pub label: Option<FieldWire>,
    #[serde(default)]
    pub group: Option<FieldWire>,
    #[serde(default)]
    pub template: Option<FieldWire>,
    #[serde(default)]
    pub condition: Option<FieldWire>,
    #[serde(default)]
    pub polarity: Option<FieldWire>,
    #[serde(default)]
    pub answer: Option<FieldWire>,
    #[serde(default)]
    pub accept: Option<FieldWire>,
    #[serde(default)]
    pub foil: Option<FieldWire>,
    #[serde(default)]
    pub pair: Option<FieldWire>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageWire {
    pub role: String,
    pub content: FieldWire,
}

/// A template alone, or one whose text is split or looked up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldWire {
    pub from: String,
    pub split: Option<String>,
    pub part: Option<usize>,
    pub values: Option<Pairs>,
}

impl<'de> Deserialize<'de> for FieldWire {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Whole {
            from: Scalar,
            #[serde(default)]
            split: Option<String>,
            #[serde(default)]
            part: Option<usize>,
            #[serde(default)]
            values: Option<Pairs>,
        }
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = FieldWire;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a template such as \"{statement}\", or a mapping with from, split, part, values")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<FieldWire, E> {
                Ok(FieldWire {
                    from: text.to_owned(),
                    ..FieldWire::default()
                })
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<FieldWire, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<FieldWire, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<FieldWire, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<FieldWire, E> {
                self.visit_str(&value.to_string())
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<FieldWire, A::Error> {
                let whole = Whole::deserialize(MapAccessDeserializer::new(map))?;
                Ok(FieldWire {
                    from: whole.from.0,
                    split: whole.split,
                    part: whole.part,
                    values: whole.values,
                })
            }
        }
        deserializer.deserialize_any(Shape)
    }
}

/// A text, a number or a truth value, as text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scalar(pub String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape;
        impl Visitor<'_> for Shape {
            type Value = Scalar;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a number or a truth value")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
        }
        deserializer.deserialize_any(Shape)
    }
}

/// What is written in a cell, and what it means: in the order of the file, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs(pub Vec<(String, String)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Shape;
        impl<'de> Visitor<'de> for Shape {
            type Value = Pairs;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a mapping from what a cell holds to what it means")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs: Vec<(String, String)> = Vec::new();
                while let Some((Scalar(key), Scalar(value))) = map.next_entry()? {
                    if pairs.iter().any(|(known, _)| *known == key) {
                        return Err(A::Error::custom(format_args!("the value `{key}` twice")));
                    }
                    pairs.push((key, value));
                }
                Ok(Pairs(pairs))
            }
        }
        deserializer.deserialize_map(Shape)
    }
}
