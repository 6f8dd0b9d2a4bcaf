//! One model, site by site.

use std::collections::BTreeMap;

use candor::instrument::{Plan, instrument};
use candor::model::{Architecture, Model, Site, SiteName};
use candor::run::{Runtime, Session};
use ndarray::{ArrayD, Axis, Slice};

use super::cell::{Cell, RUNTIME, Row};
use super::fixture::{Compare, Fixture};
use super::{patches, plain, rows};

/// Values by the name of the site, and `logits`.
pub type Values = BTreeMap<String, ArrayD<f32>>;

pub const LOGITS: &str = "logits";

/// Rounded weights move every activation, but not beyond recognition: a tensor of another place is further away than its own length.
const COARSE: f32 = 0.6;

/// Opens a model, reads and patches every site.
pub fn measure(runtime: &Runtime, fixture: &Fixture) -> Row {
    let mut row = Row::new(fixture);
    let path = fixture.folder.join("model.onnx");
    let opened =
        Model::open(&path).and_then(|model| Architecture::find(&model).map(|arch| (model, arch)));
    let (model, arch) = match opened {
        Ok(opened) => opened,
        Err(fault) => {
            row.outcome = Err(fault.found);
            return row;
        }
    };
    if fixture.compare == Compare::Refused {
        return row;
    }
    let values = match captured(runtime, &model, &arch, fixture) {
        Ok(values) => values,
        Err(why) => {
            row.outcome = Err(format!("{RUNTIME}{why}"));
            return row;
        }
    };
    compare(&mut row, fixture, &arch, &values);
    if fixture.compare == Compare::Exact {
        exactly(&mut row, runtime, &model, &arch, fixture, &values);
    }
    patches::measure(&mut row, runtime, &model, &arch, fixture, &values);
    row
}

/// Every listed site through taps, and the logits.
fn captured(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    fixture: &Fixture,
) -> Result<Values, String> {
    let plan = Plan {
        taps: arch.sites.iter().map(|site| site.name).collect(),
        ..Plan::default()
    };
    let done = instrument(model, arch, &plan).map_err(|fault| fault.found)?;
    let session =
        Session::open(runtime, &done.bytes, &done.folder, arch).map_err(|fault| fault.found)?;
    let mut wanted: Vec<&str> = done
        .manifest
        .taps
        .iter()
        .map(|(_, tap)| tap.as_str())
        .collect();
    wanted.push(&arch.logits);
    let outputs = rows::run(&session, fixture, &[], &wanted)?;
    let taps = done.manifest.taps.iter();
    let mut values: Values = taps
        .map(|(site, tap)| (site.to_string(), outputs[tap].clone()))
        .collect();
    values
        .entry(LOGITS.to_owned())
        .or_insert_with(|| outputs[&arch.logits].clone());
    Ok(values)
}

fn compare(row: &mut Row, fixture: &Fixture, arch: &Architecture, values: &Values) {
    for (name, expected) in &fixture.reference {
        let Some(column) = Row::column(name) else {
            continue;
        };
        let Some(found) = values.get(name) else {
            row.lacks(column, name, absent(arch, name));
            continue;
        };
        let last = (name == LOGITS && found.shape().get(1) == Some(&1)).then(|| last(expected));
        let expected = last.as_ref().unwrap_or(expected);
        if found.shape() != expected.shape() {
            row.complain(format!(
                "{name} has shape {:?} instead of {:?}",
                found.shape(),
                expected.shape()
            ));
            continue;
        }
        match fixture.compare {
            Compare::Fp32 => row.measured(column, name, distance(found, expected), 5e-5),
            Compare::Fp16 => row.measured(column, name, relative(found, expected), 1e-2),
            Compare::Bf16 => row.measured(column, name, relative(found, expected), 5e-2),
            Compare::Exact | Compare::Unrunnable | Compare::Refused => {
                let off = length(&(found - expected)) / length(expected);
                if off.is_nan() || off > COARSE {
                    row.complain(format!("{name} is {off:.2} of its length from PyTorch's"));
                }
            }
        }
    }
    for absent in &arch.absent {
        if let Some(column) = Row::column(&absent.name.to_string()) {
            row.without(column, Cell::Absent(absent.why.clone()));
        }
    }
    let unknown = values
        .keys()
        .filter(|name| !fixture.reference.contains_key(*name));
    for name in unknown {
        // PyTorch has no module whose output or input this is; its neighbours are compared.
        if let Some(column) = Row::column(name) {
            row.without(column, Cell::Nothing);
        }
    }
}

/// Of logits `[batch, seq, vocab]` those of the last token: some models put out no others.
fn last(logits: &ArrayD<f32>) -> ArrayD<f32> {
    logits.slice_axis(Axis(1), Slice::from(-1..)).to_owned()
}

/// Why the model lists no such site.
fn absent(arch: &Architecture, name: &str) -> Option<String> {
    let site: SiteName = name.parse().ok()?;
    arch.why_absent(site).map(str::to_owned)
}

/// A tap is the tensor itself, to the last bit.
fn exactly(
    row: &mut Row,
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    fixture: &Fixture,
    values: &Values,
) {
    let sites: Vec<&Site> = arch.sites.iter().collect();
    let alone = match plain::run(runtime, model, arch, &sites, fixture) {
        Ok(alone) => alone,
        Err(why) => {
            row.complain(format!("the graph with its tensors as outputs: {why}"));
            return;
        }
    };
    for site in sites {
        let name = site.name.to_string();
        let (found, expected) = (&values[&name], &alone[&name]);
        if found.len() != expected.len() {
            row.complain(format!("{name} has not the size of its tensor"));
            continue;
        }
        let off = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
        let off = off.fold(0.0, f32::max);
        if let Some(column) = Row::column(&name) {
            row.measured(column, &name, off, 0.0);
        }
    }
}

/// The largest absolute difference; NaN where either is.
pub fn distance(found: &ArrayD<f32>, expected: &ArrayD<f32>) -> f32 {
    let each = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    each.fold(0.0, |worst, off| {
        if off > worst || off.is_nan() {
            off
        } else {
            worst
        }
    })
}

/// The same, as a share of the largest value.
pub fn relative(found: &ArrayD<f32>, expected: &ArrayD<f32>) -> f32 {
    let largest = expected.iter().fold(0.0_f32, |all, one| all.max(one.abs()));
    distance(found, expected) / largest.max(f32::MIN_POSITIVE)
}

fn length(values: &ArrayD<f32>) -> f32 {
    values.iter().map(|value| value * value).sum::<f32>().sqrt()
}
