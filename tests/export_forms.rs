//! Every architecture and every exporter's form, site by site, against what `PyTorch` recorded; `docs/forms.md` is written from it.
//!
//! The models are written by `tests/fixtures/export/make.py`. A small set is committed; with `CANDOR_FORMS=FOLDER` the whole set is measured.
#![allow(clippy::unwrap_used, reason = "a test may stop")]
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

mod export;

use std::fs;
use std::io::{Seek, SeekFrom, Write};

use candor::model::onnx::StringStringEntryProto;
use candor::model::{Model, encode};
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
    let mut wrong: Vec<String> = rows.iter().flat_map(Row::faults).collect();
    let table = Table::new(rows);
    if std::env::var_os("CANDOR_BLESS").is_some() {
        fs::write(PAGE, table.markdown()).unwrap();
    } else {
        let drift = table.drift(&fs::read_to_string(PAGE).unwrap_or_default());
        if !drift.is_empty() {
            wrong.push(format!(
                "{PAGE} says otherwise (CANDOR_BLESS=1 CANDOR_FORMS=… writes it again):"
            ));
        }
        wrong.extend(drift);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The file is sparse: its three gigabytes are not on the disk.
#[test]
fn weights_beyond_two_gigabytes_are_read_where_they_lie() {
    const HOLE: u64 = 3 << 30;
    let mut fixture = fixtures()
        .into_iter()
        .find(|fixture| fixture.name == "gpt2.external-offsets")
        .unwrap();
    let temp = tempfile::tempdir().unwrap();
    let model = Model::open(&fixture.folder.join("model.onnx")).unwrap();
    let mut proto = model.proto().clone();
    for tensor in &mut proto.graph.as_mut().unwrap().initializer {
        let far = |entry: &&mut StringStringEntryProto| entry.key() == "offset";
        if let Some(offset) = tensor.external_data.iter_mut().find(far) {
            let near: u64 = offset.value().parse().unwrap();
            offset.value = Some((near + HOLE).to_string());
        }
    }
    for name in ["part0.data", "part1.data"] {
        let mut file = fs::File::create(temp.path().join(name)).unwrap();
        file.seek(SeekFrom::Start(HOLE)).unwrap();
        file.write_all(&fs::read(fixture.folder.join(name)).unwrap())
            .unwrap();
    }
    fs::write(temp.path().join("model.onnx"), encode(&proto)).unwrap();
    fixture.folder = temp.path().to_path_buf();
    let row = measure(&runtime(), &fixture);
    assert_eq!(row.faults(), Vec::<String>::new());
    assert!(row.outcome.unwrap().len() >= 10);
}
