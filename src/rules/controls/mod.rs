//! Controls of frameworks that findings are evidence toward: data, from `rules/controls/*.yaml` and from files of the same schema.

mod schema;

pub use schema::schema;

/// The mappings that the binary carries, each with its name and text.
#[rustfmt::skip]
pub(super) const BUNDLED: [(&str, &str); 5] = [
    ("nist-ai-rmf.yaml", include_str!("../../../rules/controls/nist-ai-rmf.yaml")),
    ("nist-ai-600-1.yaml", include_str!("../../../rules/controls/nist-ai-600-1.yaml")),
    ("eu-ai-act.yaml", include_str!("../../../rules/controls/eu-ai-act.yaml")),
    ("gpai-code-of-practice.yaml", include_str!("../../../rules/controls/gpai-code-of-practice.yaml")),
    ("iso-iec-42001.yaml", include_str!("../../../rules/controls/iso-iec-42001.yaml")),
];

/// A framework of controls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Framework {
    /// Its short name, such as `NIST AI RMF`, with which the ids of its controls begin.
    pub name: String,
    /// Its full name with its version or date.
    pub title: String,
    /// Where it is published.
    pub source: String,
}

/// A control of a framework.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// As rules name it: the framework's name and the control's own id, such as `NIST AI RMF MEASURE 2.6`.
    pub id: String,
    /// The framework.
    pub framework: Framework,
    /// What it asks for, in a few words.
    pub title: String,
    /// How a finding bears on it.
    pub bearing: String,
}

/// The controls that are known.
#[derive(Debug, Clone, Default)]
pub struct Controls(Vec<Control>);

impl Controls {
    /// The control that a rule names as `id`.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<&Control> {
        self.0.iter().find(|control| control.id == id)
    }

    /// Every id that is known.
    #[must_use]
    pub fn ids(&self) -> Vec<&str> {
        self.0.iter().map(|control| control.id.as_str()).collect()
    }

    /// Adds controls; one whose id is known already is left as it is.
    pub(super) fn add(&mut self, controls: Vec<Control>) {
        for control in controls {
            if self.get(&control.id).is_none() {
                self.0.push(control);
            }
        }
    }
}
