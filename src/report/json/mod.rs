//! `report.json`: the versioned schema `candor/report/v1`, written and read back.
//!
//! The types here are the schema, and nothing else serialises a report: a core type can change its shape without
//! changing what is written. `docs/report.schema.json` is generated from them.

mod baseline;
mod certificate;
mod estimate;
mod exhibit;
mod finding;
mod gate;
mod items;
mod record;
mod wire;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::finding::ReportV1;
use self::wire::Wire;
use super::{AuditReport, Exit, Source};
use crate::fault::{Fault, Result};

/// The schema that is written and the only one that is read.
pub const SCHEMA: &str = "candor/report/v1";

/// The report as JSON, with a line break at its end.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn write(report: &AuditReport) -> Result<String> {
    let exit = Exit::of_report(report);
    let document = DocumentV1 {
        schema: SCHEMA.to_owned(),
        exit: ExitV1 {
            code: exit.code(),
            meaning: exit.meaning().to_owned(),
        },
        report: ReportV1::from_core(report),
    };
    serde_json::to_string_pretty(&document)
        .map(|text| text + "\n")
        .map_err(|error| Fault::failed("writing the report as JSON", error.to_string()))
}

/// A report in the making (what is audited, without what is found), as JSON.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn begun(report: &AuditReport) -> Result<serde_json::Value> {
    serde_json::to_value(ReportV1::from_core(report))
        .map_err(|error| Fault::failed("writing what is audited as JSON", error.to_string()))
}

/// Reads what [`begun`] wrote.
///
/// # Errors
/// A field is missing or of another type.
pub fn read_begun(value: serde_json::Value) -> Result<AuditReport> {
    let report: ReportV1 = serde_json::from_value(value)
        .map_err(|error| Fault::usage("reading what was audited", error.to_string()))?;
    Ok(report.into_core())
}

/// Reads what [`write()`] wrote.
///
/// # Errors
/// If `text` is not JSON, has another schema, lacks a field, or states a verdict, a waiver or an exit code that its findings do
/// not give.
pub fn read(text: &str) -> Result<AuditReport> {
    let doing = "reading a stored report";
    let not_ours = |found: String| {
        Fault::usage(doing, found)
            .expected(format!("a report with `\"schema\": \"{SCHEMA}\"`"))
            .hint("give the report.json that `candor audit` wrote with this version")
    };
    let changed = |found: String| {
        Fault::usage(doing, found)
            .expected("verdicts, waivers and an exit code that follow from the findings")
            .hint("the file was changed after it was written: audit again")
    };
    let any: SchemaOnly =
        serde_json::from_str(text).map_err(|e| not_ours(format!("no report: {e}")))?;
    if any.schema != SCHEMA {
        return Err(not_ours(format!("the schema `{}`", any.schema)));
    }
    let document: DocumentV1 =
        serde_json::from_str(text).map_err(|e| not_ours(format!("no report: {e}")))?;
    let report = document.report.into_core();
    let mut findings = report.models.iter().flat_map(|model| &model.findings);
    if let Some(finding) = findings.find(|finding| finding.reasons.is_empty()) {
        return Err(not_ours(format!(
            "a finding of `{}` without a reason",
            finding.rule
        )));
    }
    for model in &report.models {
        let gravest = model.findings.iter().map(|finding| finding.verdict).max();
        if gravest.is_some_and(|gravest| gravest != model.verdict) {
            return Err(changed(format!(
                "the verdict `{}` of the model `{}`, which its findings do not give",
                model.verdict, model.name
            )));
        }
    }
    if !report.is_waived_rightly() {
        return Err(changed(
            "waivers that are not what its findings and its day give".to_owned(),
        ));
    }
    let code = Exit::of_report(&report).code();
    if code != document.exit.code {
        return Err(changed(format!(
            "the exit code {}, where its findings give {code}",
            document.exit.code
        )));
    }
    Ok(report)
}

/// The JSON Schema of the report, as in `docs/report.schema.json`.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn schema() -> Result<String> {
    serde_json::to_string_pretty(&schemars::schema_for!(DocumentV1))
        .map(|text| text + "\n")
        .map_err(|error| Fault::failed("writing the schema of the report", error.to_string()))
}

pub(super) fn text(source: &Source) -> Result<String> {
    write(source.report)
}

#[derive(Deserialize)]
struct SchemaOnly {
    schema: String,
}

/// One audit: what was done, on what, and what was found. Only `started` and `finished` differ between two runs
/// with one seed on one machine. A number that is not finite is null.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct DocumentV1 {
    /// Always `candor/report/v1`.
    #[schemars(extend("const" = SCHEMA))]
    schema: String,
    exit: ExitV1,
    #[serde(flatten)]
    report: ReportV1,
}

/// The exit code that the findings give.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct ExitV1 {
    /// 0 clean, 4 inconclusive or incomplete, 11 to 14 a gating finding (low to critical).
    code: u8,
    /// What the code means.
    meaning: String,
}
