use std::fs;

use candor::fault::Kind as FaultKind;
use candor::files::prepare;
use candor::report::{Output, Source, json, write_all};
use candor::rules::Severity;

use crate::synthetic::Kind::Liar;
use crate::synthetic::report;

#[test]
fn every_format_goes_to_its_place() {
    let report = report(&[Liar]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("deep/audit");
    prepare(&out).unwrap();
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0, "the probe is gone");
    write_all(
        &Source {
            report: &report,
            evidence: None,
            min_severity: Severity::Low,
            key: None,
        },
        &Output::usual_in(&out),
    )
    .unwrap();
    let mut names: Vec<_> = fs::read_dir(&out)
        .unwrap()
        .map(|e| e.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["report.html", "report.json"]);
    assert_eq!(
        json::read(&fs::read_to_string(out.join("report.json")).unwrap()).unwrap(),
        report
    );
}

#[test]
fn a_format_that_fails_leaves_the_others_as_they_were() {
    let report = report(&[Liar]);
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    fs::write(&page, "the page of an earlier audit").unwrap();
    let mut outputs = Output::usual_in(folder.path());
    let tables = format!("parquet={}", folder.path().join("tables").display());
    outputs.push(tables.parse().unwrap());
    write_all(
        &Source {
            report: &report,
            evidence: None,
            min_severity: Severity::Low,
            key: None,
        },
        &outputs,
    )
    .unwrap_err();
    assert_eq!(
        fs::read_to_string(&page).unwrap(),
        "the page of an earlier audit"
    );
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        1,
        "nothing half-written"
    );
}

#[test]
fn an_unwritable_folder_is_found_before_any_work() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let fault = prepare(&file.join("audit")).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Usage);
    let message = fault
        .to_string()
        .replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!("unwritable", message);
}

#[test]
fn outputs_are_named_by_format_and_path() {
    let output: Output = "html=a=b/page.html".parse().unwrap();
    assert_eq!(
        (output.format.name, output.path.to_str()),
        ("html", Some("a=b/page.html"))
    );
    let messages: Vec<_> = ["html", "docx=x", "json="]
        .iter()
        .map(|text| text.parse::<Output>().unwrap_err().to_string())
        .collect();
    insta::assert_snapshot!("output_faults", messages.join("\n\n"));
}

/// `CANDOR_SAMPLE_PAGE=FILE` writes the page for a look at it in a browser.
#[test]
fn the_page_can_be_written_for_looking_at() {
    use crate::synthetic::Kind::{Clean, Decoy};
    let Some(path) = std::env::var_os("CANDOR_SAMPLE_PAGE") else {
        return;
    };
    fs::write(
        path,
        candor::report::html::page(&crate::synthetic::report(&[Liar, Clean, Decoy])).unwrap(),
    )
    .unwrap();
}
