//! Whose the channels are that enter an attention: measured by changing each.
//!
//! A head's query at the first token says nothing to later tokens; its key does, by way of the weights, and so changes everything
//! that the head gathers there; its value changes one channel of that. Which heads a channel reaches shows in the same runs, and so
//! grouped queries, fused projections in any order and rotary turns need no rules of their own.

use std::ops::Range;

use ndarray::{Array2, Array3, ArrayView1, Axis, s};

use super::blocks::{Blocks, Qkv};
use crate::fault::{Fault, Result};
use crate::model::{Layout, Point, SiteName};

/// What a channel is a part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// What a head looks for.
    Query,
    /// What it is found by.
    Key,
    /// What it hands on.
    Value,
}

/// One channel of what enters an attention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// What it is a part of.
    pub part: Part,
    /// The query heads that it reaches: several under grouped queries, none if it changes nothing.
    pub heads: Vec<usize>,
}

/// Tokens of the run in which channels are changed.
pub(super) const TOKENS: usize = 3;
/// Values that the runs of one batch may hold.
const BATCH: usize = 1 << 22;

pub(super) fn measure(
    blocks: &Blocks,
    layer: usize,
    ids: &Array2<i64>,
    qkv: &Qkv,
) -> Result<Vec<Vec<Channel>>> {
    let site = SiteName::block(layer, Point::HookZ);
    let layout = blocks.arch().site(site).map(|site| site.layout);
    let Some(Layout::Heads { heads, d_head }) = layout else {
        let why = blocks
            .arch()
            .why_absent(site)
            .unwrap_or("the model does not show its heads");
        return Err(Fault::usage(
            format!("telling the heads of block {layer} apart"),
            why,
        ));
    };
    let spread = spread(qkv);
    let probe = Probe {
        blocks,
        layer,
        ids,
        qkv: &spread,
        heads,
        d_head,
    };
    (0..qkv.0.len())
        .map(|tensor| probe.tensor(tensor))
        .collect()
}

/// Values of the same shapes between −1 and 1, all different: at a prompt's own values a channel says nothing where what it is
/// multiplied with happens to be 0, as in a model with a few large weights.
fn spread(qkv: &Qkv) -> Qkv {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f32::from(u16::try_from(state >> 16).unwrap_or(0)) / 32768.0 - 1.0
    };
    let parts = qkv.0.iter();
    Qkv(parts.map(|part| part.mapv(|_| next())).collect())
}

struct Probe<'a> {
    blocks: &'a Blocks,
    layer: usize,
    ids: &'a Array2<i64>,
    qkv: &'a Qkv,
    heads: usize,
    d_head: usize,
}

impl Probe<'_> {
    fn tensor(&self, tensor: usize) -> Result<Vec<Channel>> {
        let width = self.qkv.0.get(tensor).map_or(0, |values| values.dim().2);
        let all: usize = self.qkv.0.iter().map(|values| values.dim().2).sum();
        let rows = (BATCH / (TOKENS * all).max(1)).max(2);
        let mut channels = Vec::with_capacity(width);
        let mut start = 0;
        while start < width {
            let range = start..(start + rows).min(width);
            let first = self.changed(tensor, range.clone(), 0)?;
            let last = self.changed(tensor, range.clone(), TOKENS - 1)?;
            for row in 0..range.len() {
                channels.push(self.channel(&first, &last, row));
            }
            start = range.end;
        }
        Ok(channels)
    }

    /// What is gathered when each channel of a range is changed at one position, one channel in each row; the last row is as it was.
    fn changed(&self, tensor: usize, range: Range<usize>, position: usize) -> Result<Array3<f32>> {
        let rows = range.len() + 1;
        let mut changed: Vec<Array3<f32>> = Vec::new();
        for (index, values) in self.qkv.0.iter().enumerate() {
            let (_, seq, width) = values.dim();
            let mut all = Array3::zeros((rows, seq, width));
            for mut row in all.outer_iter_mut() {
                row.assign(&values.index_axis(Axis(0), 0));
            }
            if index == tensor {
                let largest = values
                    .iter()
                    .fold(0.0_f32, |most, value| most.max(value.abs()));
                for (row, channel) in range.clone().enumerate() {
                    if let Some(value) = all.get_mut((row, position, channel)) {
                        *value += 1.0 + largest;
                    }
                }
            }
            changed.push(all);
        }
        let ids = self.ids.broadcast((rows, TOKENS)).map(|ids| ids.to_owned());
        let ids = ids.unwrap_or_else(|| Array2::zeros((rows, TOKENS)));
        self.blocks.attend(self.layer, ids.view(), &Qkv(changed))
    }

    fn channel(&self, first: &Array3<f32>, last: &Array3<f32>, row: usize) -> Channel {
        let mut found: [Vec<usize>; 3] = Default::default();
        for head in 0..self.heads {
            let part = |gathered: &Array3<f32>, position: usize| {
                let range = head * self.d_head..(head + 1) * self.d_head;
                let plain = gathered.dim().0 - 1;
                let of = |row: usize| gathered.slice(s![row, position, range.clone()]).to_owned();
                apart(of(row).view(), of(plain).view())
            };
            let own = part(first, 0);
            let later = (1..TOKENS)
                .map(|position| part(first, position))
                .max()
                .unwrap_or(0);
            if later == 0 {
                if own > 0 || part(last, TOKENS - 1) > 0 {
                    found[0].push(head);
                }
            } else if later > 1 || (self.d_head == 1 && own == 0) {
                found[1].push(head);
            } else {
                found[2].push(head);
            }
        }
        let [queries, keys, values] = found;
        let most = [
            (Part::Query, queries),
            (Part::Key, keys),
            (Part::Value, values),
        ]
        .into_iter()
        .max_by_key(|(_, heads)| heads.len());
        let (part, heads) = most.unwrap_or((Part::Query, Vec::new()));
        Channel { part, heads }
    }
}

/// How many values of one head differ, be it by a bit.
fn apart(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> usize {
    let differ = |(a, b): &(&f32, &f32)| a.to_bits() != b.to_bits();
    a.iter().zip(b).filter(differ).count()
}
