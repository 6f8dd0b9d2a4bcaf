//! `candor verify`

use std::path::PathBuf;

use clap::Args;
use rand::TryRngCore as _;
use rand::rngs::OsRng;

use super::args::{Cli, MOST, at_least_one, share};
use super::obtain;
use super::terminal::{self, Bar};
use crate::audit::{Rerun, Sample, Signed, Verified, rerun, verify};
use crate::fault::{Fault, Result};
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
    /// Run a random sample of items again on the models, which are looked for where the audit found them.
    #[arg(long)]
    pub rerun: bool,
    /// Items of each model that are run again.
    #[arg(long, value_name = "N", default_value = "32", value_parser = at_least_one(MOST), requires = "rerun")]
    pub sample: usize,
    /// How far a score may be off, as a part of its size or of 1, whichever is larger.
    #[arg(long, value_name = "PART", default_value_t = 1e-3, value_parser = share, requires = "rerun")]
    pub tolerance: f64,
    /// Chooses the items (default: another choice each time).
    #[arg(long, value_name = "N", requires = "rerun")]
    pub seed: Option<u64>,
}

pub fn run(args: &VerifyArgs, cli: &Cli) -> Result<u8> {
    let key = args.key.as_deref().map(PublicKey::open).transpose()?;
    let verified = verify(&args.folder, key.as_ref())?;
    terminal::say(&shown(&verified));
    if !verified.mismatches.is_empty() {
        return Ok(MISMATCH);
    }
    if !args.rerun {
        return Ok(0);
    }
    let sample = Sample {
        items: args.sample,
        seed: args.seed.map_or_else(fresh, Ok)?,
        tolerance: args.tolerance,
    };
    let bar = Bar::new(cli.quiet);
    let rerun = rerun(&args.folder, sample, || obtain(&cli.runtime), &bar)?;
    drop(bar);
    terminal::say(&run_again(&rerun, sample));
    Ok(if rerun.mismatches.is_empty() {
        0
    } else {
        MISMATCH
    })
}

/// A number that nobody could know beforehand.
fn fresh() -> Result<u64> {
    OsRng.try_next_u64().map_err(|error| {
        Fault::failed("choosing items at random", error.to_string())
            .hint("choose them with `--seed`")
    })
}

fn run_again(rerun: &Rerun, sample: Sample) -> String {
    if rerun.mismatches.is_empty() {
        return format!(
            "run again  {} said the same, and {} came out within {:.1e} of what is stored (--tolerance {}, --seed {})",
            counted(rerun.items, "item", "items"),
            counted(rerun.scores, "score", "scores"),
            rerun.largest,
            sample.tolerance,
            sample.seed
        );
    }
    let lines = rerun.mismatches.iter();
    let mut lines: Vec<String> = lines.map(|line| format!("mismatch   {line}")).collect();
    lines.push(format!(
        "           --seed {} chooses these items again",
        sample.seed
    ));
    lines.join("\n")
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
