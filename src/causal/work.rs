//! The rows of a sweep: plain runs, edits, random edits and self-patches of some pairs.

use std::collections::BTreeMap;
use std::ops::Range;

use ndarray::{Array1, Array2, Array3, ArrayView1, s};

use super::grid::{By, Cell};
use super::intervention::{Donor, Intervention, sides};
use super::measure::Question;
use super::pair::Pair;
use super::patch::is_stream;
use super::queue::Queue;
use super::random::{norm_matched, unit_directions};
use super::reading::{positions, questions};
use super::row::{Change, Row, Runs, To};
use super::sweep::{CellMap, Sweep, Swept};
use crate::evidence::{MIN_DENOMINATOR, PositionClass, Unmeasured};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Layout, SiteName};

/// The plain runs of some pairs.
pub(super) struct Work<'a> {
    runs: &'a dyn Runs,
    sweep: &'a Sweep<'a>,
    pairs: &'a [Pair],
    /// Index of the first pair.
    first: usize,
    sites: Vec<SiteName>,
    widths: Vec<usize>,
    /// Random directions of each length that cells have.
    directions: BTreeMap<usize, Vec<Array1<f32>>>,
    questions: Vec<Question>,
    at: Vec<Vec<usize>>,
    /// Clean and corrupt.
    ends: Vec<(f64, f64)>,
    /// Activations of the receiving and the other run, by pair and site.
    into: Vec<Vec<Array2<f32>>>,
    other: Vec<Vec<Array2<f32>>>,
}

/// What a row of the queue is.
#[derive(Clone, Copy)]
enum Slot {
    Cell(usize),
    Random(usize, usize),
    Own,
    Whole(usize),
    Class(usize, PositionClass),
}

impl<'a> Work<'a> {
    pub fn of(
        runs: &'a dyn Runs,
        sweep: &'a Sweep<'a>,
        pairs: &'a [Pair],
        first: usize,
    ) -> Result<Self> {
        let sites = sweep.grid.sites();
        let at: Vec<Vec<usize>> = pairs
            .iter()
            .map(|pair| positions(sweep.at.as_deref(), pair))
            .collect::<Result<_>>()?;
        let questions = questions(runs, sweep.metric, pairs, &at)?;
        let plain = |ids, at: &Vec<usize>| Row {
            read: at.clone(),
            ..Row::plain(ids)
        };
        let rows: Vec<Row<'_>> = pairs
            .iter()
            .zip(&at)
            .flat_map(|(pair, at)| [&pair.clean, &pair.corrupt].map(|side| plain(&side.ids, at)))
            .collect();
        let ends = sweep
            .metric
            .measure(runs, &rows, &questions, &|row| row / 2)?;
        let (into, other): (Vec<_>, Vec<_>) =
            pairs.iter().map(|pair| sides(pair, sweep.mode)).unzip();
        let into = runs.plain_activations(&into, &sites)?;
        let other = match sweep.intervention {
            Intervention::Patch => runs.plain_activations(&other, &sites)?,
            _ => vec![Vec::new(); pairs.len()],
        };
        for (site, there) in into.iter().flat_map(|into| sites.iter().zip(into)) {
            sweep.intervention.check(*site, there)?;
        }
        let widths = into.first().into_iter().flatten();
        let widths: Vec<usize> = widths.map(Array2::ncols).collect();
        Ok(Self {
            directions: directions(runs.arch(), sweep, &sites, &widths),
            widths,
            runs,
            sweep,
            pairs,
            first,
            sites,
            questions,
            at,
            ends: ends.chunks_exact(2).map(|two| (two[0], two[1])).collect(),
            into,
            other,
        })
    }

    pub fn run(&self, swept: &mut Swept) -> Result<()> {
        let mut maps: Vec<Option<CellMap>> = Vec::with_capacity(self.pairs.len());
        let mut queue = Queue::new(
            self.runs,
            self.sweep.metric,
            &self.questions,
            self.sweep.budget / 2,
            self.sweep.done,
        );
        for (index, pair) in self.pairs.iter().enumerate() {
            let (clean, corrupt) = self.ends[index];
            let gap = (clean - corrupt).abs();
            // Between runs that hardly differ there is nothing to patch, but still something to ablate.
            let too_near = gap < MIN_DENOMINATOR
                && self.sweep.metric.recovery().is_some()
                && matches!(self.sweep.intervention, Intervention::Patch);
            if too_near || !gap.is_finite() {
                swept.refused.push(Unmeasured {
                    what: format!("patching `{}`", pair.item),
                    why: format!(
                        "the clean and the corrupt run differ by {:.2e} {}: no recovery can be read from that",
                        clean - corrupt,
                        self.sweep.metric.unit()
                    ),
                });
                maps.push(None);
                continue;
            }
            maps.push(Some(self.empty(index)?));
            self.enqueue(index, pair, &mut queue, &mut maps)?;
        }
        queue.flush(&mut |index, slot, value| self.note(&mut maps, index, slot, value))?;
        for mut map in maps.into_iter().flatten() {
            let (clean, corrupt) = (map.clean, map.corrupt);
            let far = (clean - corrupt).abs() >= MIN_DENOMINATOR;
            if far && self.sweep.metric.recovery().is_some() {
                let recovery = |value: f64| (value - corrupt) / (clean - corrupt);
                map.recovery = Some(map.metric.mapv(recovery));
                map.whole = map.whole.iter().map(|whole| whole.map(recovery)).collect();
                for value in map.by_class.iter_mut().flatten() {
                    *value = value.map(recovery);
                }
            }
            swept.pairs.push(map);
        }
        Ok(())
    }

    fn empty(&self, index: usize) -> Result<CellMap> {
        let grid = self.sweep.grid;
        let columns = grid.columns(self.pairs[index].clean.ids.len())?;
        let dim = (grid.rows().len(), columns.len());
        let (clean, corrupt) = self.ends[index];
        Ok(CellMap {
            pair: self.first + index,
            metric: Array2::from_elem(dim, f64::NAN),
            random: Array3::from_elem((dim.0, dim.1, self.sweep.controls), f64::NAN),
            columns,
            at: self.at[index].clone(),
            clean,
            corrupt,
            recovery: None,
            self_patch: 0.0,
            whole: vec![None; dim.0],
            by_class: vec![[None; 3]; dim.0],
        })
    }

    fn note(&self, maps: &mut [Option<CellMap>], index: usize, slot: Slot, value: f64) {
        let Some(Some(map)) = maps.get_mut(index) else {
            return;
        };
        let n = map.columns.len().max(1);
        match slot {
            Slot::Cell(cell) => map.metric[[cell / n, cell % n]] = value,
            Slot::Random(cell, draw) => map.random[[cell / n, cell % n, draw]] = value,
            Slot::Own => {
                let off = (value - map.untouched(self.sweep.mode)).abs();
                // `max` would pass over a value that is not a number.
                map.self_patch = if off > map.self_patch || off.is_nan() {
                    off
                } else {
                    map.self_patch
                };
            }
            Slot::Whole(row) => map.whole[row] = Some(value),
            Slot::Class(row, class) => map.by_class[row][class as usize] = Some(value),
        }
    }

    /// All rows of one pair.
    fn enqueue<'q>(
        &'q self,
        index: usize,
        pair: &'q Pair,
        queue: &mut Queue<'q, Slot>,
        maps: &mut [Option<CellMap>],
    ) -> Result<()> {
        let (ids, _) = sides(pair, self.sweep.mode);
        let intervention = self.sweep.intervention;
        let donor = intervention.donor(
            self.runs,
            self.first + index,
            ids,
            &self.sites,
            &self.other[index],
        )?;
        let mut push = |slot: Slot, changes: Vec<Change<'q>>| {
            let row = Row {
                ids,
                changes,
                read: self.at[index].clone(),
            };
            queue.push(index, slot, row, &mut |index, slot, value| {
                self.note(maps, index, slot, value);
            })
        };
        let seq = ids.len();
        for (number, cell) in self.sweep.grid.cells(seq)?.iter().enumerate() {
            let to = |site, position| self.to(site, position, cell.head, donor.as_ref());
            push(Slot::Cell(number), cell.changes(to)?)?;
            for (draw, changes) in self.random(index, cell, donor.as_ref())? {
                push(Slot::Random(number, draw), changes)?;
            }
        }
        for (row, sites) in self.sweep.grid.rows().iter().enumerate() {
            let every = Cell {
                sites: sites.clone(),
                positions: (0..seq).collect(),
                head: None,
            };
            let own = every.changes(|site, position| {
                let own = self.there(index, site, position)?;
                Ok(To::Values(own.to_owned().insert_axis(ndarray::Axis(0))))
            })?;
            push(Slot::Own, own)?;
            let stream = sites.len() == 1 && sites.iter().all(|site| is_stream(*site));
            if stream && matches!(intervention, Intervention::Patch) {
                let to = |site, position| self.to(site, position, None, donor.as_ref());
                push(Slot::Whole(row), every.changes(to)?)?;
            }
            let classes = PositionClass::ALL.into_iter();
            for class in classes.filter(|_| self.sweep.by_class) {
                let positions = pair.positions_of(class);
                if positions.is_empty() {
                    continue;
                }
                let cell = Cell {
                    sites: sites.clone(),
                    positions,
                    head: None,
                };
                let to = |site, position| self.to(site, position, None, donor.as_ref());
                push(Slot::Class(row, class), cell.changes(to)?)?;
            }
        }
        Ok(())
    }

    fn to(
        &self,
        site: SiteName,
        position: usize,
        head: Option<usize>,
        donor: Option<&Donor>,
    ) -> Result<To<'a>> {
        let width = self.widths[self.at_site(site)?];
        let head = head.map(|head| columns_of(self.runs.arch(), site, head));
        let intervention = self.sweep.intervention;
        intervention.to(site, position, head, width, donor)
    }

    fn at_site(&self, site: SiteName) -> Result<usize> {
        let at = self.sites.iter().position(|other| *other == site);
        at.ok_or_else(|| Fault::failed("patching", format!("`{site}` was not read")))
    }

    /// What the receiving run has there before any edit.
    fn there(&self, index: usize, site: SiteName, position: usize) -> Result<ArrayView1<'_, f32>> {
        Ok(self.into[index][self.at_site(site)?].row(position))
    }

    /// The random edits of a cell: at each of its places a vector as long as what the real edit changes in the plain run, and
    /// orthogonal to it. None where the real edit changes nothing.
    fn random(
        &self,
        index: usize,
        cell: &Cell,
        donor: Option<&Donor>,
    ) -> Result<Vec<(usize, Vec<Change<'a>>)>> {
        let n = self.sweep.controls;
        let mut draws: Vec<Vec<Change<'a>>> = (0..n).map(|_| Vec::new()).collect();
        let mut moved = false;
        for &site in &cell.sites {
            let columns = match cell.head {
                Some(head) => columns_of(self.runs.arch(), site, head),
                None => 0..self.widths[self.at_site(site)?],
            };
            let Some(directions) = self.directions.get(&columns.len()) else {
                continue;
            };
            for &position in &cell.positions {
                let there = self.there(index, site, position)?;
                let there = there.slice(s![columns.clone()]);
                let to = self.to(site, position, cell.head, donor)?;
                let real: Array1<f32> = to.of(0, there) - there;
                let length = real.dot(&real).sqrt();
                if length <= NOTHING * there.dot(&there).sqrt() {
                    continue;
                }
                moved = true;
                for (changes, random) in draws.iter_mut().zip(norm_matched(directions, &real)) {
                    changes.push(Change {
                        heads: cell.head.map(|head| vec![head]),
                        ..Change::at(site, position, To::Add(random))
                    });
                }
            }
        }
        Ok(if moved {
            draws.into_iter().enumerate().collect()
        } else {
            Vec::new()
        })
    }
}

/// An edit shorter than this share of what is there is rounding: tokens before the first difference of two prompts.
const NOTHING: f32 = 1e-5;

/// The columns of a site that one head has.
fn columns_of(arch: &Architecture, site: SiteName, head: usize) -> Range<usize> {
    match arch.site(site).map(|site| site.layout) {
        Some(Layout::Heads { d_head, .. }) => head * d_head..(head + 1) * d_head,
        _ => 0..0,
    }
}

fn directions(
    arch: &Architecture,
    sweep: &Sweep<'_>,
    sites: &[SiteName],
    widths: &[usize],
) -> BTreeMap<usize, Vec<Array1<f32>>> {
    let mut all = BTreeMap::new();
    for (&site, &width) in sites.iter().zip(widths).filter(|_| sweep.controls > 0) {
        let length = match sweep.grid.by() {
            By::Head => columns_of(arch, site, 0).len(),
            _ => width,
        };
        all.entry(length)
            .or_insert_with(|| unit_directions(sweep.controls, length, sweep.seed));
    }
    all
}
