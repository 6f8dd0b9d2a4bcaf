//! One forward pass, with and without detectors in the graph.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candor::detect::Sae;
use candor::fault::{Fault, Result};
use candor::instrument::{Activation, Head, Normalization, Plan, instrument};
use candor::model::{Architecture, Model, Point, SiteName};
use candor::run::{Feed, Runtime, Session};
use ndarray::{Array1, Array2, ArrayViewD, Axis};

use crate::{Opened, Values, Work};

/// Features that are read of each SAE.
const FEATURES: usize = 64;
/// Logits that are shown.
const LOGITS: usize = 8;

pub fn plain(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    ids: Vec<Vec<i64>>,
) -> Result<Opened> {
    let plan = Plan::default();
    work(runtime, model, arch, &plan, feed(ids)?)
}

/// A probe and 64 features of the SAE behind every block.
pub fn detectors(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    ids: Vec<Vec<i64>>,
    sae: Option<PathBuf>,
) -> Result<Opened> {
    let folder = sae.ok_or_else(|| Fault::usage("loading", "no SAE"))?;
    let sae = Sae::open(&folder)?;
    let columns = sae.columns(&(0..FEATURES).collect::<Vec<_>>())?;
    let mut plan = Plan::default();
    for layer in 0..arch.blocks.len() {
        let site = SiteName::block(layer, Point::ResidPost);
        plan.heads.push(Head {
            id: format!("probe.{layer}"),
            site,
            normalization: Normalization::None,
            weight: columns.weight.column(0).to_owned().insert_axis(Axis(1)),
            bias: Array1::zeros(1),
            activation: Activation::Linear,
        });
        plan.heads.push(Head {
            id: format!("sae.{layer}"),
            site,
            normalization: Normalization::None,
            weight: columns.weight.clone(),
            bias: columns.bias.clone(),
            activation: columns.activation.clone(),
        });
    }
    work(runtime, model, arch, &plan, feed(ids)?)
}

fn feed(ids: Vec<Vec<i64>>) -> Result<Feed> {
    let shape = (ids.len(), ids.first().map_or(0, Vec::len));
    let ids = Array2::from_shape_vec(shape, ids.concat())
        .map_err(|error| Fault::usage("loading", error.to_string()))?;
    Ok(Feed::unpadded(ids))
}

/// What comes out is of the first row's last token: a few logits, then the features and the probes of all layers.
fn work(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    plan: &Plan,
    feed: Feed,
) -> Result<Opened> {
    let instrumented = instrument(model, arch, plan)?;
    let session = Session::open(
        runtime,
        &instrumented.bytes,
        Path::new(&instrumented.folder),
        arch,
    )?;
    let placement = placement(&session)?;
    let heads = instrumented.manifest.heads.into_iter();
    let heads = heads.map(|(id, output)| {
        (
            if id.starts_with("sae") {
                "features"
            } else {
                "probes"
            },
            output,
        )
    });
    let outputs: Vec<(&str, String)> = std::iter::once(("logits", arch.logits.clone()))
        .chain(heads)
        .collect();
    let run = move || {
        let wanted: Vec<&str> = outputs.iter().map(|(_, output)| output.as_str()).collect();
        let mut of_output = BTreeMap::new();
        session.visit(&feed, &wanted, |name, values| {
            of_output.insert(name.to_owned(), last_token(values));
            Ok(())
        })?;
        let mut values = Values::new();
        for (kind, output) in &outputs {
            let of_output = of_output.remove(output).unwrap_or_default();
            values.entry(kind).or_default().extend(of_output);
        }
        if let Some(logits) = values.get_mut("logits") {
            logits.truncate(LOGITS);
        }
        Ok(values)
    };
    run()?;
    let work: Work = Box::new(run);
    Ok((work, Some(placement)))
}

/// How many nodes run where.
fn placement(session: &Session) -> Result<String> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for node in session.placement()? {
        *counts.entry(node.provider).or_default() += 1;
    }
    let counts: Vec<_> = counts
        .iter()
        .map(|(provider, count)| format!("{count} on {provider}"))
        .collect();
    Ok(counts.join(", "))
}

fn last_token(values: ArrayViewD<'_, f32>) -> Vec<f64> {
    let row = values.index_axis(Axis(0), 0);
    let token = row.index_axis(Axis(0), row.len_of(Axis(0)) - 1);
    token.iter().map(|value| f64::from(*value)).collect()
}
