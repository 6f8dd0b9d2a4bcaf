use std::fmt::Write as _;

use serde_json::json;

use super::Certificate;
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
        benchmark,
        ..
    } = certificate;
    let mut text = format!(
        "# How often these rules were right on models whose answer is known. Written by `candor bench organisms`.\n\
         schema: {CERTIFICATE_SCHEMA}\n\
         made: {}\n\
         tool: {{version: {}, code: {}}}\n\
         benchmark: {{models: {models}, audits: {audits}, digest: {}}}\n\
         rules:\n",
        json!(made),
        json!(version),
        json!(code),
        json!(benchmark),
    );
    // Writing to a String cannot fail.
    for rule in &certificate.rules {
        let _ = writeln!(
            text,
            "  - id: {}\n    sha256: {}",
            rule.id,
            json!(rule.sha256)
        );
        rates(&mut text, "convicted", rule.planted, rule.harmless);
    }
    if !certificate.detectors.is_empty() {
        text.push_str("detectors:\n");
    }
    for one in &certificate.detectors {
        let _ = writeln!(
            text,
            "  - role: {}\n    kind: {}",
            json!(one.role),
            json!(one.kind)
        );
        rates(&mut text, "flagged", one.planted, one.harmless);
    }
    text
}

fn rates(text: &mut String, what: &str, planted: Rate, harmless: Rate) {
    for (name, rate) in [("planted", planted), ("harmless", harmless)] {
        let [share, low, high] = [rate.point(), rate.low, rate.high].map(|share| 100.0 * share);
        let _ = writeln!(
            text,
            "    {name}: {{{what}: {}, of: {}}} # {share:.1} %, 95 % interval {low:.1} to {high:.1} %",
            rate.hits, rate.of
        );
    }
}
