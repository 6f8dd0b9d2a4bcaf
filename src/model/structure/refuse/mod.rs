//! What a graph seems to be in which no residual stream was found, and what to do about it.
//!
//! Nothing here keeps a model from an audit: it speaks only after the search has failed, and adds to the place where the
//! chain broke. What it says is read from operators, inputs and the flow of data between them.

mod around;
mod census;
mod kinds;

use super::super::index::GraphIndex;
use super::reach::Reach;
use crate::fault::Fault;
use census::Census;

/// A guess with its grounds.
struct Guess {
    what: String,
    advice: &'static str,
}

impl Guess {
    fn new(what: impl Into<String>, advice: &'static str) -> Self {
        Self {
            what: what.into(),
            advice,
        }
    }
}

/// Adds to the fault of a failed search what the graph seems to be.
pub(super) fn explain(index: &GraphIndex<'_>, fault: Fault) -> Fault {
    let reach = Reach::new(index);
    let census = Census::of(&reach);
    let checks = [
        around::generation_loop,
        around::training,
        around::pipeline,
        around::bodies,
        around::quantised,
        kinds::two_streams,
        kinds::senses,
        kinds::recurrence,
        kinds::embeddings,
        kinds::outputs,
        kinds::no_language,
    ];
    match checks.iter().find_map(|check| check(&census)) {
        None => fault,
        Some(guess) => Fault {
            found: format!("{}; {}", guess.what, fault.found),
            hint: guess.advice.into(),
            ..fault
        },
    }
}

fn place(census: &Census<'_, '_, '_>, node: usize) -> String {
    census.reach.index.describe(node)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::print_stdout, reason = "a test says what it skips")]

    use std::path::{Path, PathBuf};

    use super::super::super::file::Model;
    use super::super::super::onnx::NodeProto;
    use super::*;

    /// Of an ordinary decoder nothing is said but where the chain broke, whatever broke it.
    #[test]
    fn an_ordinary_decoder_seems_to_be_nothing_else() -> Result<(), Box<dyn std::error::Error>> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let extra = std::env::var_os("CANDOR_DECODERS").map(PathBuf::from);
        let here = root.join("tests/fixtures/export/models");
        for folder in [Some(here), Some(root.join("../shared/zoo")), extra]
            .into_iter()
            .flatten()
        {
            let Ok(models) = std::fs::read_dir(&folder) else {
                println!("skipped: {} is not here", folder.display());
                continue;
            };
            for model in models {
                let path = model?.path().join("model.onnx");
                if !path.is_file() || path.to_string_lossy().contains(".refused") {
                    continue;
                }
                let model = Model::open(&path)?;
                let index = GraphIndex::new(model.graph())?;
                let mut ops = model.graph().node.iter().map(NodeProto::op_type);
                if ops.any(|op| op.starts_with("QLinear")) {
                    continue;
                }
                let fault = Fault::usage("finding", "a break");
                assert_eq!(explain(&index, fault.clone()), fault, "{}", path.display());
            }
        }
        Ok(())
    }
}
