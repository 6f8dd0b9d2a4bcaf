//! A certificate, from YAML.

use super::diagnostic::Code;
use super::document::Document;
use super::reader::{Fields, Reader};
use super::tree::Node;
use crate::rules::certificate::{Certificate, CertifiedDetector, CertifiedRule};
use crate::rules::waivers::Day;
use crate::stats::Rate;

/// The schema of certificates that this version reads.
pub(in crate::rules) const SCHEMA: &str = "candor/certificate/v1";

/// Reads a certificate if nothing is wrong in it; what is wrong was reported.
pub(super) fn read(reader: &mut Reader, root: &Node, document: &mut Document) {
    let before = reader.errors();
    let read = certificate(reader, root);
    if reader.errors() == before {
        document.certificates.extend(read);
    }
}

fn certificate(reader: &mut Reader, root: &Node) -> Option<Certificate> {
    let keys = ["schema", "made", "tool", "benchmark", "rules", "detectors"];
    let fields = reader.fields(root, "a certificate", &keys)?;
    let made = day(reader, &fields);
    let tool = part(reader, &fields, "tool", &["version", "code"]);
    let benchmark = part(
        reader,
        &fields,
        "benchmark",
        &["models", "audits", "digest"],
    );
    let rules = reader.required(&fields, "rules");
    let rules = entries(reader, rules, "`rules`", rule);
    let detectors = fields.optional("detectors");
    let detectors = entries(reader, detectors, "`detectors`", detector);
    let (tool, benchmark) = (tool?, benchmark?);
    let (version, code) = (
        text(reader, &tool, "version"),
        sha256(reader, &tool, "code"),
    );
    let [models, audits] = ["models", "audits"].map(|key| count(reader, &benchmark, key, 1));
    let digest = sha256(reader, &benchmark, "digest");
    Some(Certificate {
        file: reader.file().to_owned(),
        made: made?,
        version: version?,
        code: code?,
        models: models?,
        audits: audits?,
        benchmark: digest?,
        rules,
        detectors,
    })
}

fn entries<T>(
    reader: &mut Reader,
    list: Option<&Node>,
    what: &str,
    read: impl Fn(&mut Reader, &Node) -> Option<T>,
) -> Vec<T> {
    let list = list.and_then(|node| reader.list(node, what));
    let nodes = list.unwrap_or_default().iter();
    nodes.filter_map(|node| read(reader, node)).collect()
}

fn rule(reader: &mut Reader, node: &Node) -> Option<CertifiedRule> {
    let keys = ["id", "sha256", "planted", "harmless"];
    let fields = reader.fields(node, "a certified rule", &keys)?;
    let (id, sha256) = (
        text(reader, &fields, "id"),
        sha256(reader, &fields, "sha256"),
    );
    let [planted, harmless] =
        ["planted", "harmless"].map(|key| rate(reader, &fields, key, "convicted"));
    Some(CertifiedRule {
        id: id?,
        sha256: sha256?,
        planted: planted?,
        harmless: harmless?,
    })
}

fn detector(reader: &mut Reader, node: &Node) -> Option<CertifiedDetector> {
    let keys = ["role", "kind", "planted", "harmless"];
    let fields = reader.fields(node, "a certified detector", &keys)?;
    let [role, kind] = ["role", "kind"].map(|key| text(reader, &fields, key));
    let [planted, harmless] =
        ["planted", "harmless"].map(|key| rate(reader, &fields, key, "flagged"));
    Some(CertifiedDetector {
        role: role?,
        kind: kind?,
        planted: planted?,
        harmless: harmless?,
    })
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
