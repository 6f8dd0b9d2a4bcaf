use std::fs::File;
use std::path::Path;

use candor::report::{FORMATS, Mode, ModelEvidence, Output, Source, write_all};
use candor::rules::Severity;
use polars::prelude::{DataFrame, ParquetReader, SerReader};

use crate::synthetic::Kind::{Decoy, Liar};
use crate::synthetic::{evidence, report};

fn table(folder: &Path, name: &str) -> DataFrame {
    ParquetReader::new(File::open(folder.join(name)).unwrap())
        .finish()
        .unwrap()
}

#[test]
fn evidence_reads_back_as_it_was() {
    let report = report(&[Liar, Decoy]);
    let (liar, decoy) = (evidence(Liar), evidence(Decoy));
    let of = |model, evidence| ModelEvidence {
        model,
        plan_digest: "5eed",
        evidence,
    };
    let all = [of("liar", &liar), of("decoy", &decoy)];
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("evidence");
    let format = *FORMATS
        .iter()
        .find(|format| format.name == "parquet")
        .unwrap();
    write_all(
        &Source {
            report: &report,
            evidence: &all,
            min_severity: Severity::Low,
            key: None,
        },
        &[Output {
            format,
            path: place.clone(),
            mode: Mode::Replace,
        }],
    )
    .unwrap();

    let responses = table(&place, "responses.parquet");
    assert_eq!(
        responses.height(),
        liar.responses.len() + decoy.responses.len()
    );
    let said = responses.column("said").unwrap().str().unwrap();
    assert!(
        said.iter()
            .zip(liar.responses.iter().chain(&decoy.responses))
            .all(|(a, b)| a == Some(b.text.as_str()))
    );
    let pairs = responses.column("pair").unwrap();
    assert_eq!(pairs.null_count(), responses.height() - 72);

    let scores = table(&place, "scores.parquet");
    assert_eq!(scores.height(), 2 * 72 * 9);
    let values = scores.column("score").unwrap().f32().unwrap();
    assert_eq!(values.get(8), Some(liar.scores[0].token_scores[8]));
    assert_eq!(
        scores.column("in_span").unwrap().bool().unwrap().sum(),
        Some(2 * 72)
    );

    let patches = table(&place, "patches.parquet");
    // The grid of every pair, and its twenty random controls.
    assert_eq!(patches.height(), 2 * 2 * 36 * (4 * 9 + 20));
    let controls = patches.column("random_direction").unwrap().u64().unwrap();
    assert_eq!((controls.get(35), controls.get(36)), (None, Some(0)));
    let recovery = patches.column("recovery").unwrap().f64().unwrap();
    assert_eq!(
        recovery.get(9 + 8),
        Some(liar.maps[0].pairs[0].recovery[[1, 8]])
    );
    assert_eq!(
        patches.column("site").unwrap().str().unwrap().get(9),
        Some("blocks.1.hook_resid_pre")
    );

    let ablations = table(&place, "ablations.parquet");
    assert_eq!(ablations.height(), 2 * 36 * 21);
    let directions = ablations.column("random_direction").unwrap().u64().unwrap();
    assert_eq!((directions.get(0), directions.get(20)), (None, Some(19)));
    let after = ablations.column("after").unwrap().f64().unwrap();
    assert_eq!(after.get(20), Some(liar.ablations[0].items[0].random[19]));
    assert_eq!(
        ablations.column("plan").unwrap().str().unwrap().get(0),
        Some("5eed")
    );
}

#[test]
fn a_stored_report_has_no_evidence_to_write() {
    let report = report(&[Liar]);
    let folder = tempfile::tempdir().unwrap();
    let output: Output = format!("parquet={}", folder.path().join("evidence").display())
        .parse()
        .unwrap();
    let fault = write_all(
        &Source {
            report: &report,
            evidence: &[],
            min_severity: Severity::Low,
            key: None,
        },
        &[output],
    )
    .unwrap_err();
    assert!(fault.found.contains("stored report"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
