//! What to audit: an AUDIT.yaml, or the same said with flags.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize;

use crate::detect::Foreign;
use crate::fault::{Fault, Result};
use crate::report::{DEFAULT_MARGIN, Terms};
use crate::rules::Severity;

const SCHEMA: &str = "candor/audit/v1";

/// Everything an audit is told.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditConfig {
    /// A line for people.
    pub title: String,
    /// Seeds every random choice.
    pub seed: u64,
    /// The severity from which a finding gates.
    pub fail_on: Severity,
    /// The models, audited one after the other with the same suites and rules.
    pub models: Vec<ModelConfig>,
    /// Suites: folders or `suite.yaml` files.
    pub suites: Vec<PathBuf>,
    /// Rule files or folders.
    pub rules: Vec<PathBuf>,
    /// Whether detectors that were made on another model may speak, with a caveat.
    pub foreign: Foreign,
    /// Waiver files or folders.
    pub waivers: Vec<PathBuf>,
    /// The approved model's report.
    pub baseline: Option<BaselineConfig>,
}

/// What to hold the audit against.
#[derive(Debug, Clone, PartialEq)]
pub struct BaselineConfig {
    /// The report.json of the approved model's audit.
    pub report: PathBuf,
    /// How models are paired, and the margin.
    pub terms: Terms,
}

impl BaselineConfig {
    /// A comparison with `report` at the usual margin.
    #[must_use]
    pub fn with(report: PathBuf) -> Self {
        let terms = Terms {
            margin: DEFAULT_MARGIN,
            pairs: Vec::new(),
        };
        Self { report, terms }
    }
}

/// One model to audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelConfig {
    /// Its name in the report.
    pub name: String,
    /// The `.onnx` file.
    pub model: PathBuf,
    /// Its tokenizer.json; beside the model if not given.
    pub tokenizer: Option<PathBuf>,
    /// Detector folders, or folders of detector folders.
    pub detectors: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    schema: String,
    #[serde(default)]
    title: String,
    #[serde(default)]
    seed: u64,
    #[serde(default)]
    fail_on: Option<String>,
    models: Vec<ModelWire>,
    suites: Vec<PathBuf>,
    rules: Vec<PathBuf>,
    #[serde(default)]
    allow_foreign_detector: bool,
    #[serde(default)]
    waivers: Vec<PathBuf>,
    #[serde(default)]
    baseline: Option<BaselineWire>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineWire {
    report: PathBuf,
    #[serde(default)]
    margin: Option<f64>,
    /// Models and the approved ones that they are held against.
    #[serde(default)]
    models: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelWire {
    name: String,
    model: PathBuf,
    #[serde(default)]
    tokenizer: Option<PathBuf>,
    #[serde(default)]
    detectors: Vec<PathBuf>,
}

impl AuditConfig {
    /// Reads an AUDIT.yaml; its paths are relative to the file.
    ///
    /// # Errors
    /// The file is missing, malformed or names no model, suite or rule.
    pub fn open(path: &Path) -> Result<Self> {
        let doing = format!("reading the audit `{}`", path.display());
        let text = std::fs::read_to_string(path).map_err(|error| {
            Fault::usage(&doing, error.to_string())
                .expected("an AUDIT.yaml")
                .hint("or give --model, --suite, --detectors and --rules")
        })?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let wire: Wire = serde_yaml::from_str(text).map_err(|error| {
            Fault::usage(&doing, error.to_string()).expected(
                "keys schema, title, seed, fail_on, models, suites, rules, allow_foreign_detector, waivers, baseline",
            )
        })?;
        if wire.schema != SCHEMA {
            return Err(Fault::usage(&doing, format!("schema `{}`", wire.schema))
                .expected(format!("schema `{SCHEMA}`")));
        }
        let base = path.with_file_name("");
        let here = |path: PathBuf| tidy(&base.join(path));
        let config = Self {
            title: wire.title,
            seed: wire.seed,
            fail_on: match wire.fail_on {
                Some(text) => text.parse()?,
                None => Severity::High,
            },
            models: wire
                .models
                .into_iter()
                .map(|model| ModelConfig {
                    name: model.name,
                    model: here(model.model),
                    tokenizer: model.tokenizer.map(here),
                    detectors: model.detectors.into_iter().map(here).collect(),
                })
                .collect(),
            suites: wire.suites.into_iter().map(here).collect(),
            rules: wire.rules.into_iter().map(here).collect(),
            foreign: if wire.allow_foreign_detector {
                Foreign::Allowed
            } else {
                Foreign::Refused
            },
            waivers: wire.waivers.into_iter().map(here).collect(),
            baseline: wire.baseline.map(|baseline| BaselineConfig {
                report: here(baseline.report),
                terms: Terms {
                    margin: baseline.margin.unwrap_or(DEFAULT_MARGIN),
                    pairs: baseline.models.into_iter().collect(),
                },
            }),
        };
        config.check(&doing)?;
        Ok(config)
    }

    /// Refuses an audit that could not say anything.
    ///
    /// # Errors
    /// No model, suite or rule is named, or two models share a name.
    pub fn check(&self, doing: &str) -> Result<()> {
        let empty = |what: &str| {
            Err(Fault::no_inputs(doing, format!("no {what}"))
                .expected(format!("at least one {what}")))
        };
        if self.models.is_empty() {
            return empty("model");
        }
        if self.suites.is_empty() {
            return empty("suite");
        }
        if self.rules.is_empty() {
            return empty("rule file");
        }
        for (index, model) in self.models.iter().enumerate() {
            if model.name.trim().is_empty() {
                return Err(Fault::usage(doing, "a model with an empty name")
                    .expected("a name for each model, as the report calls it"));
            }
            if self.models[..index]
                .iter()
                .any(|other| other.name == model.name)
            {
                return Err(
                    Fault::usage(doing, format!("two models named `{}`", model.name))
                        .expected("a name for each model"),
                );
            }
        }
        Ok(())
    }
}

/// `a/b/../c` as `a/c`, where both are the same place: reports are easier to read.
fn tidy(path: &Path) -> PathBuf {
    let mut tidied = PathBuf::new();
    for part in path.components() {
        match (part, tidied.components().next_back()) {
            (Component::ParentDir, Some(Component::Normal(_))) => {
                tidied.pop();
            }
            _ => tidied.push(part),
        }
    }
    // Behind a symbolic link `..` is another place.
    let same = match (path.canonicalize(), tidied.canonicalize()) {
        (Ok(a), Ok(b)) => a == b,
        _ => false,
    };
    if same { tidied } else { path.to_owned() }
}
