//! Every architecture and every exporter's form, site by site, against what `PyTorch` recorded; `docs/forms.md` is written from it.
//!
//! The models are written by `tests/fixtures/export/make.py`. A small set is committed; with `CANDOR_FORMS=FOLDER` the whole set is measured.
#![allow(clippy::unwrap_used, reason = "a test may stop")]
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

mod export;

use std::fs;

use export::{Row, Table, fixtures, measure, runtime};

const PAGE: &str = "docs/forms.md";

#[test]
fn every_site_of_every_form_is_what_pytorch_recorded() {
    let runtime = runtime();
    let fixtures = fixtures();
    assert!(!fixtures.is_empty(), "no fixtures");
    let rows: Vec<Row> = fixtures
        .iter()
        .map(|fixture| {
            let row = measure(&runtime, fixture);
            eprintln!("{}", row.line());
            row
        })
        .collect();
    let wrong: Vec<String> = rows.iter().flat_map(Row::faults).collect();
    let table = Table::new(rows);
    if std::env::var_os("CANDOR_BLESS").is_some() {
        fs::write(PAGE, table.markdown()).unwrap();
    } else {
        let drift = table.drift(&fs::read_to_string(PAGE).unwrap_or_default());
        assert!(
            drift.is_empty(),
            "{PAGE} says otherwise (CANDOR_BLESS=1 CANDOR_FORMS=… writes it again):\n{}",
            drift.join("\n")
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
