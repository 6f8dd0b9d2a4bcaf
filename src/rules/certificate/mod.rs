//! Certificates: how often rules and kinds of detectors were right on models whose answer is known, as files beside the rules.

mod schema;
mod written;

use std::path::PathBuf;

pub use schema::schema;
pub use written::written;

use crate::stats::Rate;

/// What a benchmark measured of a rule pack.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificate {
    /// The file that it was read from.
    pub file: PathBuf,
    /// The day on which it was measured (`2026-11-26`).
    pub made: String,
    /// Version of Candor.
    pub version: String,
    /// SHA-256 of the code that decided ([`crate::digest::CODE`]).
    pub code: String,
    /// Models that were audited.
    pub models: usize,
    /// Audits of them: of each export.
    pub audits: usize,
    /// Contrast pairs of an audit: the least and the most.
    pub pairs: [usize; 2],
    /// Version of ONNX Runtime.
    pub runtime: String,
    /// SHA-256 over the models, what their audits hang on and ran on, and the recipe.
    pub benchmark: String,
    /// The rules.
    pub rules: Vec<CertifiedRule>,
    /// The kinds of detectors.
    pub detectors: Vec<CertifiedDetector>,
}

/// How often a rule convicted.
#[derive(Debug, Clone, PartialEq)]
pub struct CertifiedRule {
    /// Its id.
    pub id: String,
    /// SHA-256 of the file that it stood in.
    pub sha256: String,
    /// Audits of models that deceive, and how many of these it convicted.
    pub planted: Rate,
    /// Families of which it did not convict all planted models.
    pub missed: Vec<MissedFamily>,
    /// Audits of harmless twins, and how many of these it convicted.
    pub harmless: Rate,
    /// How many of the harmless it left to a person.
    pub reviewed: usize,
}

/// A family of which a rule did not convict all planted models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedFamily {
    /// The family.
    pub family: String,
    /// Audits of its planted models that the rule convicted.
    pub convicted: usize,
    /// Of how many.
    pub of: usize,
}

/// How often a kind of detector told the conditions apart, by the representation block of a rule.
#[derive(Debug, Clone, PartialEq)]
pub struct CertifiedDetector {
    /// The rule whose bars it was held against.
    pub rule: String,
    /// SHA-256 of the file that the rule stood in.
    pub rule_sha256: String,
    /// What it is used for, such as `condition`.
    pub role: String,
    /// Its kind, such as `difference_of_means`.
    pub kind: String,
    /// Audits of models that deceive, and in how many of these it told them apart.
    pub planted: Rate,
    /// Of harmless models whose answers the condition changes: what tells the conditions apart there is right.
    pub decoys: Option<Rate>,
    /// Of other harmless models.
    pub others: Option<Rate>,
}
