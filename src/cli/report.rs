//! `candor report`

use super::args::ReportArgs;
use super::outputs;
use crate::archive::Archive;
use crate::fault::{Fault, Result};
use crate::files;
use crate::report::{EVIDENCE, Mode, Source, json, write_all};
use crate::rules::Severity;

pub fn run(args: &ReportArgs) -> Result<()> {
    let outputs = outputs::parse(&args.output)?;
    outputs::apart(&outputs, &[])?;
    let key = super::sign::key(args.sign.as_deref(), &args.output)?;
    let doing = format!("reading the report `{}`", args.report.display());
    files::protect(&args.report);
    let text = std::fs::read_to_string(&args.report).map_err(|error| {
        Fault::usage(&doing, error.to_string()).expected("a report.json that `candor audit` wrote")
    })?;
    let report = json::read(&text).map_err(|fault| Fault { doing, ..fault })?;
    let beside = args.report.with_file_name(EVIDENCE);
    let evidence = beside
        .is_dir()
        .then(|| Archive::open(&beside))
        .transpose()?;
    let source = Source {
        report: &report,
        evidence: evidence.as_ref(),
        min_severity: shown(args.min_severity.as_deref())?,
        key: key.as_ref(),
    };
    write_all(&source, &outputs)?;
    for output in outputs.iter().filter(|o| o.mode != Mode::Print) {
        let line = format!("{} → {}", output.format.name, output.path.display());
        outputs::say(&outputs, &line);
    }
    Ok(())
}

/// The least severity that lists of findings show: all of them, where none is given.
pub fn shown(text: Option<&str>) -> Result<Severity> {
    text.map_or(Ok(Severity::Low), str::parse)
}
