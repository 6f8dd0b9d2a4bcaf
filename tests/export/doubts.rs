//! The measure itself can fail: what it must notice, made by hand.

use std::collections::BTreeMap;

use super::cell::{Cell, RUNTIME, Row};
use super::fixture::Compare;
use super::measure::{distance, relative};
use super::table::Table;
use ndarray::arr1;

fn row(compare: Compare, cells: &[(&'static str, Cell)]) -> Row {
    Row {
        name: "gpt2.made".to_owned(),
        group: "Architectures".to_owned(),
        architecture: "GPT-2".to_owned(),
        form: "made".to_owned(),
        compare,
        committed: false,
        outcome: Ok(cells.iter().cloned().collect::<BTreeMap<_, _>>()),
        complaints: Vec::new(),
    }
}

fn refused(compare: Compare, why: &str) -> Row {
    Row {
        outcome: Err(why.to_owned()),
        ..row(compare, &[])
    }
}

#[test]
fn what_is_off_missing_or_not_a_number_is_a_fault() {
    let faults = |off| {
        let mut row = row(Compare::Fp32, &[]);
        row.measured("hook_resid_pre", "blocks.1.hook_resid_pre", off, 5e-5);
        row.faults().len()
    };
    assert_eq!([4e-5, 6e-5, f32::NAN].map(faults), [0, 1, 1]);
    let lacks = |why: Option<&str>| {
        let mut row = row(Compare::Fp32, &[]);
        row.measured("attn.hook_z", "blocks.0.attn.hook_z", 0.0, 5e-5);
        row.lacks(
            "attn.hook_z",
            "blocks.1.attn.hook_z",
            why.map(str::to_owned),
        );
        row.measured("attn.hook_z", "blocks.2.attn.hook_z", 0.0, 5e-5);
        (
            row.faults().len(),
            row.outcome.unwrap()["attn.hook_z"].clone(),
        )
    };
    assert_eq!(lacks(None), (1, Cell::Missing));
    let why = "no heads";
    assert_eq!(lacks(Some(why)), (0, Cell::Absent(why.to_owned())));
}

#[test]
fn a_refusal_is_a_fault_unless_it_is_expected_and_from_the_right_place() {
    assert_eq!(refused(Compare::Fp32, "no stream").faults().len(), 1);
    assert_eq!(refused(Compare::Refused, "no stream").faults().len(), 0);
    assert_eq!(row(Compare::Refused, &[]).faults().len(), 1);
    let kernel = format!("{RUNTIME}no kernel");
    assert_eq!(refused(Compare::Unrunnable, &kernel).faults().len(), 0);
    assert_eq!(refused(Compare::Unrunnable, "no stream").faults().len(), 1);
    assert_eq!(row(Compare::Unrunnable, &[]).faults().len(), 1);
}

#[test]
fn the_larger_difference_of_two_layers_stays_and_no_number_beats_nan() {
    let after = |all: &[f32]| {
        let mut row = row(Compare::Fp32, &[]);
        for off in all {
            row.measured("hook_resid_pre", "blocks.0.hook_resid_pre", *off, 5e-5);
        }
        match row.outcome.unwrap()["hook_resid_pre"] {
            Cell::Measured(off) => off,
            _ => -1.0,
        }
    };
    assert_eq!(after(&[1e-6, 3e-6, 2e-6]).to_bits(), 3e-6_f32.to_bits());
    assert!(after(&[1e-6, f32::NAN, 2e-6]).is_nan());
}

#[test]
fn differences_are_of_the_worst_element_and_relative_to_the_largest() {
    let (found, expected) = (arr1(&[1.0, -8.0, 3.0]), arr1(&[1.5, -8.0, 3.25]));
    let (found, expected) = (found.into_dyn(), expected.into_dyn());
    assert!((distance(&found, &expected) - 0.5).abs() < 1e-7);
    assert!((relative(&found, &expected) - 0.0625).abs() < 1e-7);
    let broken = arr1(&[1.0, f32::NAN, 3.0]).into_dyn();
    assert!(distance(&broken, &expected).is_nan());
}

#[test]
fn the_page_is_held_against_what_is_measured() {
    let number = ("hook_resid_pre", Cell::Measured(2e-6));
    let absent = ("hook_resid_mid", Cell::Absent("parallel".to_owned()));
    let page = Table::new(vec![row(Compare::Fp32, &[number.clone(), absent.clone()])]).markdown();
    let drift = |row| Table::new(vec![row]).drift(&page);
    let same = [("hook_resid_pre", Cell::Measured(9e-6)), absent.clone()];
    assert_eq!(drift(row(Compare::Fp32, &same)), Vec::<String>::new());
    let gained = [number.clone(), ("hook_resid_mid", Cell::Measured(0.0))];
    assert_eq!(drift(row(Compare::Fp32, &gained)).len(), 1);
    assert_eq!(drift(row(Compare::Fp32, &[absent])).len(), 1);
    assert_eq!(drift(refused(Compare::Fp32, "no stream")).len(), 1);
    let other = Row {
        name: "gpt2.other".to_owned(),
        ..row(Compare::Fp32, &[number])
    };
    assert_eq!(drift(other).len(), 1);
}
