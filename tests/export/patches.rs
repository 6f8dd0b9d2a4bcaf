//! Writes: a site's own value changes nothing, and the other prompt's stream makes the other prompt's logits.

use candor::instrument::{Manifest, Plan, Write, instrument};
use candor::model::{Architecture, Model, Point, SiteName};
use candor::run::{Runtime, Session, Tensor};
use ndarray::{ArrayD, Axis, concatenate};

use super::cell::{Row, SELF, SWAP};
use super::fixture::{Compare, Fixture};
use super::measure::{Values, distance, relative};
use super::rows;

/// Writes each site in a graph of its own.
pub fn measure(
    row: &mut Row,
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    fixture: &Fixture,
    values: &Values,
) {
    for site in &arch.sites {
        let shape = values[&site.name.to_string()].shape();
        let graph = match Graph::open(runtime, model, arch, site.name, shape) {
            Ok(graph) => graph,
            Err(why) => {
                row.complain(format!("{} cannot be written: {why}", site.name));
                continue;
            }
        };
        if let Err(why) = graph.measure(row, fixture) {
            row.complain(format!("writing {}: {why}", site.name));
        }
    }
}

/// A graph in which one site can be written and read.
struct Graph<'a> {
    session: Session,
    manifest: Manifest,
    arch: &'a Architecture,
    site: SiteName,
    shape: &'a [usize],
}

impl<'a> Graph<'a> {
    fn open(
        runtime: &Runtime,
        model: &Model,
        arch: &'a Architecture,
        site: SiteName,
        shape: &'a [usize],
    ) -> Result<Self, String> {
        let plan = Plan {
            taps: vec![site],
            writes: vec![Write::Replace {
                site,
                value: "value".to_owned(),
            }],
            ..Plan::default()
        };
        let done = instrument(model, arch, &plan).map_err(|fault| fault.found)?;
        let session = Session::open(runtime, &done.bytes, &done.folder, arch);
        Ok(Self {
            session: session.map_err(|fault| fault.found)?,
            manifest: done.manifest,
            arch,
            site,
            shape,
        })
    }

    fn measure(&self, row: &mut Row, fixture: &Fixture) -> Result<(), String> {
        // The values of this very graph: where the runtime computes in 16 bits, other taps make other roundings.
        let (value, logits) = self.run(fixture, None)?;
        let (_, same) = self.run(fixture, Some(&value))?;
        let off = |found: &ArrayD<f32>, expected: &ArrayD<f32>| match fixture.compare {
            Compare::Fp32 => distance(found, expected),
            _ => relative(found, expected),
        };
        let site = self.site.to_string();
        row.measured(SELF, &site, off(&same, &logits), 1e-6);
        let (_, other) = self.run(fixture, Some(&swapped(&value)))?;
        if distance(&other, &logits) < 1e-4 {
            row.complain(format!("another prompt's {} changes no logit", self.site));
        }
        if self.site.point == Point::ResidPre {
            // The same numbers in other rows; in 16 bits their sums may be rounded otherwise.
            let allowed = match fixture.compare {
                Compare::Fp16 => 1e-2,
                Compare::Bf16 => 5e-2,
                _ => 1e-5,
            };
            row.measured(SWAP, &site, off(&other, &swapped(&logits)), allowed);
        }
        Ok(())
    }

    /// What the site is read as and the logits, after `value` was written to all of it or nothing was.
    fn run(
        &self,
        fixture: &Fixture,
        value: Option<&ArrayD<f32>>,
    ) -> Result<(ArrayD<f32>, ArrayD<f32>), String> {
        let mut narrow = self.shape.to_vec();
        if let Some(last) = narrow.last_mut() {
            *last = 1;
        }
        let flags = ArrayD::from_elem(narrow, value.is_some());
        let values = value.map_or_else(|| ArrayD::zeros(self.shape), ArrayD::clone);
        let Manifest {
            masks,
            inputs,
            taps,
            ..
        } = &self.manifest;
        let extra = [
            (masks[0].1.clone(), Tensor::Bool(flags)),
            (inputs[0].0.clone(), Tensor::F32(values)),
        ];
        let (tap, logits) = (taps[0].1.as_str(), self.arch.logits.as_str());
        let outputs = rows::run(&self.session, fixture, &extra, &[tap, logits])?;
        Ok((outputs[tap].clone(), outputs[logits].clone()))
    }
}

/// The two prompts in the other order.
fn swapped(values: &ArrayD<f32>) -> ArrayD<f32> {
    let (first, rest) = values.view().split_at(Axis(0), 1);
    concatenate(Axis(0), &[rest, first]).unwrap()
}
