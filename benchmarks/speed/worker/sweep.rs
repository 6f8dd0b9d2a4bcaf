//! Denoising sweeps: from token ids to the logit difference of every cell, nothing kept from one run to the next.

use candor::causal::{Edit, Engine, Row, logit_difference};
use candor::fault::{Fault, Result};
use candor::model::{Architecture, Model, Point, SiteName};
use candor::run::Runtime;
use ndarray::{Array1, Array2, s};

use crate::{TwoPrompts, Values, Work};

/// Every layer (or the first few) and every position of `hook_resid_pre`; metric of each pair by layer, then position.
pub fn resid_pre(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    pairs: Vec<TwoPrompts>,
    layers: Option<usize>,
) -> Result<Work> {
    let sites = sites(arch, Point::ResidPre, layers);
    let cells = |clean: &[Array2<f32>], _: &[Array2<f32>]| {
        let mut cells = Vec::new();
        for (site, clean) in clean.iter().enumerate() {
            for (position, values) in clean.outer_iter().enumerate() {
                cells.push((site, vec![(position, values.to_owned())]));
            }
        }
        cells
    };
    work(runtime, model, arch, pairs, sites, cells)
}

/// Every head of every layer (or the first few), written at all positions; metric of each pair by layer, then head.
pub fn heads(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    pairs: Vec<TwoPrompts>,
    layers: Option<usize>,
) -> Result<Work> {
    let sites = sites(arch, Point::HookZ, layers);
    let n_heads = arch
        .n_heads
        .ok_or_else(|| Fault::usage("loading", "a model whose heads cannot be told apart"))?;
    let cells = move |clean: &[Array2<f32>], corrupt: &[Array2<f32>]| {
        let mut cells = Vec::new();
        for (site, (clean, corrupt)) in clean.iter().zip(corrupt).enumerate() {
            let d_head = clean.ncols() / n_heads;
            for head in 0..n_heads {
                let columns = head * d_head..(head + 1) * d_head;
                let mut patched = corrupt.clone();
                patched
                    .slice_mut(s![.., columns.clone()])
                    .assign(&clean.slice(s![.., columns]));
                let rows = patched.outer_iter().map(|row| row.to_owned());
                cells.push((site, rows.enumerate().collect()));
            }
        }
        cells
    };
    work(runtime, model, arch, pairs, sites, cells)
}

fn sites(arch: &Architecture, point: Point, layers: Option<usize>) -> Vec<SiteName> {
    let layers = layers.unwrap_or(arch.n_layers).min(arch.n_layers);
    (0..layers).map(|layer| SiteName::block(layer, point)).collect()
}

/// A site's index, and its new values at some positions.
type Cell = (usize, Vec<(usize, Array1<f32>)>);

fn work(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    pairs: Vec<TwoPrompts>,
    sites: Vec<SiteName>,
    cells: impl Fn(&[Array2<f32>], &[Array2<f32>]) -> Vec<Cell> + 'static,
) -> Result<Work> {
    let engine = Engine::open(runtime, model, arch, &sites, &sites, Vec::new())?;
    let mut sweep = move || {
        let prompts: Vec<&[i64]> = pairs
            .iter()
            .flat_map(|pair| [pair.clean.as_slice(), pair.corrupt.as_slice()])
            .collect();
        let activations = engine.activations(&prompts)?;
        let mut rows = Vec::new();
        for (pair, of_pair) in pairs.iter().zip(activations.chunks_exact(2)) {
            for (site, values) in cells(&of_pair[0], &of_pair[1]) {
                rows.push(Row {
                    ids: &pair.corrupt,
                    edit: Some(Edit { site: sites[site], values }),
                    read: pair.corrupt.len() - 1,
                });
            }
        }
        let per_pair = rows.len() / pairs.len();
        let mut metric = vec![0.0; rows.len()];
        engine.each_logits(&rows, |row, logits| {
            let pair = &pairs[row / per_pair];
            metric[row] = logit_difference(logits, pair.answer, pair.foil);
            Ok(())
        })?;
        Ok(Values::from([("metric", metric)]))
    };
    sweep()?;
    Ok(Box::new(sweep))
}
