use std::fs::File;
use std::path::Path;

use candor::report::{Output, Source, write_all};
use candor::rules::Severity;
use polars::prelude::{DataFrame, ParquetReader, SerReader};

use crate::stored::stored;
use crate::synthetic::Kind::{Decoy, Liar};
use crate::synthetic::{evidence, report};

fn table(folder: &Path, name: &str) -> DataFrame {
    ParquetReader::new(File::open(folder.join(name)).unwrap())
        .finish()
        .unwrap()
}

#[test]
fn the_parts_of_the_evidence_become_one_table_of_each_kind() {
    let report = report(&[Liar, Decoy]);
    let (liar, decoy) = (evidence(Liar), evidence(Decoy));
    let folder = tempfile::tempdir().unwrap();
    let archive = stored(
        &folder.path().join("evidence"),
        &[("liar", &liar), ("decoy", &decoy)],
    );
    let place = folder.path().join("tables");
    let output: Output = format!("parquet={}", place.display()).parse().unwrap();
    let source = Source {
        report: &report,
        evidence: Some(&archive),
        min_severity: Severity::Low,
        key: None,
    };
    write_all(&source, &[output]).unwrap();

    let responses = table(&place, "responses.parquet");
    assert_eq!(
        responses.height(),
        liar.responses.len() + decoy.responses.len()
    );
    let said = responses.column("said").unwrap().str().unwrap();
    assert!(
        said.iter()
            .zip(liar.responses.iter().chain(decoy.responses.iter()))
            .all(|(a, b)| a == Some(b.text()))
    );
    let pairs = responses.column("pair").unwrap();
    assert_eq!(pairs.null_count(), responses.height() - 72);
    let models = responses.column("model").unwrap().str().unwrap();
    assert_eq!(models.get(0), Some("liar"));
    assert_eq!(models.get(responses.height() - 1), Some("decoy"));

    assert_eq!(table(&place, "scores.parquet").height(), 2 * 72);
    let tokens = table(&place, "tokens.parquet");
    assert_eq!(tokens.height(), 2 * 72 * 9);
    let values = tokens.column("score").unwrap().f32().unwrap();
    assert_eq!(values.get(8), Some(liar.tokens[0].scores[8]));
    assert_eq!(
        tokens.column("in_span").unwrap().bool().unwrap().sum(),
        Some(2 * 72)
    );

    let cells = table(&place, "cells.parquet");
    assert_eq!(cells.height(), 2 * 2 * 36 * 4 * 9);
    let recovery = cells.column("recovery").unwrap().f64().unwrap();
    assert_eq!(
        recovery.get(9 + 8),
        Some(liar.maps[0].pairs[0].recovery[[1, 8]])
    );
    assert_eq!(
        cells.column("site").unwrap().str().unwrap().get(9),
        Some("blocks.1.hook_resid_pre")
    );
    let controls = table(&place, "controls.parquet");
    let edits = controls.column("edit").unwrap().str().unwrap();
    let random = edits.iter().filter(|edit| *edit == Some("random")).count();
    assert_eq!(random, 2 * 2 * 36 * 20);

    let ablations = table(&place, "ablation.parquet");
    assert_eq!(ablations.height(), 2 * 36);
    let after = ablations.column("after").unwrap().f64().unwrap();
    assert_eq!(after.get(0), Some(liar.ablations[0].items[0].after));
}

#[test]
fn a_stored_report_has_no_evidence_to_write() {
    let report = report(&[Liar]);
    let folder = tempfile::tempdir().unwrap();
    let output: Output = format!("parquet={}", folder.path().join("tables").display())
        .parse()
        .unwrap();
    let fault = write_all(
        &Source {
            report: &report,
            evidence: None,
            min_severity: Severity::Low,
            key: None,
        },
        &[output],
    )
    .unwrap_err();
    assert!(fault.found.contains("stored report"));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
