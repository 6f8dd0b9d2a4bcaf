//! `candor report`

use super::args::ReportArgs;
use super::terminal;
use crate::archive::Archive;
use crate::fault::{Fault, Result};
use crate::report::{EVIDENCE, Output, Source, json, write_all};

pub fn run(args: &ReportArgs) -> Result<()> {
    let outputs = args
        .output
        .iter()
        .map(|text| text.parse())
        .collect::<Result<Vec<Output>>>()?;
    let doing = format!("reading the report `{}`", args.report.display());
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
    };
    write_all(&source, &outputs)?;
    for output in &outputs {
        terminal::say(&format!(
            "{} → {}",
            output.format.name,
            output.path.display()
        ));
    }
    Ok(())
}
