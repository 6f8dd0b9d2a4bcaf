//! What evidence means: rules as YAML, the signals they name, and the verdicts they reach.

mod certificate;
mod check;
mod condition;
mod context;
mod controls;
mod decide;
mod family;
mod judge;
mod outcome;
mod power;
mod reasons;
mod rule;
mod schema;
mod signals;
mod truth;
mod verdict;
mod waivers;
mod words;

pub use certificate::{
    Certificate, CertifiedDetector, CertifiedRule, MissedFamily, schema as certificate_schema,
    written as written_certificate,
};
pub use check::{Code, Diagnostic, Level, check, render};
pub use condition::{Bar, Comparison, Condition};
pub use context::{Context, Contrast, DetectorInfo};
pub use controls::{Control, Controls, Framework, schema as controls_schema};
pub use family::possible_convictions;
pub use judge::judge;
pub use outcome::{JudgedBar, RuleOutcome, SignalValue, Simultaneous};
pub use power::{Attainable, attainable};
pub use rule::{CausalRequest, Needs, Purpose, Rule, RuleFile, RulePack};
pub use schema::schema;
pub use signals::{
    Absent, Class, Demand, KINDS, Kind, Measured, Measurement, Of, Param, Params, Signal,
};
pub use signals::{RESAMPLES, SEED};
pub use truth::Truth;
pub use verdict::{Severity, Verdict, worst};
pub use waivers::{Day, Waiver, Waivers, check_waivers, waivers_schema};
