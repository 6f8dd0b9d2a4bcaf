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
    /// Audits of them: of each export, with each seed.
    pub audits: usize,
    /// SHA-256 over the models and the recipe.
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
    /// Models that deceive, and how many of these it convicted.
    pub planted: Rate,
    /// Harmless twins, and how many of these it convicted.
    pub harmless: Rate,
}

/// How often a kind of detector told the conditions apart.
#[derive(Debug, Clone, PartialEq)]
pub struct CertifiedDetector {
    /// What it is used for, such as `condition`.
    pub role: String,
    /// Its kind, such as `difference_of_means`.
    pub kind: String,
    /// Models that deceive, and in how many of these it told them apart.
    pub planted: Rate,
    /// Harmless twins, and in how many of these it did.
    pub harmless: Rate,
}
