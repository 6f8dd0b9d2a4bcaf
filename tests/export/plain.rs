//! The graph as it is, with tensors declared as outputs: what a tap has to equal to the last bit.

use std::collections::BTreeMap;

use candor::model::onnx::tensor_proto::DataType;
use candor::model::onnx::{NodeProto, TensorProto, ValueInfoProto};
use candor::model::{Architecture, Form, Layout, Model, Site, SiteTensor, encode};
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
        for (part, name) in parts(site).into_iter().enumerate() {
            let output = if part == 0 && site.form != Form::Same {
                let seq = fixture.ids.ncols();
                graph.initializer.push(shape(name, site.layout, seq));
                graph.node.push(reshaped(name));
                laid_out(name)
            } else {
                name.to_owned()
            };
            if !graph.output.iter().any(|known| known.name() == output) {
                graph.output.push(ValueInfoProto {
                    name: Some(output),
                    ..ValueInfoProto::default()
                });
            }
        }
    }
    let session = Session::open(runtime, &encode(&proto), model.folder(), arch)
        .map_err(|fault| fault.found)?;
    let names: Vec<String> = sites.iter().flat_map(|site| outputs_of(site)).collect();
    let wanted: Vec<&str> = names.iter().map(String::as_str).collect();
    let outputs = rows::run(&session, fixture, &[], &wanted)?;
    let values = sites
        .iter()
        .map(|site| {
            let mut values = outputs_of(site)
                .into_iter()
                .map(|name| outputs[&name].clone());
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

fn outputs_of(site: &Site) -> Vec<String> {
    let mut names: Vec<String> = parts(site).into_iter().map(str::to_owned).collect();
    if site.form != Form::Same {
        names[0] = laid_out(&names[0]);
    }
    names
}

fn laid_out(name: &str) -> String {
    format!("{name}.laid_out")
}

/// The session shows outputs by rows and tokens; flattened ones come out of a node that only reshapes them.
fn reshaped(name: &str) -> NodeProto {
    NodeProto {
        op_type: Some("Reshape".into()),
        input: vec![name.into(), format!("{name}.shape")],
        output: vec![laid_out(name)],
        ..NodeProto::default()
    }
}

fn shape(name: &str, layout: Layout, seq: usize) -> TensorProto {
    let sizes = match layout {
        Layout::Token { width } => vec![seq, width],
        Layout::Heads { heads, d_head } => vec![seq, heads, d_head],
        Layout::Pattern { heads } => vec![heads, seq, seq],
    };
    let sizes: Vec<i64> = [-1]
        .into_iter()
        .chain(sizes.into_iter().map(|size| i64::try_from(size).unwrap()))
        .collect();
    TensorProto {
        name: Some(format!("{name}.shape")),
        dims: vec![i64::try_from(sizes.len()).unwrap()],
        data_type: Some(DataType::Int64.into()),
        int64_data: sizes,
        ..TensorProto::default()
    }
}
