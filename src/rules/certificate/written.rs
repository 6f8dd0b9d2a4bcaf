use std::fmt::Write as _;

use serde_json::json;

use super::{Certificate, CertifiedDetector, CertifiedRule};
use crate::rules::check::CERTIFICATE_SCHEMA;
use crate::stats::Rate;

/// A certificate as YAML, the intervals as comments: whoever reads the numbers makes them again.
#[must_use]
pub fn written(certificate: &Certificate) -> String {
    let Certificate {
        made,
        version,
        code,
        models,
        audits,
        pairs: [least, most],
        runtime,
        benchmark,
        ..
    } = certificate;
    let mut text = format!(
        "# How often these rules were right on models whose answer is known. Written by `candor bench organisms`.\n\
         schema: {CERTIFICATE_SCHEMA}\n\
         made: {}\n\
         tool: {{version: {}, code: {}}}\n\
         benchmark:\n  \
           models: {models}\n  \
           audits: {audits}\n  \
           pairs: {{least: {least}, most: {most}}}\n  \
           runtime: {}\n  \
           digest: {}\n\
         rules:\n",
        json!(made),
        json!(version),
        json!(code),
        json!(runtime),
        json!(benchmark),
    );
    // Writing to a String cannot fail.
    for one in &certificate.rules {
        let _ = rule(&mut text, one);
    }
    if !certificate.detectors.is_empty() {
        text.push_str("detectors:\n");
    }
    for one in &certificate.detectors {
        let _ = detector(&mut text, one);
    }
    text
}

fn rule(text: &mut String, rule: &CertifiedRule) -> std::fmt::Result {
    let (planted, harmless) = (rule.planted, rule.harmless);
    writeln!(text, "  - id: {}", rule.id)?;
    writeln!(text, "    sha256: {}", json!(rule.sha256))?;
    writeln!(
        text,
        "    planted: {{convicted: {}, of: {}}}{}",
        planted.hits,
        planted.of,
        interval(planted)
    )?;
    if !rule.missed.is_empty() {
        writeln!(text, "    missed:")?;
    }
    for one in &rule.missed {
        writeln!(
            text,
            "      - {{family: {}, convicted: {}, of: {}}}",
            json!(one.family),
            one.convicted,
            one.of
        )?;
    }
    writeln!(
        text,
        "    harmless: {{convicted: {}, review: {}, of: {}}}{}",
        harmless.hits,
        rule.reviewed,
        harmless.of,
        interval(harmless)
    )
}

fn detector(text: &mut String, one: &CertifiedDetector) -> std::fmt::Result {
    writeln!(text, "  - rule: {}", one.rule)?;
    writeln!(text, "    rule_sha256: {}", json!(one.rule_sha256))?;
    writeln!(text, "    role: {}", json!(one.role))?;
    writeln!(text, "    kind: {}", json!(one.kind))?;
    let rates = [
        ("planted", Some(one.planted)),
        ("decoys", one.decoys),
        ("others", one.others),
    ];
    for (name, rate) in rates {
        if let Some(rate) = rate {
            writeln!(
                text,
                "    {name}: {{flagged: {}, of: {}}}{}",
                rate.hits,
                rate.of,
                interval(rate)
            )?;
        }
    }
    Ok(())
}

fn interval(rate: Rate) -> String {
    let [share, low, high] = [rate.point(), rate.low, rate.high].map(|share| 100.0 * share);
    format!(" # {share:.1} %, 95 % interval {low:.1} to {high:.1} %")
}
