//! Between the axes of a site and one row of numbers for each position.

use std::collections::BTreeMap;

use ndarray::{Array2, ArrayD, ArrayViewMutD, Axis, IxDyn};

use super::engine::WritePort;
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

/// Values that overwrite one site at some positions, and at some heads.
#[derive(Debug, Clone)]
pub(super) struct Fixed {
    /// Index of the write.
    pub port: usize,
    pub positions: Vec<usize>,
    pub heads: Option<Vec<usize>>,
    /// `[positions, width]`, or `[positions, heads.len()·d_head]` where heads are named.
    pub values: Array2<f32>,
}

/// The mask and the values of one write in one batch.
struct Fed {
    mask: ArrayD<bool>,
    values: ArrayD<f32>,
}

impl Fed {
    fn nothing(layout: Layout, n_rows: usize, seq: usize, keys: usize) -> Self {
        let shape = |last: Option<usize>| match layout {
            Layout::Token { width } => vec![n_rows, seq, last.unwrap_or(width)],
            Layout::Heads { heads, d_head } => vec![n_rows, seq, heads, last.unwrap_or(d_head)],
            Layout::Pattern { heads } => vec![n_rows, heads, seq, last.unwrap_or(keys)],
        };
        Self {
            mask: ArrayD::from_elem(shape(Some(1)), false),
            values: ArrayD::zeros(shape(None)),
        }
    }
}

/// The masks and values of one batch.
pub(super) struct EditFeed<'e> {
    writes: &'e [WritePort],
    fed: Vec<Option<Fed>>,
    dim: (usize, usize),
}

impl<'e> EditFeed<'e> {
    pub fn new(writes: &'e [WritePort], n_rows: usize, seq: usize) -> Self {
        Self {
            fed: writes.iter().map(|_| None).collect(),
            writes,
            dim: (n_rows, seq),
        }
    }

    /// Adds what one row overwrites; later values take the place of earlier ones.
    ///
    /// # Errors
    /// The values have another shape than the site.
    pub fn set(&mut self, row: usize, fixed: &Fixed) -> Result<()> {
        let (n_rows, seq) = self.dim;
        let (Some(port), Some(fed)) = (self.writes.get(fixed.port), self.fed.get_mut(fixed.port))
        else {
            return Err(Fault::failed("patching", "a write that was not opened"));
        };
        let fed = fed.get_or_insert_with(|| Fed::nothing(port.layout, n_rows, seq, seq));
        for (&position, values) in fixed.positions.iter().zip(fixed.values.rows()) {
            let mut cell = cell(&mut fed.values, row, position, port.layout);
            let mut mask = self::cell(&mut fed.mask, row, position, port.layout);
            if let Some(heads) = &fixed.heads {
                let width = values.len() / heads.len().max(1);
                let by_head = values.exact_chunks(width.max(1));
                for (&head, values) in heads.iter().zip(by_head) {
                    cell.index_axis_mut(Axis(0), head).assign(&values);
                    mask.index_axis_mut(Axis(0), head).fill(true);
                }
                continue;
            }
            let shaped = values.into_shape_with_order(cell.raw_dim());
            let shaped = shaped.map_err(|_| {
                Fault::usage(
                    format!("patching `{}`", port.site),
                    format!("{} values at one position", values.len()),
                )
                .expected(cell.len().to_string())
            })?;
            cell.assign(&shaped);
            mask.fill(true);
        }
        Ok(())
    }

    /// The inputs that the edits are fed by. A write that no row makes is fed one neutral cell, which broadcasts over batch
    /// and sequence unless the export gives these a size: hundreds of writes cost what the rows make of them.
    pub fn finish(self) -> Vec<(String, Tensor)> {
        let (n_rows, seq) = self.dim;
        let ports = self.writes.iter().zip(self.fed);
        ports
            .flat_map(|(port, fed)| {
                let one = |fixed: bool, size: usize| if fixed { size } else { 1 };
                let (rows, tokens) = (one(port.fixed.0, n_rows), one(port.fixed.1, seq));
                let fed = fed.unwrap_or_else(|| Fed::nothing(port.layout, rows, tokens, tokens));
                [
                    (port.mask.clone(), Tensor::Bool(fed.mask)),
                    (port.value.clone(), Tensor::F32(fed.values)),
                ]
            })
            .collect()
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
