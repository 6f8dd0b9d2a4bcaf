//! The report of a probe at the terminal.

use std::path::Path;

use crate::cli::inspect::paint::{Line, Surface, Tone};
use crate::lab::{EstimateLine, TrainedProbe};

pub fn shown(trained: &TrainedProbe, _out: &Path) -> String {
    trained.report.verdict.clone()
}
