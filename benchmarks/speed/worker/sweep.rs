//! Denoising sweeps: from token ids to the logit difference of every cell, nothing kept from one run to the next.

use candor::causal::{Blockwise, Change, Load as Sizes, Row, Runs, To, logit_difference, open};
use candor::fault::{Fault, Result};
use candor::model::{Architecture, Model, Point, SiteName};
use candor::run::{Memory, Runtime, Traffic};
use ndarray::{Array2, s};

use crate::{Opened, TwoPrompts, Values, Work};

/// Cells of a sweep of one pair, each a change of a run of the corrupt prompt, made from the clean prompt's `[seq, width]` at each site.
type Cells = dyn Fn(&[SiteName], &[Array2<f32>]) -> Vec<Change<'static>>;

/// What is swept, and how much memory it may take.
pub struct Sweep {
    pub pairs: Vec<TwoPrompts>,
    /// Layers, from the first; all if absent.
    pub layers: Option<usize>,
    /// Bytes.
    pub budget: usize,
    /// Tokens of the only pair of the first, untimed run; the whole sweep if absent.
    pub warm_up: Option<usize>,
    /// Block by block, with what lies between the blocks there; the cheaper way by Candor's own choice if absent.
    pub memory: Option<Memory>,
}

/// What runs the rows, and why that.
struct Engine {
    runs: Way,
    why: String,
}

enum Way {
    Chosen(Box<dyn Runs>),
    Blocks(Box<Blockwise>),
}

impl Engine {
    fn open(
        runtime: &Runtime,
        model: &Model,
        arch: &Architecture,
        sites: &[SiteName],
        sizes: &Sizes,
        sweep: &Sweep,
    ) -> Result<Self> {
        let budget = sweep.budget;
        if let Some(memory) = sweep.memory {
            let blocks = Blockwise::open_in(runtime, model, arch, budget, memory)?;
            blocks.reaches(sites)?;
            return Ok(Self {
                runs: Way::Blocks(Box::new(blocks)),
                why: format!("block by block in the memory of the {memory:?}").to_lowercase(),
            });
        }
        let (engine, choice) = open(runtime, model, arch, sites, sizes, budget)?;
        Ok(Self {
            runs: Way::Chosen(engine),
            why: format!("{}: {}", choice.way, choice.why),
        })
    }

    fn runs(&self) -> &dyn Runs {
        match &self.runs {
            Way::Chosen(engine) => engine.as_ref(),
            Way::Blocks(blocks) => blocks.as_ref(),
        }
    }

    fn traffic(&self) -> Option<Traffic> {
        match &self.runs {
            Way::Chosen(_) => None,
            Way::Blocks(blocks) => blocks.blocks().traffic(),
        }
    }
}

/// Every position of `hook_resid_pre`; metric of each pair by layer, then position.
pub fn resid_pre(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    sweep: Sweep,
) -> Result<Opened> {
    let sites = sites(arch, Point::ResidPre, sweep.layers);
    let mut sizes = Sizes::default();
    for pair in &sweep.pairs {
        sizes.prompt(arch, pair.clean.len());
        sizes.prompt(arch, pair.clean.len());
        for layer in 0..sites.len() {
            for position in 0..pair.clean.len() {
                sizes.add(arch, 1, pair.clean.len(), layer, position);
            }
        }
    }
    let cells = |sites: &[SiteName], clean: &[Array2<f32>]| {
        let of_site = |(site, clean): (&SiteName, &Array2<f32>)| -> Vec<Change<'static>> {
            let rows = clean.outer_iter().enumerate();
            rows.map(|(position, row)| {
                let values = row.to_owned().insert_axis(ndarray::Axis(0));
                Change::at(*site, position, To::Values(values))
            })
            .collect()
        };
        sites.iter().zip(clean).flat_map(of_site).collect()
    };
    let engine = Engine::open(runtime, model, arch, &sites, &sizes, &sweep)?;
    work(engine, sweep, sites, Box::new(cells))
}

/// Every head, written at all positions; metric of each pair by layer, then head.
pub fn heads(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    sweep: Sweep,
) -> Result<Opened> {
    let sites = sites(arch, Point::HookZ, sweep.layers);
    let n_heads = arch
        .n_heads
        .ok_or_else(|| Fault::usage("loading", "a model whose heads cannot be told apart"))?;
    let mut sizes = Sizes::default();
    for pair in &sweep.pairs {
        let seq = pair.clean.len();
        let first = pair
            .clean
            .iter()
            .zip(&pair.corrupt)
            .position(|(a, b)| a != b);
        sizes.prompt(arch, seq);
        sizes.prompt(arch, seq);
        for layer in 0..sites.len() {
            sizes.add(arch, n_heads, seq, layer, first.unwrap_or(seq));
        }
    }
    let cells = move |sites: &[SiteName], clean: &[Array2<f32>]| {
        let mut cells = Vec::new();
        for (site, clean) in sites.iter().zip(clean) {
            let d_head = clean.ncols() / n_heads;
            cells.extend((0..n_heads).map(|head| {
                Change {
                    site: *site,
                    positions: (0..clean.nrows()).collect(),
                    heads: Some(vec![head]),
                    to: To::Values(
                        clean
                            .slice(s![.., head * d_head..(head + 1) * d_head])
                            .to_owned(),
                    ),
                }
            }));
        }
        cells
    };
    let engine = Engine::open(runtime, model, arch, &sites, &sizes, &sweep)?;
    work(engine, sweep, sites, Box::new(cells))
}

fn sites(arch: &Architecture, point: Point, layers: Option<usize>) -> Vec<SiteName> {
    let layers = layers.unwrap_or(arch.n_layers).min(arch.n_layers);
    (0..layers)
        .map(|layer| SiteName::block(layer, point))
        .collect()
}

fn work(engine: Engine, sweep: Sweep, sites: Vec<SiteName>, cells: Box<Cells>) -> Result<Opened> {
    let why = engine.why.clone();
    let run = move |pairs: &[TwoPrompts]| {
        let before = engine.traffic();
        let clean: Vec<&[i64]> = pairs.iter().map(|pair| pair.clean.as_slice()).collect();
        let clean = engine.runs().plain_activations(&clean, &sites)?;
        let mut rows = Vec::new();
        for (pair, clean) in pairs.iter().zip(&clean) {
            let last = pair.corrupt.len() - 1;
            let cells = cells(&sites, clean).into_iter();
            rows.extend(cells.map(|cell| Row::with(&pair.corrupt, cell, last)));
        }
        let per_pair = rows.len() / pairs.len();
        let mut metric = vec![0.0; rows.len()];
        // The answer and the foil of each pair.
        let chosen: Vec<usize> = pairs
            .iter()
            .flat_map(|pair| [pair.answer, pair.foil])
            .collect();
        let runs = engine.runs();
        runs.each_of(&rows, &chosen, &mut |row, _, logits| {
            let answer = 2 * (row / per_pair);
            metric[row] = logit_difference(logits, answer, answer + 1);
            Ok(())
        })?;
        let mut values = Values::from([("metric", metric)]);
        if let (Some(before), Some(after)) = (before, engine.traffic()) {
            let moved = [
                after.written - before.written,
                after.read - before.read,
                after.indices - before.indices,
            ];
            values.insert("traffic", moved.map(f64_of).into());
        }
        Ok(values)
    };
    let first: Vec<TwoPrompts> = match sweep.warm_up {
        Some(tokens) => sweep
            .pairs
            .iter()
            .take(1)
            .map(|pair| pair.last(tokens))
            .collect(),
        None => sweep.pairs.clone(),
    };
    run(&first)?;
    let work: Work = Box::new(move || run(&sweep.pairs));
    Ok((work, Some(why)))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "far fewer bytes than 2^52 are moved"
)]
fn f64_of(bytes: u64) -> f64 {
    bytes as f64
}
