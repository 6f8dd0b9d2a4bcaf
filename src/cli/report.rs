//! `candor report`

use super::args::ReportArgs;
use super::outputs;
use crate::fault::{Fault, Result};
use crate::report::{Mode, Source, json, write_all};
use crate::rules::Severity;

pub fn run(args: &ReportArgs) -> Result<()> {
    let outputs = outputs::parse(&args.output)?;
    let key = super::sign::key(args.sign.as_deref(), &args.output)?;
    let doing = format!("reading the report `{}`", args.report.display());
    let text = std::fs::read_to_string(&args.report).map_err(|error| {
        Fault::usage(&doing, error.to_string()).expected("a report.json that `candor audit` wrote")
    })?;
    let report = json::read(&text).map_err(|fault| Fault { doing, ..fault })?;
    write_all(
        &Source {
            report: &report,
            evidence: &[],
            min_severity: shown(args.min_severity.as_deref())?,
            key: key.as_ref(),
        },
        &outputs,
    )?;
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
