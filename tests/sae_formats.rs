//! Every file format and architecture against the library that defines it (`fixtures/detect/make_saelens.py`, `make_formats.py`);
//! the table in `docs/sae-formats.md` is written from it.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod sae;

use std::fs;

use candor::causal::intervention::{FeatureEdit, Features};
use candor::detect::sae::{ARCHITECTURES, FORMATS};
use sae::{Measured, cases, table};

const PAGE: &str = "docs/sae-formats.md";

#[test]
fn every_format_is_what_its_library_computes() {
    let measured: Vec<Measured> = cases().into_iter().map(sae::Case::measure).collect();
    let mut wrong = Vec::new();
    for row in &measured {
        for (what, off) in [
            ("encode", row.encode),
            ("decode", row.decode),
            ("error", row.error),
        ] {
            // Not a number is no small one.
            if off.is_nan() || off > table::BOUND {
                wrong.push(format!("{}: {what} is off by {off}", row.case.name));
            }
        }
    }
    let page = fs::read_to_string(PAGE).unwrap();
    if std::env::var_os("CANDOR_BLESS").is_some() {
        fs::write(PAGE, table::put(&page, &measured)).unwrap();
    } else {
        let drift = table::drift(&page, &measured);
        if !drift.is_empty() {
            wrong.push(format!(
                "{PAGE} says otherwise (CANDOR_BLESS=1 writes it again):"
            ));
        }
        wrong.extend(drift);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_format_and_architecture_has_a_case() {
    let cases = cases();
    for case in &cases {
        assert_eq!(case.open().format.name, case.format, "{}", case.name);
    }
    for format in FORMATS {
        assert!(
            cases.iter().any(|case| case.format == format.name),
            "{}",
            format.name
        );
    }
    for architecture in ARCHITECTURES {
        assert!(
            cases
                .iter()
                .any(|case| case.architecture == architecture.name),
            "{}",
            architecture.name
        );
    }
}

#[test]
fn a_transcoder_is_not_taken_for_an_sae() {
    let transcoder = |case: &sae::Case| case.architecture == "skip_transcoder";
    let case = cases().into_iter().find(transcoder).unwrap();
    let sae = case.open().sae;
    let x = case.recorded("input");
    assert!(sae.transcodes() && sae.d_out() != sae.d_in());
    let why = "a transcoder, which reconstructs another activation (`blocks.1.hook_mlp_out`)";
    assert_eq!(sae.error(x.view()).unwrap_err().found, why);
    assert_eq!(sae.measure(x.view()).unwrap_err().found, why);
    assert!(
        sae.error_against(x.view(), x.view()).is_err(),
        "a target of another width"
    );
    let site = "blocks.1.hook_resid_mid".parse().unwrap();
    let edit = Features::new(&sae, site, vec![0], FeatureEdit::Ablate);
    assert_eq!(edit.err().unwrap().found, why);
}
