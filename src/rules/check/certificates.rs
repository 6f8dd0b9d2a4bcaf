//! A certificate, from YAML.

use std::collections::BTreeSet;

use super::diagnostic::Code;
use super::document::Document;
use super::reader::{Fields, Reader};
use super::tree::{Node, Place};
use crate::rules::certificate::{Certificate, CertifiedDetector, CertifiedRule, MissedFamily};
use crate::rules::waivers::Day;
use crate::stats::Rate;

/// The schema of certificates that this version reads.
pub(in crate::rules) const SCHEMA: &str = "candor/certificate/v1";

/// Reads a certificate if nothing is wrong in it; what is wrong was reported.
pub(super) fn read(reader: &mut Reader, root: &Node, document: &mut Document) {
    let before = reader.errors();
    let read = certificate(reader, root, &mut document.certified_ids);
    if reader.errors() == before {
        document.certificates.extend(read);
    }
}

/// Says which rules a certificate speaks of that are not there: a certificate may lie beside some of its rules.
pub(super) fn all_there(
    reader: &mut Reader,
    ids: &[(String, Place)],
    is_there: impl Fn(&str) -> bool,
) {
    let missing: Vec<&(String, Place)> = ids.iter().filter(|(id, _)| !is_there(id)).collect();
    if let Some((_, place)) = missing.first() {
        let names: Vec<String> = missing.iter().map(|(id, _)| format!("`{id}`")).collect();
        let message = format!("no rule has the id {}", names.join(" or "));
        reader.report(*place, Code::UnknownRule, message);
    }
}

fn certificate(
    reader: &mut Reader,
    root: &Node,
    ids: &mut Vec<(String, Place)>,
) -> Option<Certificate> {
    let keys = ["schema", "made", "tool", "benchmark", "rules", "detectors"];
    let fields = reader.fields(root, "a certificate", &keys)?;
    let made = day(reader, &fields);
    let tool = part(reader, &fields, "tool", &["version", "code"]);
    let keys = ["models", "audits", "pairs", "runtime", "digest"];
    let benchmark = part(reader, &fields, "benchmark", &keys);
    let rules = reader.required(&fields, "rules");
    let rules = entries(reader, rules, "`rules`", |reader, node| {
        rule(reader, node, ids)
    });
    let detectors = fields.optional("detectors");
    let detectors = entries(reader, detectors, "`detectors`", detector);
    twice(reader, &detectors);
    let (tool, benchmark) = (tool?, benchmark?);
    let (version, code) = (
        text(reader, &tool, "version"),
        sha256(reader, &tool, "code"),
    );
    let [models, audits] = ["models", "audits"].map(|key| count(reader, &benchmark, key, 1));
    if let (Some(models), Some(audits)) = (models, audits) {
        if let Some(node) = fields.optional("benchmark").filter(|_| models > audits) {
            let message =
                format!("{models} models in {audits} audits, expected one of each at least");
            reader.report(node.place, Code::OutOfRange, message);
        }
        sums(reader, &rules, &detectors, audits);
    }
    let (pairs, runtime) = (
        pairs(reader, &benchmark),
        text(reader, &benchmark, "runtime"),
    );
    let digest = sha256(reader, &benchmark, "digest");
    Some(Certificate {
        file: reader.file().to_owned(),
        made: made?,
        version: version?,
        code: code?,
        models: models?,
        audits: audits?,
        pairs: pairs?,
        runtime: runtime?,
        benchmark: digest?,
        rules: rules.into_iter().map(|(_, rule)| rule).collect(),
        detectors: detectors.into_iter().map(|(_, one)| one).collect(),
    })
}

/// What the entries of a list hold, each with its place.
fn entries<T>(
    reader: &mut Reader,
    list: Option<&Node>,
    what: &str,
    mut read: impl FnMut(&mut Reader, &Node) -> Option<T>,
) -> Vec<(Place, T)> {
    let list = list.and_then(|node| reader.list(node, what));
    let nodes = list.unwrap_or_default().iter();
    nodes
        .filter_map(|node| Some((node.place, read(reader, node)?)))
        .collect()
}

fn rule(reader: &mut Reader, node: &Node, ids: &mut Vec<(String, Place)>) -> Option<CertifiedRule> {
    let keys = ["id", "sha256", "planted", "missed", "harmless"];
    let fields = reader.fields(node, "a certified rule", &keys)?;
    let before = reader.errors();
    let (id, sha256) = (id(reader, &fields, "id"), sha256(reader, &fields, "sha256"));
    ids.extend(id.clone());
    let planted = rate(reader, &fields, "planted", "convicted");
    let missed = fields.optional("missed");
    let missed = entries(reader, missed, "`missed`", family);
    let harmless = harmless(reader, &fields);
    if reader.errors() == before
        && let Some(planted) = planted
    {
        all_missed(reader, node.place, &missed, planted);
    }
    let (harmless, reviewed) = harmless?;
    Some(CertifiedRule {
        id: id?.0,
        sha256: sha256?,
        planted: planted?,
        missed: missed.into_iter().map(|(_, one)| one).collect(),
        harmless,
        reviewed,
    })
}

fn family(reader: &mut Reader, node: &Node) -> Option<MissedFamily> {
    let fields = reader.fields(node, "a missed family", &["family", "convicted", "of"])?;
    let family = text(reader, &fields, "family");
    let (convicted, of) = (
        count(reader, &fields, "convicted", 0),
        count(reader, &fields, "of", 1),
    );
    let (convicted, of) = (convicted?, of?);
    if convicted >= of {
        let message = format!("a missed family has {convicted} of {of}, expected fewer than all");
        reader.report(node.place, Code::OutOfRange, message);
        return None;
    }
    Some(MissedFamily {
        family: family?,
        convicted,
        of,
    })
}

/// What was not convicted is of the missed families, each of which is named once.
fn all_missed(reader: &mut Reader, place: Place, missed: &[(Place, MissedFamily)], planted: Rate) {
    let mut seen = BTreeSet::new();
    for (place, one) in missed {
        if !seen.insert(&one.family) {
            let message = format!("the missed family `{}` is given twice", one.family);
            reader.report(*place, Code::DuplicateId, message);
        }
    }
    let found: usize = missed.iter().map(|(_, one)| one.of - one.convicted).sum();
    let expected = planted.of - planted.hits;
    if found != expected {
        let message = format!(
            "`missed` speaks of {found} audits, expected the {expected} that were not convicted"
        );
        reader.report(place, Code::OutOfRange, message);
    }
}

/// How many of the harmless were convicted, and how many were left to a person.
fn harmless(reader: &mut Reader, fields: &Fields<'_>) -> Option<(Rate, usize)> {
    let node = reader.required(fields, "harmless")?;
    let parts = reader.fields(node, "`harmless`", &["convicted", "review", "of"])?;
    let [hits, reviewed] = ["convicted", "review"].map(|key| count(reader, &parts, key, 0));
    let (hits, reviewed, of) = (hits?, reviewed?, count(reader, &parts, "of", 1)?);
    if hits + reviewed > of {
        let message = format!(
            "`harmless` has {} of {of}, expected no more than there are",
            hits + reviewed
        );
        reader.report(node.place, Code::OutOfRange, message);
    }
    Some((Rate::of(hits, of)?, reviewed))
}

fn detector(reader: &mut Reader, node: &Node) -> Option<CertifiedDetector> {
    let keys = [
        "rule",
        "rule_sha256",
        "role",
        "kind",
        "planted",
        "decoys",
        "others",
    ];
    let fields = reader.fields(node, "a certified detector", &keys)?;
    let (rule, rule_sha256) = (
        id(reader, &fields, "rule"),
        sha256(reader, &fields, "rule_sha256"),
    );
    let [role, kind] = ["role", "kind"].map(|key| text(reader, &fields, key));
    let planted = rate(reader, &fields, "planted", "flagged");
    let [decoys, others] = ["decoys", "others"].map(|key| {
        fields.optional(key)?;
        rate(reader, &fields, key, "flagged")
    });
    if ["decoys", "others"]
        .iter()
        .all(|key| fields.optional(key).is_none())
    {
        let message = "a certified detector has neither `decoys` nor `others`";
        reader.report(node.place, Code::MissingKey, message);
    }
    Some(CertifiedDetector {
        rule: rule?.0,
        rule_sha256: rule_sha256?,
        role: role?,
        kind: kind?,
        planted: planted?,
        decoys,
        others,
    })
}

/// A detector of one rule, role and kind that was measured before.
fn twice(reader: &mut Reader, detectors: &[(Place, CertifiedDetector)]) {
    let mut seen = BTreeSet::new();
    for (place, one) in detectors {
        if !seen.insert((&one.rule, &one.role, &one.kind)) {
            let message = format!(
                "another certified detector is of the rule `{}`, the role `{}` and the kind `{}`",
                one.rule, one.role, one.kind
            );
            reader.report(*place, Code::DuplicateId, message);
        }
    }
}

/// No rule and no detector was tried more often than there were audits.
fn sums(
    reader: &mut Reader,
    rules: &[(Place, CertifiedRule)],
    detectors: &[(Place, CertifiedDetector)],
    audits: usize,
) {
    let of = |rate: Option<Rate>| rate.map_or(0, |rate| rate.of);
    let of_rules = rules
        .iter()
        .map(|(place, one)| (*place, one.planted.of + one.harmless.of));
    let of_detectors = detectors
        .iter()
        .map(|(place, one)| (*place, one.planted.of + of(one.decoys) + of(one.others)));
    for (place, tried) in of_rules.chain(of_detectors) {
        if tried > audits {
            let message = format!("{tried} audits are counted, expected no more than {audits}");
            reader.report(place, Code::OutOfRange, message);
        }
    }
}

fn pairs(reader: &mut Reader, benchmark: &Fields<'_>) -> Option<[usize; 2]> {
    let node = reader.required(benchmark, "pairs")?;
    let pairs = reader.fields(node, "`pairs`", &["least", "most"])?;
    let [least, most] = ["least", "most"].map(|key| count(reader, &pairs, key, 1));
    let (least, most) = (least?, most?);
    if least > most {
        let message = format!("`pairs` has a least of {least} and a most of {most}");
        reader.report(node.place, Code::OutOfRange, message);
    }
    Some([least, most])
}

fn id(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Option<(String, Place)> {
    let node = reader.required(fields, key)?;
    let id = reader.name(node, "the id of a rule", '-')?;
    Some((id.to_owned(), node.place))
}

fn part<'a>(
    reader: &mut Reader,
    fields: &Fields<'a>,
    key: &str,
    known: &[&str],
) -> Option<Fields<'a>> {
    let node = reader.required(fields, key)?;
    reader.fields(node, &format!("`{key}`"), known)
}

fn rate(reader: &mut Reader, fields: &Fields<'_>, key: &str, what: &str) -> Option<Rate> {
    let node = reader.required(fields, key)?;
    let of_rate = reader.fields(node, &format!("`{key}`"), &[what, "of"])?;
    let hits = count(reader, &of_rate, what, 0);
    let (hits, of) = (hits?, count(reader, &of_rate, "of", 1)?);
    if hits > of {
        let message = format!("`{key}` has {hits} of {of}, expected no more than there are");
        reader.report(node.place, Code::OutOfRange, message);
    }
    Rate::of(hits, of)
}

fn count(reader: &mut Reader, fields: &Fields<'_>, key: &str, least: usize) -> Option<usize> {
    let node = reader.required(fields, key)?;
    reader.count(node, &format!("`{key}`"), least, "it counts what was tried")
}

fn text(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Option<String> {
    let node = reader.required(fields, key)?;
    reader.text(node, &format!("`{key}`")).map(str::to_owned)
}

fn sha256(reader: &mut Reader, fields: &Fields<'_>, key: &str) -> Option<String> {
    let node = reader.required(fields, key)?;
    let text = reader.text(node, &format!("`{key}`"))?;
    let good = text.len() == 64
        && text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !good {
        let message = format!("`{key}` is `{text}`, expected 64 lower-case hexadecimal digits");
        reader.report(node.place, Code::BadName, message);
    }
    good.then(|| text.to_owned())
}

fn day(reader: &mut Reader, fields: &Fields<'_>) -> Option<String> {
    let node = reader.required(fields, "made")?;
    let text = reader.text(node, "`made`")?;
    match Day::parse(text) {
        Ok(_) => Some(text.to_owned()),
        Err(wrong) => {
            reader.report(node.place, Code::BadDay, format!("`made` {wrong}"));
            None
        }
    }
}
