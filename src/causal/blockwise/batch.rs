//! A batch on its way through the blocks: the plain runs of some prompts, and what differs from them in each row.

use ndarray::{Array1, Array2, ArrayView1};

use super::super::row::{Change, Row};
use crate::fault::{Fault, Result};

/// Rows of equal length with their prompts.
///
/// Everything that is held is a matrix of tokens: first those of every prompt's plain run, then for each row those in which it differs
/// from its prompt's.
pub(super) struct Batch<'r> {
    seq: usize,
    whole: bool,
    prompts: Vec<&'r [i64]>,
    rows: Vec<Member<'r>>,
    held: Vec<(String, Array2<f32>)>,
}

/// One row.
pub(super) struct Member<'r> {
    /// Its index among all rows.
    pub index: usize,
    pub row: &'r Row<'r>,
    prompt: usize,
    /// The positions in which it differs, in order.
    active: Vec<usize>,
    /// Where the first of them lies.
    start: usize,
}

impl<'r> Batch<'r> {
    /// `whole` lets a row that differs anywhere be computed at every position.
    pub fn new(seq: usize, whole: bool) -> Self {
        Self {
            seq,
            whole,
            prompts: Vec::new(),
            rows: Vec::new(),
            held: Vec::new(),
        }
    }

    pub fn add(&mut self, index: usize, row: &'r Row<'r>) {
        if self.prompts.last() != Some(&row.ids) {
            self.prompts.push(row.ids);
        }
        self.rows.push(Member {
            index,
            row,
            prompt: self.prompts.len() - 1,
            active: Vec::new(),
            start: 0,
        });
    }

    pub fn seq(&self) -> usize {
        self.seq
    }

    pub fn prompts(&self) -> &[&'r [i64]] {
        &self.prompts
    }

    pub fn rows(&self) -> &[Member<'r>] {
        &self.rows
    }

    /// Number of tokens held.
    pub fn tokens(&self) -> usize {
        self.plain() + self.rows.iter().map(|row| row.active.len()).sum::<usize>()
    }

    /// Number of tokens of the plain runs, which come first.
    pub fn plain(&self) -> usize {
        self.prompts.len() * self.seq
    }

    /// Token ids `[tokens, 1]`.
    pub fn ids(&self) -> Array2<i64> {
        let plain = self.prompts.iter().flat_map(|ids| ids.iter().copied());
        let differing = self.rows.iter().flat_map(|row| {
            let own = row.row.ids;
            row.active
                .iter()
                .filter_map(move |&position| own.get(position).copied())
        });
        let all: Vec<i64> = plain.chain(differing).collect();
        let tokens = all.len();
        Array2::from_shape_vec((tokens, 1), all).unwrap_or_default()
    }

    /// The rows that differ from their prompts anywhere.
    pub fn differing(&self) -> impl Iterator<Item = &Member<'r>> {
        self.rows.iter().filter(|row| !row.active.is_empty())
    }

    /// What is held under a name.
    pub fn held(&self, name: &str) -> Result<&Array2<f32>> {
        let held = self.held.iter().find(|(own, _)| own == name);
        held.map(|(_, values)| values)
            .ok_or_else(|| Fault::failed("running blocks", format!("nothing is held as `{name}`")))
    }

    pub fn hold(&mut self, name: &str, values: Array2<f32>) {
        self.held.retain(|(own, _)| own != name);
        self.held.push((name.to_owned(), values));
    }

    /// Lets go of everything but those names.
    pub fn keep(&mut self, names: &[&str]) {
        self.held.retain(|(own, _)| names.contains(&own.as_str()));
    }

    /// Lets each row differ at the positions that `of` gives for it, in order; its values at new ones are those of its prompt.
    pub fn reach(&mut self, of: impl Fn(&Member<'r>) -> Vec<usize>) {
        let next: Vec<Vec<usize>> = self.rows.iter().map(|row| self.all_or(of(row))).collect();
        if next
            .iter()
            .zip(&self.rows)
            .all(|(next, row)| *next == row.active)
        {
            return;
        }
        let mut from: Vec<usize> = (0..self.plain()).collect();
        for (row, next) in self.rows.iter().zip(&next) {
            from.extend(next.iter().map(|&position| row.place(position, self.seq)));
        }
        for (_, values) in &mut self.held {
            *values = gather(values, &from);
        }
        let mut start = self.plain();
        for (row, next) in self.rows.iter_mut().zip(next) {
            row.start = start;
            start += next.len();
            row.active = next;
        }
    }

    fn all_or(&self, positions: Vec<usize>) -> Vec<usize> {
        if self.whole && !positions.is_empty() {
            (0..self.seq).collect()
        } else {
            positions
        }
    }

    /// Applies changes to the sum of what is held under `names`; the first of these takes it up. `heads` is the width of a head.
    ///
    /// A change that puts there what is there already leaves its row as it was, to the last bit.
    pub fn apply<'c>(
        &mut self,
        names: &[String],
        changes: impl Fn(&Member<'r>) -> Vec<&'c Change<'r>>,
        d_head: usize,
        kept: impl Fn(&Member<'r>, usize) -> bool,
    ) -> Result<()>
    where
        'r: 'c,
    {
        let [first, others @ ..] = names else {
            return Err(Fault::failed("changing a site", "nothing is held there"));
        };
        let mut written: Vec<Vec<(usize, Array1<f32>)>> = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let mut own: Vec<(usize, Array1<f32>, Array1<f32>)> = Vec::new();
            for change in changes(row) {
                for (entry, &position) in change.positions.iter().enumerate() {
                    if !kept(row, position) {
                        continue;
                    }
                    let at = row.place(position, self.seq);
                    let known = own.iter().position(|(known, _, _)| *known == position);
                    let known = match known {
                        Some(known) => known,
                        None => {
                            let mut whole = self.held(first)?.row(at).to_owned();
                            for other in others {
                                whole += &self.held(other)?.row(at);
                            }
                            own.push((position, whole.clone(), whole));
                            own.len() - 1
                        }
                    };
                    if let Some((_, _, now)) = own.get_mut(known) {
                        *now = changed(change, entry, now.view(), d_head);
                    }
                }
            }
            let moved = own
                .into_iter()
                .filter(|(_, before, now)| !same(before.view(), now.view()));
            let moved = moved.map(|(position, before, now)| {
                (position, if others.is_empty() { now } else { now - before })
            });
            written.push(moved.collect());
        }
        let reached: Vec<Vec<usize>> = self
            .rows
            .iter()
            .zip(&written)
            .map(|(row, written)| {
                let mut all = row.active.clone();
                all.extend(written.iter().map(|(position, _)| *position));
                all.sort_unstable();
                all.dedup();
                all
            })
            .collect();
        let numbers: std::collections::HashMap<usize, Vec<usize>> =
            self.rows.iter().map(|row| row.index).zip(reached).collect();
        self.reach(|row| numbers.get(&row.index).cloned().unwrap_or_default());
        let seq = self.seq;
        let places: Vec<(usize, Array1<f32>)> = self
            .rows
            .iter()
            .zip(written)
            .flat_map(|(row, written)| {
                let at = written.into_iter();
                at.map(|(position, value)| (row.place(position, seq), value))
                    .collect::<Vec<_>>()
            })
            .collect();
        if let Some((_, values)) = self.held.iter_mut().find(|(own, _)| own == first) {
            for (at, value) in places {
                let mut slot = values.row_mut(at);
                if others.is_empty() {
                    slot.assign(&value);
                } else {
                    slot += &value;
                }
            }
        }
        Ok(())
    }
}

impl Member<'_> {
    /// Where the token of a position lies in what is held: its own if the row differs there, else its prompt's.
    pub fn place(&self, position: usize, seq: usize) -> usize {
        match self.active.binary_search(&position) {
            Ok(at) => self.start + at,
            Err(_) => self.prompt * seq + position,
        }
    }

    pub fn active(&self) -> &[usize] {
        &self.active
    }
}

/// What a change makes of `x`, the whole value of one position.
fn changed(
    change: &Change<'_>,
    entry: usize,
    x: ArrayView1<'_, f32>,
    d_head: usize,
) -> Array1<f32> {
    let Some(heads) = &change.heads else {
        return change.to.of(entry, x);
    };
    let channels = || {
        heads
            .iter()
            .flat_map(|head| head * d_head..(head + 1) * d_head)
    };
    let part: Array1<f32> = channels()
        .filter_map(|channel| x.get(channel).copied())
        .collect();
    let part = change.to.of(entry, part.view());
    let mut all = x.to_owned();
    for (channel, value) in channels().zip(part) {
        if let Some(slot) = all.get_mut(channel) {
            *slot = value;
        }
    }
    all
}

fn same(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Rows of a matrix, in the order of `from`.
pub(super) fn gather(values: &Array2<f32>, from: &[usize]) -> Array2<f32> {
    let width = values.ncols();
    let mut all = Vec::with_capacity(from.len() * width);
    let flat = values.as_slice();
    for &at in from {
        match flat.and_then(|flat| flat.get(at * width..(at + 1) * width)) {
            Some(row) => all.extend_from_slice(row),
            None => all.extend(values.row(at)),
        }
    }
    Array2::from_shape_vec((from.len(), width), all).unwrap_or_default()
}
