//! How often rules and kinds of detectors were right on models whose answer is known, as far as that still holds.

use crate::rules::{Certificate, CertifiedDetector, CertifiedRule, RulePack};
use crate::stats::Rate;

use super::{AuditReport, DetectorRecord};

/// What a benchmark measured of this audit's rules and detectors.
#[derive(Debug, Clone, PartialEq)]
pub struct CertificateDoc {
    /// Its file, relative to where the audit ran.
    pub file: String,
    /// The day on which it was measured.
    pub made: String,
    /// Version of Candor that was measured.
    pub version: String,
    /// SHA-256 of the code that decided.
    pub code: String,
    /// Models whose answer is known.
    pub models: usize,
    /// Audits of them.
    pub audits: usize,
    /// The least contrast pairs of an audit.
    pub least_pairs: usize,
    /// The most contrast pairs of an audit.
    pub most_pairs: usize,
    /// Version of ONNX Runtime that it was measured on.
    pub runtime: String,
    /// SHA-256 over the models and how they were audited.
    pub benchmark: String,
    /// The rules of this audit that it speaks of.
    pub rules: Vec<CertifiedRuleDoc>,
    /// The kinds of detectors that it speaks of, by rules of this audit.
    pub detectors: Vec<CertifiedDetectorDoc>,
}

/// How often a rule convicted.
#[derive(Debug, Clone, PartialEq)]
pub struct CertifiedRuleDoc {
    /// Rule id.
    pub rule: String,
    /// Of the audits of models that deceive.
    pub planted: Rate,
    /// Families of which it did not convict all planted models.
    pub missed: Vec<MissedFamilyDoc>,
    /// Of the audits of their harmless twins.
    pub harmless: Rate,
    /// How many of the harmless it left to a person.
    pub reviewed: usize,
    /// Why this no longer holds of the rule as it was applied; empty while it does.
    pub stale: Vec<String>,
}

/// A family of which a rule did not convict all planted models.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedFamilyDoc {
    /// The family.
    pub family: String,
    /// Audits of its planted models that the rule convicted.
    pub convicted: usize,
    /// Of how many.
    pub of: usize,
}

/// How often a kind of detector told the conditions apart.
#[derive(Debug, Clone, PartialEq)]
pub struct CertifiedDetectorDoc {
    /// The rule whose bars it was held against.
    pub rule: String,
    /// What it is used for.
    pub role: String,
    /// Its kind.
    pub kind: String,
    /// Of the audits of models that deceive.
    pub planted: Rate,
    /// Of those of harmless models whose answers the condition changes: what tells the conditions apart there is right.
    pub decoys: Option<Rate>,
    /// Of those of other harmless models.
    pub others: Option<Rate>,
    /// Why this no longer holds; empty while it does.
    pub stale: Vec<String>,
}

impl CertificateDoc {
    /// What `certificate` says of the rules of a pack, applied by code of the digest `code`.
    #[must_use]
    pub fn of(certificate: &Certificate, pack: &RulePack, code: &str) -> Self {
        let stale = |rule: &str, sha256: &str| -> Option<Vec<String>> {
            let rule = pack.rules.iter().find(|one| one.id == rule)?;
            let of_rule = (pack.sha256_of(rule) != Some(sha256))
                .then(|| "the rule's file was changed since".to_owned());
            let of_code = (certificate.code != code)
                .then(|| "Candor's deciding code was changed since".to_owned());
            Some(of_rule.into_iter().chain(of_code).collect())
        };
        // In the order of the rules of the audit.
        let rules = pack.rules.iter().filter_map(|rule| {
            let mut measured = certificate.rules.iter();
            let measured = measured.find(|one| one.id == rule.id)?;
            Some(of_rule(measured, stale(&rule.id, &measured.sha256)?))
        });
        let detectors = certificate.detectors.iter();
        let detectors =
            detectors.filter_map(|one| Some(of_detector(one, stale(&one.rule, &one.rule_sha256)?)));
        let [least_pairs, most_pairs] = certificate.pairs;
        Self {
            file: certificate.file.display().to_string(),
            made: certificate.made.clone(),
            version: certificate.version.clone(),
            code: certificate.code.clone(),
            models: certificate.models,
            audits: certificate.audits,
            least_pairs,
            most_pairs,
            runtime: certificate.runtime.clone(),
            benchmark: certificate.benchmark.clone(),
            rules: rules.collect(),
            detectors: detectors.collect(),
        }
    }

    fn measured(&self) -> String {
        let pairs = if self.least_pairs == self.most_pairs {
            self.most_pairs.to_string()
        } else {
            format!("{} to {}", self.least_pairs, self.most_pairs)
        };
        format!(
            "Measured {} in {} audits of {} small models whose answer is known, {pairs} pairs each",
            self.made, self.audits, self.models
        )
    }
}

fn of_rule(measured: &CertifiedRule, stale: Vec<String>) -> CertifiedRuleDoc {
    let missed = measured.missed.iter();
    CertifiedRuleDoc {
        rule: measured.id.clone(),
        planted: measured.planted,
        missed: missed
            .map(|one| MissedFamilyDoc {
                family: one.family.clone(),
                convicted: one.convicted,
                of: one.of,
            })
            .collect(),
        harmless: measured.harmless,
        reviewed: measured.reviewed,
        stale,
    }
}

fn of_detector(measured: &CertifiedDetector, stale: Vec<String>) -> CertifiedDetectorDoc {
    CertifiedDetectorDoc {
        rule: measured.rule.clone(),
        role: measured.role.clone(),
        kind: measured.kind.clone(),
        planted: measured.planted,
        decoys: measured.decoys,
        others: measured.others,
        stale,
    }
}

impl AuditReport {
    /// How often a rule was right, in a few sentences: of a certificate that still holds if there is one.
    #[must_use]
    pub fn certified_rule(&self, rule: &str) -> Option<String> {
        let found = self.certificates.iter().filter_map(|certificate| {
            let line = certificate.rules.iter().find(|one| one.rule == rule)?;
            Some((certificate, line))
        });
        let (certificate, line) = found.min_by_key(|(_, line)| !line.stale.is_empty())?;
        let missed: Vec<String> = line
            .missed
            .iter()
            .map(|one| format!("{} {} of {}", one.family, one.convicted, one.of))
            .collect();
        let missed = if missed.is_empty() {
            String::new()
        } else {
            format!(" Families not convicted in full: {}.", missed.join(", "))
        };
        let reviewed = match line.reviewed {
            0 => String::new(),
            some => format!(", and left {some} of the harmless to a person"),
        };
        Some(format!(
            "{}It convicted {} and {}{reviewed}.{missed} {}.",
            staleness(&line.stale),
            share(line.planted, "planted"),
            share(line.harmless, "harmless models' audits"),
            certificate.measured(),
        ))
    }

    /// How often a detector's kind told conditions apart, in a few sentences.
    #[must_use]
    pub fn certified_detector(&self, detector: &DetectorRecord) -> Option<String> {
        let found = self.certificates.iter().filter_map(|certificate| {
            let mut lines = certificate.detectors.iter();
            let same = |one: &&CertifiedDetectorDoc| {
                one.role == detector.role && one.kind == detector.kind
            };
            Some((certificate, lines.find(same)?))
        });
        let (certificate, line) = found.min_by_key(|(_, line)| !line.stale.is_empty())?;
        let harmless = [
            (
                line.decoys,
                "of harmless models whose answers the condition changes",
            ),
            (line.others, "of other harmless models"),
        ];
        let harmless = harmless.into_iter();
        let harmless: String = harmless
            .filter_map(|(rate, whose)| Some(format!(", {}", share(rate?, whose))))
            .collect();
        Some(format!(
            "{}By the bars of the rule {}, detectors of this kind told the conditions apart in {}{harmless}. A harmless model may represent a condition \
             too: reading it is no error and convicts nobody. {}.",
            staleness(&line.stale),
            line.rule,
            share(line.planted, "planted models' audits"),
            certificate.measured(),
        ))
    }
}

/// Why what follows may no longer hold.
fn staleness(stale: &[String]) -> String {
    if stale.is_empty() {
        String::new()
    } else {
        format!("Stale ({}). ", stale.join("; "))
    }
}

fn share(rate: Rate, whose: &str) -> String {
    format!(
        "{} of {} {whose} ({:.1} to {:.1} %)",
        rate.hits,
        rate.of,
        100.0 * rate.low,
        100.0 * rate.high
    )
}
