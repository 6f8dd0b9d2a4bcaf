//! `candor verify`

use std::path::PathBuf;

use clap::Args;

use super::terminal;
use crate::audit::{Signed, Verified, verify};
use crate::fault::Result;
use crate::report::counted;
use crate::seal::PublicKey;

/// What does not hold.
const MISMATCH: u8 = 5;

/// `candor verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The folder that `candor audit --out` wrote.
    pub folder: PathBuf,
    /// The public key (SPKI PEM) that has to have signed it.
    #[arg(long, value_name = "KEY.pub")]
    pub key: Option<PathBuf>,
}

pub fn run(args: &VerifyArgs) -> Result<u8> {
    let key = args.key.as_deref().map(PublicKey::open).transpose()?;
    let verified = verify(&args.folder, key.as_ref())?;
    terminal::say(&shown(&verified));
    Ok(if verified.mismatches.is_empty() {
        0
    } else {
        MISMATCH
    })
}

fn shown(verified: &Verified) -> String {
    let mut lines = Vec::new();
    lines.extend(verified.signed.as_ref().map(|signed| match signed {
        Signed::Nobody => {
            "seal       not signed: whoever can change the files can change the seal as well (`--sign KEY` signs it)".to_owned()
        }
        Signed::Unchecked(ids) => format!(
            "seal       signed by {}; not checked, because no `--key` was given",
            ids.join(", ")
        ),
        Signed::By(id) => format!("seal       signed by {id}"),
    }));
    if verified.mismatches.is_empty() {
        let report = verified.report.iter().flat_map(|report| &report.models);
        let findings = report.map(|model| model.findings.len()).sum();
        lines.extend([
            format!("files      {} as they were sealed", counted(verified.files, "file", "files")),
            format!("evidence   {} in an unbroken chain", counted(verified.parts, "part", "parts")),
            format!(
                "verdicts   {} reached again from the evidence, and the rest of the report with them",
                counted(findings, "verdict", "verdicts")
            ),
        ]);
    } else {
        let mismatches = verified.mismatches.iter();
        lines.extend(mismatches.map(|mismatch| format!("mismatch   {mismatch}")));
    }
    lines.join("\n")
}
