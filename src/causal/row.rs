//! Rows: forward passes with changes, and whoever runs them.

use std::collections::HashSet;

use ndarray::{Array1, Array2, ArrayView1, Axis};

use crate::fault::{Fault, Result};
use crate::model::{Architecture, Layout, SiteName};

/// One forward pass.
pub struct Row<'a> {
    /// Token ids `[seq]`.
    pub ids: &'a [i64],
    /// What is changed on the way; nothing in a plain pass. Changes apply in the order of the model, those of one place in
    /// the order of this list.
    pub changes: Vec<Change<'a>>,
    /// Positions that are read.
    pub read: Vec<usize>,
}

/// What becomes of one site at some positions.
pub struct Change<'a> {
    /// Which site.
    pub site: SiteName,
    /// At which positions, none of them twice.
    pub positions: Vec<usize>,
    /// For `hook_z` only: the heads that are changed, none of them twice; `None` for all.
    pub heads: Option<Vec<usize>>,
    /// What is put there.
    pub to: To<'a>,
}

/// What is put in the place of an activation. "What is there" is the value of that very run, after earlier changes took
/// effect.
pub enum To<'a> {
    /// Given activations, one row for each entry of `positions`: `[positions, width]`, or
    /// `[positions, heads.len()·d_head]` where heads are named.
    Values(Array2<f32>),
    /// Added to what is there: `[width]`.
    Add(Array1<f32>),
    /// The component along a unit direction becomes `target`: `x − ((x·v) − target)·v`.
    Project {
        /// `v` `[width]`, of length 1.
        direction: Array1<f32>,
        /// The component afterwards.
        target: f32,
    },
    /// Any function of what is there, of one position at a time: `[width] → [width]`.
    Map(&'a (dyn Fn(ArrayView1<f32>) -> Array1<f32> + Sync)),
}

/// Sees the index of a row, a position that the row reads, and its logits `[vocab]`.
pub type SeeLogits<'v> = dyn FnMut(usize, usize, ArrayView1<f32>) -> Result<()> + 'v;

/// Sees the index of a row, the index of a site, a position that the row reads, and the activation `[width]`.
pub type SeeActivation<'v> = dyn FnMut(usize, usize, usize, ArrayView1<f32>) -> Result<()> + 'v;

/// Whoever runs rows.
pub trait Runs {
    /// The architecture of the model that is run.
    fn arch(&self) -> &Architecture;

    /// Shows the logits of every row at each of its `read` positions, in any order.
    ///
    /// # Errors
    /// A site that cannot be changed, a position or head that is not there, values of another shape, or a failed run.
    fn each_logits(&self, rows: &[Row<'_>], see: &mut SeeLogits<'_>) -> Result<()>;

    /// As [`Runs::each_logits`], of the tokens `chosen` alone, `[chosen]` in that order: cheaper where the unembedding need not be
    /// computed for others.
    ///
    /// # Errors
    /// As [`Runs::each_logits`], and a token outside the vocabulary.
    fn each_of(&self, rows: &[Row<'_>], chosen: &[usize], see: &mut SeeLogits<'_>) -> Result<()> {
        let vocab = self.arch().vocab_size;
        if let Some(id) = chosen.iter().find(|id| **id >= vocab) {
            return Err(Fault::usage("reading logits", format!("token id {id}"))
                .expected(format!("an id below {vocab}, the model's vocabulary")));
        }
        self.each_logits(rows, &mut |row, position, logits| {
            see(row, position, logits.select(Axis(0), chosen).view())
        })
    }

    /// Shows what `sites` hold at each of the `read` positions of every row, in any order: after the row's changes, those
    /// at the site itself included. Plain activations are those of rows without changes.
    ///
    /// `hook_z` has the heads of a position side by side, `head × d_head`; `hook_pattern` the weights of that query,
    /// `head × key`.
    ///
    /// # Errors
    /// A site that cannot be read, or as [`Runs::each_logits`].
    fn each_activation(
        &self,
        rows: &[Row<'_>],
        sites: &[SiteName],
        see: &mut SeeActivation<'_>,
    ) -> Result<()>;

    /// The logits `[read, vocab]` of every row.
    ///
    /// # Errors
    /// As [`Runs::each_logits`].
    fn logits(&self, rows: &[Row<'_>]) -> Result<Vec<Array2<f32>>> {
        let mut all: Vec<Array2<f32>> = vec![Array2::zeros((0, 0)); rows.len()];
        self.each_logits(rows, &mut |row, position, logits| {
            if let (Some(all), Some(row)) = (all.get_mut(row), rows.get(row)) {
                place(all, &row.read, position, logits);
            }
            Ok(())
        })?;
        Ok(all)
    }

    /// Plain activations `[seq, width]`: one list for each prompt, in the order of `sites`.
    ///
    /// # Errors
    /// As [`Runs::each_activation`].
    fn plain_activations(
        &self,
        prompts: &[&[i64]],
        sites: &[SiteName],
    ) -> Result<Vec<Vec<Array2<f32>>>> {
        let rows: Vec<Row<'_>> = prompts
            .iter()
            .map(|ids| Row {
                ids,
                changes: Vec::new(),
                read: (0..ids.len()).collect(),
            })
            .collect();
        let mut all: Vec<Vec<Array2<f32>>> =
            vec![vec![Array2::zeros((0, 0)); sites.len()]; prompts.len()];
        self.each_activation(&rows, sites, &mut |row, site, position, values| {
            let all = all.get_mut(row).and_then(|sites| sites.get_mut(site));
            if let (Some(all), Some(row)) = (all, rows.get(row)) {
                place(all, &row.read, position, values);
            }
            Ok(())
        })?;
        Ok(all)
    }
}

/// Puts `values` into the row of `all` that belongs to `position`, giving `all` its size at the first of them.
fn place(all: &mut Array2<f32>, read: &[usize], position: usize, values: ArrayView1<f32>) {
    if all.dim() != (read.len(), values.len()) {
        *all = Array2::zeros((read.len(), values.len()));
    }
    let at = match read.get(position) {
        Some(one) if *one == position => Some(position),
        _ => read.iter().position(|one| *one == position),
    };
    if let Some(at) = at {
        all.row_mut(at).assign(&values);
    }
}

impl<'a> Row<'a> {
    /// An untouched pass, read at the last position.
    #[must_use]
    pub fn plain(ids: &'a [i64]) -> Self {
        Self {
            ids,
            changes: Vec::new(),
            read: vec![ids.len().saturating_sub(1)],
        }
    }

    /// A pass with one change, read at one position.
    #[must_use]
    pub fn with(ids: &'a [i64], change: Change<'a>, read: usize) -> Self {
        Self {
            ids,
            changes: vec![change],
            read: vec![read],
        }
    }

    /// How many numbers its changes hold.
    pub(super) fn floats(&self) -> usize {
        let held = self.changes.iter().map(|change| match &change.to {
            To::Values(values) => values.len(),
            To::Add(vector) => vector.len(),
            To::Project { direction, .. } => direction.len(),
            To::Map(_) => 0,
        });
        held.sum()
    }

    /// Whether every position lies within the prompt, every change fits its site, and every site is one of the model's.
    ///
    /// # Errors
    /// Usage, for the first thing that is wrong.
    pub fn check(&self, arch: &Architecture) -> Result<()> {
        let seq = self.ids.len();
        inside("reading a run", &self.read, seq, "position")?;
        self.changes
            .iter()
            .try_for_each(|change| change.check(arch, seq))
    }
}

impl<'a> Change<'a> {
    /// One site at one position.
    #[must_use]
    pub fn at(site: SiteName, position: usize, to: To<'a>) -> Self {
        Self {
            site,
            positions: vec![position],
            heads: None,
            to,
        }
    }

    fn check(&self, arch: &Architecture, seq: usize) -> Result<()> {
        let doing = format!("patching `{}`", self.site);
        let site = arch.site(self.site).ok_or_else(|| {
            let why = arch
                .why_absent(self.site)
                .unwrap_or("the model has no such site");
            Fault::usage(&doing, why).hint("`candor inspect MODEL` lists all sites")
        })?;
        inside(&doing, &self.positions, seq, "position")?;
        let width = match (site.layout, &self.heads) {
            (Layout::Heads { heads, d_head }, Some(some)) => {
                inside(&doing, some, heads, "head")?;
                some.len() * d_head
            }
            (Layout::Pattern { heads }, None) => heads * seq,
            (layout, None) => layout.per_position().unwrap_or(0),
            (_, Some(_)) => {
                return Err(Fault::usage(doing, "heads of a site that has none")
                    .expected("`attn.hook_z`, which lies head by head"));
            }
        };
        let found = match &self.to {
            To::Values(values) if values.dim() != (self.positions.len(), width) => {
                format!("values of shape {:?}", values.shape())
            }
            To::Add(delta) if delta.len() != width => format!("a vector of {}", delta.len()),
            To::Project { direction, .. } if direction.len() != width => {
                format!("a direction of {}", direction.len())
            }
            _ => return Ok(()),
        };
        let n = self.positions.len();
        Err(Fault::usage(doing, found).expected(format!("{width} values at each of {n} positions")))
    }
}

impl To<'_> {
    /// What becomes of `x` `[width]`, the `entry`-th of the change's positions.
    #[must_use]
    pub fn of(&self, entry: usize, x: ArrayView1<f32>) -> Array1<f32> {
        match self {
            Self::Values(values) => values
                .outer_iter()
                .nth(entry)
                .map_or_else(|| x.to_owned(), |row| row.to_owned()),
            Self::Add(delta) => &x + delta,
            Self::Project { direction, target } => {
                let excess = x.dot(direction) - target;
                &x - &(direction * excess)
            }
            Self::Map(function) => function(x),
        }
    }
}

/// Whether every one of `places` is below `end` and none is there twice.
fn inside(doing: &str, places: &[usize], end: usize, what: &str) -> Result<()> {
    let of = match what {
        "position" => "the prompt's length",
        _ => "the number of heads",
    };
    let mut seen = HashSet::with_capacity(places.len());
    for place in places {
        let found = match (*place < end, seen.insert(place)) {
            (false, _) => format!("{what} {place}"),
            (true, false) => format!("{what} {place} twice"),
            (true, true) => continue,
        };
        return Err(
            Fault::usage(doing, found).expected(format!("a {what} below {end}, {of}, once"))
        );
    }
    Ok(())
}
