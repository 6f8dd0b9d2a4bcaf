//! Changes that need to know what is there, on an engine that can only write what is known beforehand: the run is made once
//! for each such place to read it, with everything before it already changed.

use ndarray::{Array1, Array2, Axis};

use super::engine::{Engine, Port};
use super::row::{Change, Row, Runs as _, To};
use super::rows::Fixed;
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Layout, SiteName};

/// A pass whose changes are all known.
pub(super) struct Pass<'a> {
    pub ids: &'a [i64],
    pub fixed: Vec<Fixed>,
}

impl<'a> Pass<'a> {
    pub fn plain(ids: &'a [i64]) -> Self {
        Self {
            ids,
            fixed: Vec::new(),
        }
    }
}

/// A row on its way: the changes of each place in the order of the model, and what is known so far.
struct Pending<'r> {
    pass: Pass<'r>,
    places: std::vec::IntoIter<Vec<&'r Change<'r>>>,
    /// The place that has to be read next.
    waits: Option<Vec<&'r Change<'r>>>,
}

/// The passes that make the rows.
pub(super) fn passes<'r>(engine: &Engine, rows: &'r [Row<'r>]) -> Result<Vec<Pass<'r>>> {
    let arch = engine.arch();
    let mut pending = Vec::with_capacity(rows.len());
    for row in rows {
        row.check(arch)?;
        let mut one = Pending {
            pass: Pass::plain(row.ids),
            places: places(arch, &row.changes).into_iter(),
            waits: None,
        };
        one.advance(engine)?;
        pending.push(one);
    }
    while pending.iter().any(|one| one.waits.is_some()) {
        read(engine, &mut pending)?;
    }
    Ok(pending.into_iter().map(|one| one.pass).collect())
}

/// Changes by place, in the order of the model: sites that share a tensor are one place.
fn places<'r>(arch: &Architecture, changes: &'r [Change<'r>]) -> Vec<Vec<&'r Change<'r>>> {
    let mut places: Vec<(usize, Vec<&Change<'_>>)> = Vec::new();
    for change in changes {
        let rank = rank(arch, change.site);
        match places.iter_mut().find(|(other, _)| *other == rank) {
            Some((_, changes)) => changes.push(change),
            None => places.push((rank, vec![change])),
        }
    }
    places.sort_by_key(|(rank, _)| *rank);
    places.into_iter().map(|(_, changes)| changes).collect()
}

fn rank(arch: &Architecture, site: SiteName) -> usize {
    let own = arch.site(site);
    let same = |other: &crate::model::Site| own.is_some_and(|own| own.tensor == other.tensor);
    arch.sites.iter().position(same).unwrap_or(usize::MAX)
}

impl Pending<'_> {
    /// Fixes every place up to the next one that has to be read.
    fn advance(&mut self, engine: &Engine) -> Result<()> {
        self.waits = None;
        for place in self.places.by_ref() {
            let port = port(engine, &place)?;
            let known = place.iter().map(|change| match &change.to {
                To::Values(values) => Some(Fixed {
                    port,
                    positions: change.positions.clone(),
                    heads: change.heads.clone(),
                    values: values.clone(),
                }),
                _ => None,
            });
            let Some(fixed) = known.collect::<Option<Vec<Fixed>>>() else {
                self.waits = Some(place);
                break;
            };
            self.pass.fixed.extend(fixed);
        }
        Ok(())
    }
}

/// Reads what waiting rows need, changes it, and moves these rows on.
fn read(engine: &Engine, pending: &mut [Pending<'_>]) -> Result<()> {
    let mut sites: Vec<SiteName> = Vec::new();
    let mut runs: Vec<(usize, Vec<usize>)> = Vec::new();
    for (index, one) in pending.iter().enumerate() {
        let Some(site) = one.waits.as_ref().and_then(|place| place.first()) else {
            continue;
        };
        if !sites.contains(&site.site) {
            sites.push(site.site);
        }
        // Rows that have not been changed yet are one and the same run.
        let plain = one.pass.fixed.is_empty();
        let same = runs.iter_mut().find(|(first, _)| {
            let first = &pending[*first].pass;
            plain && first.fixed.is_empty() && first.ids == one.pass.ids
        });
        match same {
            Some((_, rows)) => rows.push(index),
            None => runs.push((index, vec![index])),
        }
    }
    let ports: Vec<&Port> = sites
        .iter()
        .map(|&site| engine.tap(site))
        .collect::<Result<_>>()?;
    let passes: Vec<Pass<'_>> = runs
        .iter()
        .map(|(first, _)| Pass {
            ids: pending[*first].pass.ids,
            fixed: pending[*first].pass.fixed.clone(),
        })
        .collect();
    let mut made: Vec<(usize, Fixed)> = Vec::new();
    engine.pass(&passes, &ports, &mut |run, port, values| {
        for &row in &runs[run].1 {
            if let Some(place) = &pending[row].waits
                && place.first().map(|change| change.site) == Some(sites[port])
            {
                made.push((row, changed(engine, place, &values)?));
            }
        }
        Ok(())
    })?;
    for (row, fixed) in made {
        pending[row].pass.fixed.push(fixed);
        pending[row].advance(engine)?;
    }
    Ok(())
}

/// The write of a place: sites that share a tensor are written as one, in the order of the changes.
fn port(engine: &Engine, place: &[&Change<'_>]) -> Result<usize> {
    let mut refused = Fault::failed("patching", "a place without a change");
    for change in place {
        match engine.write(change.site) {
            Ok(port) => return Ok(port),
            Err(fault) => refused = fault,
        }
    }
    Err(refused)
}

/// What the changes of one place, in their order, make of what is there (`[seq, width]`).
fn changed(engine: &Engine, place: &[&Change<'_>], there: &Array2<f32>) -> Result<Fixed> {
    let mut positions: Vec<usize> = Vec::new();
    let mut values: Vec<Array1<f32>> = Vec::new();
    for change in place {
        let d_head = match engine.arch().site(change.site).map(|site| site.layout) {
            Some(Layout::Heads { d_head, .. }) => d_head,
            _ => 0,
        };
        for (entry, &position) in change.positions.iter().enumerate() {
            let at = positions.iter().position(|one| *one == position);
            let at = at.unwrap_or_else(|| {
                positions.push(position);
                values.push(there.row(position).to_owned());
                positions.len() - 1
            });
            apply(change, entry, &mut values[at], d_head)?;
        }
    }
    let rows: Vec<_> = values.iter().map(|x| x.view()).collect();
    let values = ndarray::stack(Axis(0), &rows)
        .map_err(|error| Fault::failed("changing an activation", error.to_string()))?;
    Ok(Fixed {
        port: port(engine, place)?,
        positions,
        heads: None,
        values,
    })
}

/// Changes one position's values, or those of the heads that the change names.
pub(super) fn apply(
    change: &Change<'_>,
    entry: usize,
    x: &mut Array1<f32>,
    d_head: usize,
) -> Result<()> {
    let columns: Vec<usize> = match &change.heads {
        None => (0..x.len()).collect(),
        Some(heads) => heads
            .iter()
            .flat_map(|head| head * d_head..(head + 1) * d_head)
            .collect(),
    };
    let after = change.to.of(entry, x.select(Axis(0), &columns).view());
    if after.len() != columns.len() {
        return Err(Fault::failed(
            format!("changing `{}`", change.site),
            format!("{} values", after.len()),
        )
        .expected(format!("{}, as many as there were", columns.len())));
    }
    for (column, value) in columns.into_iter().zip(after) {
        x[column] = value;
    }
    Ok(())
}
