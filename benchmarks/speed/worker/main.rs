//! Candor's side of the benchmark: stays alive, reads one request a line (JSON), answers with one line.
//!
//! `load` prepares a measure and is not timed; each `run` does it once and says how long it took and what came out. See `README.md`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "answers are lines on standard output; a benchmark may stop"
)]

mod forward;
mod sweep;

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, Write as _};
use std::path::PathBuf;
use std::time::Instant;

use candor::causal::DEFAULT_BUDGET;
use candor::fault::{Fault, Result};
use candor::model::{Architecture, Model};
use candor::run::{Memory, Provider, Runtime, RuntimeOptions};
use serde::Deserialize;
use serde_json::{Value, json};
use sweep::Sweep;

/// One line of standard input.
#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
enum Request {
    Load(Box<Load>),
    Run,
    /// Makes the kernel forget the peak so far.
    Forget,
}

/// What to prepare.
#[derive(Deserialize)]
struct Load {
    measure: Measure,
    /// Folder with `model.onnx`.
    model: PathBuf,
    #[serde(default)]
    runtime: Option<PathBuf>,
    #[serde(default)]
    threads: Option<usize>,
    #[serde(default)]
    cuda: bool,
    /// Of the forward measures, `[batch][seq]`.
    #[serde(default)]
    ids: Vec<Vec<i64>>,
    /// Of the sweeps.
    #[serde(default)]
    pairs: Vec<TwoPrompts>,
    /// Layers that are swept; all if absent.
    #[serde(default)]
    layers: Option<usize>,
    /// Bytes of the sweep's activations; Candor's own if absent.
    #[serde(default)]
    budget: Option<usize>,
    /// Tokens of the first, untimed run where memory is measured.
    #[serde(default)]
    warm_up: Option<usize>,
    /// Of the sweeps: block by block, with activations on the host or on the device, whatever would be chosen.
    #[serde(default)]
    memory: Option<Lies>,
    /// Folder of the SAE, for `detectors`.
    #[serde(default)]
    sae: Option<PathBuf>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Lies {
    Host,
    Device,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum Measure {
    /// One forward pass, logits at every token.
    Forward,
    /// The same with a probe and 64 SAE features at every layer.
    Detectors,
    /// Every layer and position of the stream before a block.
    ResidPre,
    /// Every head at all positions.
    Heads,
}

/// Prompts of equal length and the two tokens whose logits are compared at the last position.
#[derive(Deserialize, Clone)]
struct TwoPrompts {
    clean: Vec<i64>,
    corrupt: Vec<i64>,
    answer: usize,
    foil: usize,
}

impl TwoPrompts {
    /// The same pair, of its last tokens.
    fn last(&self, tokens: usize) -> Self {
        let last = |ids: &[i64]| ids[ids.len().saturating_sub(tokens)..].to_vec();
        Self {
            clean: last(&self.clean),
            corrupt: last(&self.corrupt),
            ..*self
        }
    }
}

/// Something that can be done again and again; gives numbers by name, to compare with other contenders'.
type Work = Box<dyn Fn() -> Result<Values>>;
/// With how it is done, where that is chosen.
type Opened = (Work, Option<String>);
type Values = BTreeMap<&'static str, Vec<f64>>;

fn main() -> Result<()> {
    let mut work: Option<Work> = None;
    for line in io::stdin().lock().lines() {
        let line = line.map_err(|error| Fault::failed("reading a request", error.to_string()))?;
        let answer = match serde_json::from_str(&line) {
            Ok(request) => answer(request, &mut work),
            Err(error) => Err(Fault::usage("reading a request", error.to_string())),
        };
        let answer = answer.unwrap_or_else(|fault| json!({ "error": fault.to_string() }));
        println!("{answer}");
        io::stdout().flush().unwrap();
    }
    Ok(())
}

fn answer(request: Request, work: &mut Option<Work>) -> Result<Value> {
    match request {
        Request::Load(load) => {
            let (runtime, (prepared, way)) = prepare(*load)?;
            *work = Some(prepared);
            Ok(json!({
                "versions": { "candor": env!("CARGO_PKG_VERSION"), "onnxruntime": runtime.version() },
                "threads": runtime.threads(),
                "way": way,
                "peak": peak(),
            }))
        }
        Request::Run => {
            let work = work
                .as_ref()
                .ok_or_else(|| Fault::usage("running", "nothing was loaded"))?;
            let start = Instant::now();
            let values = work()?;
            let seconds = start.elapsed().as_secs_f64();
            Ok(json!({ "seconds": seconds, "values": values, "peak": peak() }))
        }
        Request::Forget => {
            // 5 resets the peak resident set size, since Linux 4.0.
            let _ = std::fs::write("/proc/self/clear_refs", "5");
            Ok(json!({ "peak": peak() }))
        }
    }
}

fn prepare(load: Load) -> Result<(Runtime, Opened)> {
    let options = RuntimeOptions {
        path: load.runtime.clone(),
        offline: load.runtime.is_some(),
        provider: if load.cuda {
            Provider::Cuda
        } else {
            Provider::Cpu
        },
        threads: load.threads,
    };
    let runtime = Runtime::obtain(&options, &mut |line| eprintln!("{line}"))?;
    let model = Model::open(&load.model.join("model.onnx"))?;
    let arch = Architecture::find(&model)?;
    let sweep = Sweep {
        pairs: load.pairs,
        layers: load.layers,
        budget: load.budget.unwrap_or(DEFAULT_BUDGET),
        warm_up: load.warm_up,
        memory: load.memory.map(|memory| match memory {
            Lies::Host => Memory::Host,
            Lies::Device => Memory::Device,
        }),
    };
    let opened = match load.measure {
        Measure::Forward => forward::plain(&runtime, &model, &arch, load.ids)?,
        Measure::Detectors => forward::detectors(&runtime, &model, &arch, load.ids, load.sae)?,
        Measure::ResidPre => sweep::resid_pre(&runtime, &model, &arch, sweep)?,
        Measure::Heads => sweep::heads(&runtime, &model, &arch, sweep)?,
    };
    Ok((runtime, opened))
}

/// Largest resident set so far in bytes, or since it was forgotten; `None` off Linux.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib << 10)
}
