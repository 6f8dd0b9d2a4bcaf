//! How a suite is written down: `suite.yaml` and its JSONL of items.

use std::path::PathBuf;

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SuiteWire {
    pub schema: String,
    pub id: String,
    #[serde(default)]
    pub title: String,
    pub purpose: PurposeWire,
    #[serde(default)]
    pub items: Option<PathBuf>,
    #[serde(default)]
    pub root: Option<PathBuf>,
    #[serde(default)]
    pub sources: Vec<super::import::wire::SourceWire>,
    #[serde(default)]
    pub contrast: Option<ContrastWire>,
    #[serde(default = "one_token")]
    pub max_new_tokens: usize,
}

fn one_token() -> usize {
    1
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum PurposeWire {
    Contrast,
    Control,
    Calibration,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ContrastWire {
    pub tested: String,
    pub against: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a JSON object")]
pub(super) struct ItemWire {
    pub id: String,
    pub group: String,
    #[serde(default)]
    pub template: Option<String>,
    pub condition: String,
    #[serde(default)]
    pub prompt: Option<String>,
    #[serde(default)]
    pub messages: Option<serde_json::Value>,
    #[serde(default)]
    pub response: Option<String>,
    #[serde(default)]
    pub answer: Option<String>,
    #[serde(default)]
    pub accept: Vec<String>,
    #[serde(default)]
    pub foil: Option<String>,
    #[serde(default)]
    pub pair: Option<String>,
    #[serde(default)]
    pub label: Option<u8>,
    #[serde(default)]
    pub dataset: Option<String>,
    #[serde(default)]
    pub polarity: Option<super::suite::Polarity>,
}
