//! Between the axes of a site and one row of numbers for each position.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayD, ArrayViewMutD, Axis, IxDyn};

use super::engine::{Edit, WritePort};
use crate::fault::{Fault, Result};
use crate::model::Layout;
use crate::run::Tensor;

/// The output of that name.
pub(super) fn output<'o>(
    outputs: &'o BTreeMap<String, ArrayD<f32>>,
    name: &str,
) -> Result<&'o ArrayD<f32>> {
    outputs.get(name).ok_or_else(|| {
        Fault::failed(
            "reading the runtime's outputs",
            format!("no output `{name}`"),
        )
    })
}

/// One prompt of the logits as `[positions, vocab]`. Some models put out those of the last token alone.
pub(super) fn logits(
    values: &ArrayD<f32>,
    prompt: usize,
    layout: Layout,
    dim: (usize, usize),
) -> Result<Array2<f32>> {
    let (batch, seq) = dim;
    let seq = match values.shape() {
        [_, 1, _] => 1,
        _ => seq,
    };
    by_position(values, prompt, layout, (batch, seq))
}

/// One prompt of an output as `[seq, values of a position]`; `dim` is the `[batch, seq]` that was fed.
pub(super) fn by_position(
    values: &ArrayD<f32>,
    prompt: usize,
    layout: Layout,
    dim: (usize, usize),
) -> Result<Array2<f32>> {
    let (batch, seq) = dim;
    let fits = match (layout, values.shape()) {
        (Layout::Token { width }, [b, s, w]) => (*b, *s, *w) == (batch, seq, width),
        (Layout::Heads { heads, d_head }, [b, s, h, w]) => {
            (*b, *s, *h, *w) == (batch, seq, heads, d_head)
        }
        (Layout::Pattern { heads }, [b, h, q, k]) => {
            (*b, *h, *q) == (batch, heads, seq) && *k >= seq
        }
        _ => false,
    };
    if !fits || prompt >= batch {
        return Err(Fault::failed(
            "reading a site of the running model",
            format!("the shape {:?}", values.shape()),
        )
        .expected(format!("{} for batch {batch} and seq {seq}", axes(layout))));
    }
    let own = values.index_axis(Axis(0), prompt);
    let own = match layout {
        Layout::Pattern { .. } => own.permuted_axes(IxDyn(&[1, 0, 2])),
        Layout::Token { .. } | Layout::Heads { .. } => own,
    };
    let width = own.len() / seq.max(1);
    let flat = own.iter().copied().collect();
    Array2::from_shape_vec((seq, width), flat)
        .map_err(|error| Fault::failed("reading a site of the running model", error.to_string()))
}

fn axes(layout: Layout) -> String {
    match layout {
        Layout::Token { width } => format!("[batch, seq, {width}]"),
        Layout::Heads { heads, d_head } => format!("[batch, seq, {heads}, {d_head}]"),
        Layout::Pattern { heads } => format!("[batch, {heads}, seq, key]"),
    }
}

/// The masks and values of one batch of edits.
pub(super) struct EditFeed<'e> {
    writes: &'e [WritePort],
    names: &'e [(String, Layout)],
    masks: Vec<ArrayD<bool>>,
    values: Vec<ArrayD<f32>>,
    seq: usize,
}

impl<'e> EditFeed<'e> {
    pub fn new(
        writes: &'e [WritePort],
        names: &'e [(String, Layout)],
        n_rows: usize,
        seq: usize,
    ) -> Self {
        let shape = |layout: Layout, last: Option<usize>| match layout {
            Layout::Token { width } => vec![n_rows, seq, last.unwrap_or(width)],
            Layout::Heads { heads, d_head } => vec![n_rows, seq, heads, last.unwrap_or(d_head)],
            Layout::Pattern { heads } => vec![n_rows, heads, seq, last.unwrap_or(seq)],
        };
        Self {
            masks: writes
                .iter()
                .map(|port| ArrayD::from_elem(shape(port.layout, Some(1)), false))
                .collect(),
            values: names
                .iter()
                .map(|(_, layout)| ArrayD::zeros(shape(*layout, None)))
                .collect(),
            writes,
            names,
            seq,
        }
    }

    /// Adds the edit of one row.
    ///
    /// # Errors
    /// The site was not opened for writing, a position lies outside the prompt, or a value is of another width.
    pub fn set(&mut self, row: usize, edit: &Edit) -> Result<()> {
        let port = self.writes.iter().position(|port| port.site == edit.site);
        let found = port.and_then(|port| {
            let layout = self.writes.get(port)?.layout;
            let value = self.names.iter().position(|(_, other)| *other == layout)?;
            Some((
                self.masks.get_mut(port)?,
                self.values.get_mut(value)?,
                layout,
            ))
        });
        let (mask, values, layout) = found.ok_or_else(|| {
            Fault::usage("patching", format!("the site `{}`", edit.site))
                .expected("a site that was opened for writing")
        })?;
        for (position, value) in &edit.values {
            if *position >= self.seq {
                return Err(outside("patching", *position, self.seq));
            }
            let mut cell = cell(values, row, *position, layout);
            let shaped = value.view().into_shape_with_order(cell.raw_dim());
            let shaped = shaped.map_err(|_| {
                Fault::usage(
                    format!("patching `{}`", edit.site),
                    format!("{} values at one position", value.len()),
                )
                .expected(cell.len().to_string())
            })?;
            cell.assign(&shaped);
            self::cell(mask, row, *position, layout).fill(true);
        }
        Ok(())
    }

    /// The inputs that the edits are fed by.
    pub fn finish(self) -> Vec<(String, Tensor)> {
        let values = self.names.iter().zip(self.values);
        let values = values.map(|((name, _), values)| (name.clone(), Tensor::F32(values)));
        let masks = self.writes.iter().zip(self.masks);
        let masks = masks.map(|(port, mask)| (port.mask.clone(), Tensor::Bool(mask)));
        values.chain(masks).collect()
    }
}

/// What an array holds for one position of one row.
fn cell<T>(
    array: &mut ArrayD<T>,
    row: usize,
    position: usize,
    layout: Layout,
) -> ArrayViewMutD<'_, T> {
    let sequence = match layout {
        Layout::Token { .. } | Layout::Heads { .. } => Axis(0),
        Layout::Pattern { .. } => Axis(1),
    };
    array
        .index_axis_mut(Axis(0), row)
        .index_axis_move(sequence, position)
}

pub(super) fn outside(doing: &str, position: usize, seq: usize) -> Fault {
    Fault::usage(doing, format!("position {position}"))
        .expected(format!("a position below {seq}, the prompt's length"))
}
