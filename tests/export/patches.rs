//! Writes: a site's own value changes nothing, and the other prompt's stream makes the other prompt's logits.

use std::collections::BTreeMap;

use candor::instrument::{Manifest, Plan, Write, instrument};
use candor::model::{Architecture, Model, Point, SiteName};
use candor::run::{Feed, Runtime, Session, Tensor};
use ndarray::{ArrayD, Axis, concatenate};

use super::cell::{Cell, Row, SELF, SWAP};
use super::fixture::{Compare, Fixture};
use super::measure::{distance, relative};

/// One graph in which every writable site can be written and read.
struct Patched<'a> {
    session: Session,
    manifest: Manifest,
    arch: &'a Architecture,
    ids: &'a ndarray::Array2<i64>,
    /// Each site's own values.
    own: BTreeMap<String, ArrayD<f32>>,
    /// The logits of a run in which nothing is written.
    logits: ArrayD<f32>,
}

pub fn measure(
    row: &mut Row,
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    fixture: &Fixture,
) {
    let (writable, refused) = sort(model, arch);
    if let Some((site, why)) = refused.iter().find(|(site, _)| must_be_writable(*site)) {
        row.complain(format!("{site} cannot be written: {why}"));
    }
    let patched = match open(runtime, model, arch, fixture, &writable) {
        Ok(patched) => patched,
        Err(why) => {
            row.complain(format!("patches: {why}"));
            return;
        }
    };
    let scale = fixture.compare;
    // Where activations are rounded to 16 bits or to integers, two computations of one value may part by a step.
    let (own, swap) = match scale {
        Compare::Fp32 | Compare::Exact | Compare::Refused => (1e-6, 1e-5),
        Compare::Fp16 => (1e-6, 1e-2),
        Compare::Bf16 => (1e-6, 5e-2),
    };
    let off = |found: &ArrayD<f32>, expected: &ArrayD<f32>| match scale {
        Compare::Fp32 => distance(found, expected),
        _ => relative(found, expected),
    };
    for site in &writable {
        let value = patched.own[&site.to_string()].clone();
        match patched.run(*site, &value) {
            Ok(logits) => row.measured(SELF, off(&logits, &patched.logits), own),
            Err(why) => row.complain(format!("writing {site}: {why}")),
        }
        let Ok(logits) = patched.run(*site, &swapped(&value)) else {
            continue;
        };
        if distance(&logits, &patched.logits) < 1e-4 {
            row.complain(format!("writing another prompt's {site} changes no logit"));
        }
        if site.point == Point::ResidPre {
            row.measured(SWAP, off(&logits, &swapped(&patched.logits)), swap);
        }
    }
    if writable.is_empty() {
        row.without(SELF, Cell::Missing);
    }
}

/// The stream and what is added to it can be written in every model.
fn must_be_writable(site: SiteName) -> bool {
    !matches!(site.point, Point::LnFinal)
}

fn plan(sites: &[SiteName]) -> Plan {
    Plan {
        taps: sites.to_vec(),
        writes: sites
            .iter()
            .map(|&site| Write::Replace {
                site,
                value: format!("value.{site}"),
            })
            .collect(),
        ..Plan::default()
    }
}

type Refused = Vec<(SiteName, String)>;

fn sort(model: &Model, arch: &Architecture) -> (Vec<SiteName>, Refused) {
    let (mut writable, mut refused) = (Vec::new(), Vec::new());
    for site in &arch.sites {
        match instrument(model, arch, &plan(&[site.name])) {
            Ok(_) => writable.push(site.name),
            Err(fault) => refused.push((site.name, fault.found)),
        }
    }
    (writable, refused)
}

fn open<'a>(
    runtime: &Runtime,
    model: &Model,
    arch: &'a Architecture,
    fixture: &'a Fixture,
    sites: &[SiteName],
) -> Result<Patched<'a>, String> {
    let done = instrument(model, arch, &plan(sites)).map_err(|fault| fault.to_string())?;
    let taps = Plan {
        taps: sites.to_vec(),
        ..Plan::default()
    };
    let plain = instrument(model, arch, &taps).map_err(|fault| fault.to_string())?;
    let session = Session::open(runtime, &plain.bytes, &plain.folder, arch);
    let session = session.map_err(|fault| fault.to_string())?;
    let names = plain.manifest.taps.iter().map(|(_, tap)| tap.as_str());
    let wanted: Vec<&str> = names.chain([arch.logits.as_str()]).collect();
    let feed = Feed::unpadded(fixture.ids.clone());
    let outputs = session
        .run(&feed, &wanted)
        .map_err(|fault| fault.to_string())?;
    let taps = plain.manifest.taps.iter();
    let own = taps
        .map(|(site, tap)| (site.to_string(), outputs[tap].clone()))
        .collect();
    let session = Session::open(runtime, &done.bytes, &done.folder, arch);
    let mut patched = Patched {
        session: session.map_err(|fault| fault.to_string())?,
        manifest: done.manifest,
        arch,
        ids: &fixture.ids,
        own,
        logits: outputs[&arch.logits].clone(),
    };
    patched.logits = patched.feed(None)?;
    Ok(patched)
}

impl Patched<'_> {
    /// The logits after `value` was written to all of a site.
    fn run(&self, site: SiteName, value: &ArrayD<f32>) -> Result<ArrayD<f32>, String> {
        self.feed(Some((site, value)))
    }

    fn feed(&self, written: Option<(SiteName, &ArrayD<f32>)>) -> Result<ArrayD<f32>, String> {
        let (rows, tokens) = self.ids.dim();
        let mut feed = Feed::unpadded(self.ids.clone());
        for ((site, mask), (input, _)) in self.manifest.masks.iter().zip(&self.manifest.inputs) {
            let chosen = written.filter(|(written, _)| written == site);
            let own = &self.own[&site.to_string()];
            let value = chosen.map_or_else(|| own.mapv(|_| 0.0), |(_, value)| value.clone());
            let flags = ArrayD::from_elem(&[rows, tokens, 1][..], chosen.is_some());
            feed = feed
                .with(mask.clone(), Tensor::Bool(flags))
                .with(input.clone(), Tensor::F32(value));
        }
        let wanted = [self.arch.logits.as_str()];
        let outputs = self.session.run(&feed, &wanted);
        let mut outputs = outputs.map_err(|fault| fault.to_string())?;
        Ok(outputs.remove(&self.arch.logits).unwrap())
    }
}

/// The two prompts in the other order.
fn swapped(values: &ArrayD<f32>) -> ArrayD<f32> {
    let (first, rest) = values.view().split_at(Axis(0), 1);
    concatenate(Axis(0), &[rest, first]).unwrap()
}
