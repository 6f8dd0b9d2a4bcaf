//! How often rules and kinds of detectors were right on models whose answer is known, as far as that still holds.

use crate::rules::{Certificate, RulePack};
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
    /// SHA-256 over the models and how they were audited.
    pub benchmark: String,
    /// The rules of this audit that it speaks of.
    pub rules: Vec<CertifiedRuleDoc>,
    /// The kinds of detectors that it speaks of.
    pub detectors: Vec<CertifiedDetectorDoc>,
}

/// How often a rule convicted.
#[derive(Debug, Clone, PartialEq)]
pub struct CertifiedRuleDoc {
    /// Rule id.
    pub rule: String,
    /// Of the models that deceive.
    pub planted: Rate,
    /// Of their harmless twins.
    pub harmless: Rate,
    /// Why this no longer holds of the rule as it was applied; empty while it does.
    pub stale: Vec<String>,
}

/// How often a kind of detector told the conditions apart.
#[derive(Debug, Clone, PartialEq)]
pub struct CertifiedDetectorDoc {
    /// What it is used for.
    pub role: String,
    /// Its kind.
    pub kind: String,
    /// Of the models that deceive.
    pub planted: Rate,
    /// Of their harmless twins.
    pub harmless: Rate,
    /// Why this no longer holds; empty while it does.
    pub stale: Vec<String>,
}

impl CertificateDoc {
    /// What `certificate` says of the rules of a pack, applied by code of the digest `code`.
    #[must_use]
    pub fn of(certificate: &Certificate, pack: &RulePack, code: &str) -> Self {
        let of_code = (certificate.code != code)
            .then(|| "Candor's deciding code was changed since".to_owned());
        let rules = pack.rules.iter().filter_map(|rule| {
            let measured = certificate.rules.iter().find(|one| one.id == rule.id)?;
            let of_rule = (pack.sha256_of(rule) != Some(&measured.sha256))
                .then(|| "the rule's file was changed since".to_owned());
            Some(CertifiedRuleDoc {
                rule: rule.id.clone(),
                planted: measured.planted,
                harmless: measured.harmless,
                stale: of_rule.into_iter().chain(of_code.clone()).collect(),
            })
        });
        let detectors = certificate.detectors.iter();
        Self {
            file: certificate.file.display().to_string(),
            made: certificate.made.clone(),
            version: certificate.version.clone(),
            code: certificate.code.clone(),
            models: certificate.models,
            audits: certificate.audits,
            benchmark: certificate.benchmark.clone(),
            rules: rules.collect(),
            detectors: detectors
                .map(|one| CertifiedDetectorDoc {
                    role: one.role.clone(),
                    kind: one.kind.clone(),
                    planted: one.planted,
                    harmless: one.harmless,
                    stale: of_code.iter().cloned().collect(),
                })
                .collect(),
        }
    }

    fn measured(&self) -> String {
        format!(
            "{} audits of {} models whose answer is known ({})",
            self.audits, self.models, self.made
        )
    }
}

impl AuditReport {
    /// How often a rule was right, in a sentence or two: of a certificate that still holds if there is one.
    #[must_use]
    pub fn certified_rule(&self, rule: &str) -> Option<String> {
        let found = self.certificates.iter().filter_map(|certificate| {
            let line = certificate.rules.iter().find(|one| one.rule == rule)?;
            Some((certificate, line))
        });
        let (certificate, line) = found.min_by_key(|(_, line)| !line.stale.is_empty())?;
        let convictions = line.planted.hits + line.harmless.hits;
        let right = if convictions == 0 {
            String::new()
        } else {
            format!(
                " It was right in {} of {convictions} convictions.",
                line.planted.hits
            )
        };
        Some(sentence(
            &line.stale,
            &format!(
                "in {} it convicted {} and {}.{right}",
                certificate.measured(),
                share(line.planted, "planted deceptions"),
                share(line.harmless, "harmless twins"),
            ),
        ))
    }

    /// How often a detector's kind told conditions apart, in a sentence.
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
        Some(sentence(
            &line.stale,
            &format!(
                "in {} detectors of this kind told the conditions apart in {} and {}.",
                certificate.measured(),
                share(line.planted, "planted deceptions"),
                share(line.harmless, "harmless twins"),
            ),
        ))
    }
}

/// What was measured, behind the reasons why it may no longer hold.
fn sentence(stale: &[String], measured: &str) -> String {
    if stale.is_empty() {
        let mut letters = measured.chars();
        let first = letters.next().map(|letter| letter.to_ascii_uppercase());
        first.into_iter().chain(letters).collect()
    } else {
        format!("Stale ({}): {measured}", stale.join("; "))
    }
}

fn share(rate: Rate, what: &str) -> String {
    format!(
        "{} of {} {what} ({:.1} to {:.1} %)",
        rate.hits,
        rate.of,
        100.0 * rate.low,
        100.0 * rate.high
    )
}
