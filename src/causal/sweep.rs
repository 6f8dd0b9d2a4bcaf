//! One intervention at every cell of a map, over many pairs, with its controls in the same batches.

use ndarray::{Array2, Array3};

use super::grid::Grid;
use super::intervention::Intervention;
use super::measure::Metric;
use super::pair::{Pair, equal_length};
use super::row::Runs;
use super::work::Work;
use crate::evidence::{PatchMode, Unmeasured};
use crate::fault::Result;
use crate::model::Layout;

/// What is swept.
pub struct Sweep<'a> {
    /// Rows and columns.
    pub grid: &'a Grid,
    /// What is done at each cell.
    pub intervention: &'a Intervention<'a>,
    /// Which of a pair's two runs receives it.
    pub mode: PatchMode,
    /// What is read.
    pub metric: &'a Metric<'a>,
    /// Positions that the metric reads, or the last one.
    pub at: Option<Vec<usize>>,
    /// Random edits for each cell.
    pub controls: usize,
    /// Seeds the random edits.
    pub seed: u64,
    /// Whether every class of positions is also patched at once.
    pub by_class: bool,
    /// What the activations of plain runs and of waiting rows may take, in bytes; those of one pair are always held.
    pub budget: usize,
    /// Hears how many more rows have run.
    pub done: &'a dyn Fn(usize),
}

/// What a sweep found.
#[derive(Debug, Clone, Default)]
pub struct Swept {
    /// One map for each pair.
    pub pairs: Vec<CellMap>,
    /// Pairs that were not used, with the reason.
    pub refused: Vec<Unmeasured>,
}

/// The map of one pair.
#[derive(Debug, Clone)]
pub struct CellMap {
    /// Index of the pair.
    pub pair: usize,
    /// The heads or positions that the columns are.
    pub columns: Vec<usize>,
    /// Positions that the metric was read at.
    pub at: Vec<usize>,
    /// The metric of the clean run.
    pub clean: f64,
    /// The metric of the corrupt run.
    pub corrupt: f64,
    /// The metric after each edit, `[row, column]`.
    pub metric: Array2<f64>,
    /// `(metric − corrupt)/(clean − corrupt)`, unclipped; `None` for a metric without a recovery, and where the two runs differ by
    /// less than [`MIN_DENOMINATOR`](crate::evidence::MIN_DENOMINATOR).
    pub recovery: Option<Array2<f64>>,
    /// The metric after each random edit, `[row, column, control]`; NaN where the real edit changes nothing, so that none has
    /// its length. Empty without controls.
    pub random: Array3<f64>,
    /// Largest absolute change of the metric when a run's own activations are written back: must be about 0.
    pub self_patch: f64,
    /// For a patch of single sites of the stream, the recovery (the metric, where there is none) when every position of a row's
    /// site is patched at once: 1 in a denoising map and 0 in a noising one if what follows hangs on the stream alone.
    pub whole: Vec<Option<f64>>,
    /// The recovery (the metric, where there is none) when all positions of a class are patched at once, for each row those of
    /// [`PositionClass::ALL`](crate::evidence::PositionClass::ALL); `None` where that was not asked for, and where a prompt has none of them.
    pub by_class: Vec<[Option<f64>; 3]>,
}

impl CellMap {
    /// The metric of the run that receives the edits, before them.
    #[must_use]
    pub fn untouched(&self, mode: PatchMode) -> f64 {
        match mode {
            PatchMode::Denoising => self.corrupt,
            PatchMode::Noising => self.clean,
        }
    }
}

/// Sweeps a map over pairs. Pairs whose runs differ by less than [`MIN_DENOMINATOR`](crate::evidence::MIN_DENOMINATOR) in the metric are refused
/// and listed where one is patched into the other and the metric has a recovery; other interventions are made and have none.
///
/// # Errors
/// Prompts of unequal length, a position that a prompt lacks, an intervention that does not fit a site, or a failed run.
pub fn sweep(runs: &dyn Runs, pairs: &[Pair], sweep: &Sweep<'_>) -> Result<Swept> {
    let mut swept = Swept::default();
    for pair in pairs {
        let named = (pair.counterpart.as_str(), &pair.clean);
        equal_length(named, (pair.item.as_str(), &pair.corrupt))?;
    }
    let mut first = 0;
    while let Some(rest) = pairs.get(first..).filter(|rest| !rest.is_empty()) {
        let some = &rest[..at_once(runs, rest, sweep)];
        Work::of(runs, sweep, some, first)?.run(&mut swept)?;
        first += some.len();
    }
    Ok(swept)
}

/// How many of the next pairs have activations within half of the budget: at least one.
fn at_once(runs: &dyn Runs, pairs: &[Pair], sweep: &Sweep<'_>) -> usize {
    let layouts = sweep.grid.sites().into_iter();
    let layouts: Vec<Layout> = layouts
        .filter_map(|site| runs.arch().site(site).map(|site| site.layout))
        .collect();
    let mut bytes = 0_usize;
    let fits = pairs.iter().take_while(|pair| {
        let seq = pair.clean.ids.len();
        let width = layouts.iter().map(|layout| match layout {
            Layout::Pattern { heads } => heads.saturating_mul(seq),
            fixed => fixed.per_position().unwrap_or(0),
        });
        let both = 2 * size_of::<f32>() * seq * width.sum::<usize>();
        bytes = bytes.saturating_add(both);
        bytes <= sweep.budget / 2
    });
    fits.count().max(1)
}
