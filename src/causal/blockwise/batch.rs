//! A batch on its way through the blocks: the plain runs of some prompts, and what differs from them in each row.

use ndarray::{Array1, Array2, ArrayView1};

use super::super::row::{Change, Row, To};
use crate::fault::{Fault, Result};
use crate::run::{Held, Looked, Staged};

/// Rows of equal length with their prompts.
///
/// Everything that is held is a matrix of tokens: first those of every prompt's plain run, then for each row those in which it differs
/// from its prompt's.
pub(super) struct Batch<'r> {
    seq: usize,
    whole: bool,
    prompts: Vec<&'r [i64]>,
    rows: Vec<Member<'r>>,
    held: Vec<(String, Held<'static>)>,
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
    pub fn held(&self, name: &str) -> Result<&Held<'static>> {
        let held = self.held.iter().find(|(own, _)| own == name);
        held.map(|(_, values)| values)
            .ok_or_else(|| Fault::failed("running blocks", format!("nothing is held as `{name}`")))
    }

    pub fn hold(&mut self, name: &str, values: Held<'static>) {
        self.held.retain(|(own, _)| own != name);
        self.held.push((name.to_owned(), values));
    }

    /// Lets go of everything but those names.
    pub fn keep(&mut self, names: &[&str]) {
        self.held.retain(|(own, _)| names.contains(&own.as_str()));
    }

    /// Lets each row differ at the positions that `of` gives for it, in order; its values at new ones are those of its prompt.
    ///
    /// # Errors
    /// A run on the device fails.
    pub fn reach(&mut self, of: impl Fn(&Member<'r>) -> Vec<usize>) -> Result<()> {
        let next = self.rows.iter().map(of).collect();
        let Some(from) = self.reached(next) else {
            return Ok(());
        };
        for (_, values) in &mut self.held {
            *values = values.taken(&from)?;
        }
        Ok(())
    }

    /// As [`Batch::reach`], with the positions of each row, but tells which tokens are to be held instead of taking them; `None` if
    /// they are.
    fn reached(&mut self, next: Vec<Vec<usize>>) -> Option<Vec<usize>> {
        let next: Vec<Vec<usize>> = next.into_iter().map(|own| self.all_or(own)).collect();
        if next
            .iter()
            .zip(&self.rows)
            .all(|(next, row)| *next == row.active)
        {
            return None;
        }
        let mut from: Vec<usize> = (0..self.plain()).collect();
        for (row, next) in self.rows.iter().zip(&next) {
            from.extend(next.iter().map(|&position| row.place(position, self.seq)));
        }
        let mut start = self.plain();
        for (row, next) in self.rows.iter_mut().zip(next) {
            row.start = start;
            start += next.len();
            row.active = next;
        }
        Some(from)
    }

    fn all_or(&self, positions: Vec<usize>) -> Vec<usize> {
        if self.whole && !positions.is_empty() {
            (0..self.seq).collect()
        } else {
            positions
        }
    }

    /// Applies changes to the sum of what is held under `names`; the first of these takes it up. `d_head` is the width of a head.
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
        let touches = self.touches(changes, &kept);
        let Some(first) = names.first().filter(|_| !touches.is_empty()) else {
            return Ok(());
        };
        let alone = names.len() == 1;
        let known: Vec<usize> = touches
            .iter()
            .filter(|touch| !(alone && touch.is_given()))
            .map(|touch| touch.at)
            .collect();
        let there = names
            .iter()
            .map(|name| self.held(name)?.look(&known, None))
            .collect::<Result<Vec<_>>>()?;
        let rows = touches
            .iter()
            .map(|touch| touch.made(&there, d_head))
            .collect::<Result<Vec<_>>>()?;
        drop(there);
        let at: Vec<usize> = touches.iter().map(|touch| touch.at).collect();
        let (staged, same) = self.held(first)?.stage(&at, rows)?;
        let moved: Vec<(usize, usize, usize)> = touches
            .iter()
            .zip(same)
            .enumerate()
            .filter(|(_, (_, same))| !same)
            .map(|(entry, (touch, _))| (entry, touch.member, touch.position))
            .collect();
        drop(touches);
        self.write(first, &staged, &moved)
    }

    /// What is changed: each position of each row once, with its changes in their order.
    fn touches<'c>(
        &self,
        changes: impl Fn(&Member<'r>) -> Vec<&'c Change<'r>>,
        kept: &impl Fn(&Member<'r>, usize) -> bool,
    ) -> Vec<Touch<'c, 'r>>
    where
        'r: 'c,
    {
        let mut touches: Vec<Touch<'c, 'r>> = Vec::new();
        for (member, row) in self.rows.iter().enumerate() {
            let own = touches.len();
            for change in changes(row) {
                for (entry, &position) in change.positions.iter().enumerate() {
                    if !kept(row, position) {
                        continue;
                    }
                    let known = touches
                        .get_mut(own..)
                        .and_then(|own| own.iter_mut().find(|touch| touch.position == position));
                    match known {
                        Some(touch) => touch.changes.push((change, entry)),
                        None => touches.push(Touch {
                            member,
                            position,
                            at: row.place(position, self.seq),
                            changes: vec![(change, entry)],
                        }),
                    }
                }
            }
        }
        touches
    }

    /// Lets rows differ where they are written, and writes them to what is held under a name. `moved` are an entry of what is staged, a
    /// member and a position.
    fn write(
        &mut self,
        name: &str,
        staged: &Staged,
        moved: &[(usize, usize, usize)],
    ) -> Result<()> {
        let mut reached: Vec<Vec<usize>> = self.rows.iter().map(|row| row.active.clone()).collect();
        for (_, member, position) in moved {
            if let Some(reached) = reached.get_mut(*member) {
                reached.push(*position);
            }
        }
        for reached in &mut reached {
            reached.sort_unstable();
            reached.dedup();
        }
        let from = self.reached(reached);
        let mut which = Vec::with_capacity(moved.len());
        let mut at = Vec::with_capacity(moved.len());
        for (entry, member, position) in moved {
            if let Some(row) = self.rows.get(*member) {
                which.push(*entry);
                at.push(row.place(*position, self.seq));
            }
        }
        for (own, values) in std::mem::take(&mut self.held) {
            let values = if own == name && !which.is_empty() {
                values.written(from.as_deref(), staged, &which, &at)?
            } else {
                match &from {
                    Some(from) => values.taken(from)?,
                    None => values,
                }
            };
            self.held.push((own, values));
        }
        Ok(())
    }
}

/// One position of one row that is changed.
struct Touch<'c, 'r> {
    /// The row's place among those of the batch.
    member: usize,
    position: usize,
    /// Where its token lies now.
    at: usize,
    /// What is done to it, with the entry of the position in each.
    changes: Vec<(&'c Change<'r>, usize)>,
}

impl Touch<'_, '_> {
    /// Whether what is there does not matter.
    fn is_given(&self) -> bool {
        self.changes
            .first()
            .is_some_and(|(change, _)| change.heads.is_none() && matches!(change.to, To::Values(_)))
    }

    /// What the first of some tensors becomes, the sum of which is changed; not all that they hold is known where nothing hangs on it.
    fn made(&self, there: &[Looked<'_>], d_head: usize) -> Result<Array1<f32>> {
        let mut first = None;
        let mut before: Option<Array1<f32>> = None;
        if there.len() > 1 || !self.is_given() {
            for looked in there {
                let row = looked.row(self.at)?;
                if let Some(sum) = &mut before {
                    *sum += &row;
                } else {
                    first = Some(row);
                    before = Some(row.to_owned());
                }
            }
        }
        let nothing = Array1::default(0);
        let mut now: Option<Array1<f32>> = None;
        for (change, entry) in &self.changes {
            let here = now.as_ref().or(before.as_ref()).unwrap_or(&nothing);
            now = Some(changed(change, *entry, here.view(), d_head));
        }
        let now = now.unwrap_or(nothing);
        Ok(match (first, before) {
            (Some(first), Some(before)) if there.len() > 1 => {
                if same(before.view(), now.view()) {
                    first.to_owned()
                } else {
                    now - before + first
                }
            }
            _ => now,
        })
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
