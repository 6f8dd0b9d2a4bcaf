//! The graph as it is, with tensors declared as outputs: what a tap has to equal to the last bit.

use std::collections::BTreeMap;

use candor::model::onnx::ValueInfoProto;
use candor::model::{Architecture, Model, Site, SiteTensor, encode};
use candor::run::{Runtime, Session};
use ndarray::ArrayD;

use super::fixture::Fixture;
use super::rows;

/// The values of `sites` by the site's name, computed by the unchanged graph.
pub fn run(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    sites: &[&Site],
    fixture: &Fixture,
) -> Result<BTreeMap<String, ArrayD<f32>>, String> {
    let mut proto = model.proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    for site in sites {
        if let SiteTensor::SkipSum { node, name } = &site.tensor {
            let outputs = &mut graph.node[*node].output;
            outputs.resize(4, String::new());
            outputs[3].clone_from(name);
        }
        for name in parts(site) {
            if !graph.output.iter().any(|output| output.name() == name) {
                graph.output.push(ValueInfoProto {
                    name: Some(name.to_owned()),
                    ..ValueInfoProto::default()
                });
            }
        }
    }
    let session = Session::open(runtime, &encode(&proto), model.folder(), arch)
        .map_err(|fault| fault.found)?;
    let names: Vec<&str> = sites.iter().flat_map(|site| parts(site)).collect();
    let outputs = rows::run(&session, fixture, &[], &names)?;
    let values = sites
        .iter()
        .map(|site| {
            let mut values = parts(site).into_iter().map(|name| outputs[name].clone());
            let first = values.next().unwrap();
            (
                site.name.to_string(),
                values.fold(first, |sum, next| sum + next),
            )
        })
        .collect();
    Ok(values)
}

fn parts(site: &Site) -> Vec<&str> {
    match &site.tensor {
        SiteTensor::Sum(parts) => parts.iter().map(String::as_str).collect(),
        SiteTensor::Named(name) | SiteTensor::SkipSum { name, .. } => vec![name],
    }
}
