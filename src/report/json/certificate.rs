//! The schema of certificates.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::wire::{Number, Wire, object};
use crate::report::{CertificateDoc, CertifiedDetectorDoc, CertifiedRuleDoc, MissedFamilyDoc};
use crate::stats::Rate;

object! {
    /// What a benchmark measured of this audit's rules and detectors.
    CertificateV1 for CertificateDoc {
        /// Its file.
        file: String,
        /// The day on which it was measured.
        made: String,
        /// Version of Candor that was measured.
        version: String,
        /// SHA-256 of the code that decided.
        code: String,
        /// Models whose answer is known.
        models: usize,
        /// Audits of them.
        audits: usize,
        /// The least contrast pairs of an audit.
        least_pairs: usize,
        /// The most contrast pairs of an audit.
        most_pairs: usize,
        /// Version of ONNX Runtime that it was measured on.
        runtime: String,
        /// SHA-256 over the models and how they were audited.
        benchmark: String,
        /// The rules of this audit that it speaks of.
        rules: Vec<CertifiedRuleV1>,
        /// The kinds of detectors that it speaks of, by rules of this audit.
        detectors: Vec<CertifiedDetectorV1>,
    }
}
object! {
    /// How often a rule convicted.
    CertifiedRuleV1 for CertifiedRuleDoc {
        /// Rule id.
        rule: String,
        /// Of the audits of models that deceive.
        planted: RateV1,
        /// Families of which it did not convict all planted models.
        missed: Vec<MissedFamilyV1>,
        /// Of the audits of their harmless twins.
        harmless: RateV1,
        /// How many of the harmless it left to a person.
        reviewed: usize,
        /// Why this no longer holds of the rule as it was applied; empty while it does.
        stale: Vec<String>,
    }
}
object! {
    /// A family of which a rule did not convict all planted models.
    MissedFamilyV1 for MissedFamilyDoc {
        /// The family.
        family: String,
        /// Audits of its planted models that the rule convicted.
        convicted: usize,
        /// Of how many.
        of: usize,
    }
}
object! {
    /// How often a kind of detector told the conditions apart.
    CertifiedDetectorV1 for CertifiedDetectorDoc {
        /// The rule whose bars it was held against.
        rule: String,
        /// What it is used for.
        role: String,
        /// Its kind.
        kind: String,
        /// Of the audits of models that deceive.
        planted: RateV1,
        /// Of those of harmless models whose answers the condition changes: what tells the conditions apart there is right.
        decoys: Option<RateV1>,
        /// Of those of other harmless models.
        others: Option<RateV1>,
        /// Why this no longer holds; empty while it does.
        stale: Vec<String>,
    }
}
object! {
    /// So many of so many, with the exact 95 % interval (Clopper–Pearson).
    RateV1 for Rate {
        /// How many.
        hits: usize,
        /// Of how many.
        of: usize,
        /// Lower end.
        low: Number,
        /// Upper end.
        high: Number,
    }
}
