//! Activations of chosen sites, as named tensors.

use ndarray::{Array2, ArrayD, Axis, s};

use crate::causal::Engine;
use crate::fault::{Fault, Result};
use crate::files;
use crate::model::{Architecture, Layout, Model, Point, SiteName};
use crate::run::Runtime;

/// Captured activations of a batch of prompts; shorter prompts are padded with zeros on the right.
pub struct Captured {
    /// One tensor for each site in its [`Layout`], named after it, and `logits` `[batch, seq, vocab]` (`[batch, 1, vocab]` where
    /// the model puts out those of the last token alone).
    pub tensors: Vec<(String, ArrayD<f32>)>,
    /// 1 for a token, 0 for padding, `[batch, seq]`.
    pub mask: Array2<i64>,
    /// The token ids, 0 at padding, `[batch, seq]`.
    pub ids: Array2<i64>,
}

/// Reads every site of `sites` and the logits.
///
/// # Errors
/// A prompt is empty or has a token id outside the vocabulary, or a run fails.
pub fn capture(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    prompts: &[Vec<i64>],
    sites: &[SiteName],
) -> Result<Captured> {
    check_ids(arch, prompts)?;
    let logits = SiteName::outside(Point::Logits);
    let taps: Vec<SiteName> = sites
        .iter()
        .copied()
        .filter(|&site| site != logits)
        .collect();
    let engine = Engine::open(runtime, model, arch, &taps, &[], Vec::new())?;
    let views: Vec<&[i64]> = prompts.iter().map(Vec::as_slice).collect();
    let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
    let captured = engine.activations_and_logits(&views)?;
    let tensors = taps
        .iter()
        .chain([&logits])
        .enumerate()
        .map(|(output, &name)| {
            let rows: Vec<&Array2<f32>> = captured.iter().map(|row| &row[output]).collect();
            let layout = arch.site(name).map(|site| site.layout);
            let tensor = layout.and_then(|layout| stacked(&rows, layout));
            let tensor = tensor.ok_or_else(|| {
                Fault::failed(format!("capturing `{name}`"), "values of another layout")
            })?;
            Ok((name.to_string(), tensor))
        })
        .collect::<Result<Vec<_>>>()?;
    let at = |row: usize, column: usize| prompts[row].get(column).copied();
    Ok(Captured {
        tensors,
        mask: Array2::from_shape_fn((prompts.len(), longest), |(row, column)| {
            i64::from(at(row, column).is_some())
        }),
        ids: Array2::from_shape_fn((prompts.len(), longest), |(row, column)| {
            at(row, column).unwrap_or(0)
        }),
    })
}

/// The rows `[seq, values of a position]` of all prompts in the axes of the layout, padded with zeros.
fn stacked(rows: &[&Array2<f32>], layout: Layout) -> Option<ArrayD<f32>> {
    let batch = rows.len();
    // Logits may be those of the last token alone.
    let longest = rows.iter().map(|row| row.nrows()).max()?;
    let mut all = match layout {
        Layout::Token { width } => ArrayD::zeros(vec![batch, longest, width]),
        Layout::Heads { heads, d_head } => ArrayD::zeros(vec![batch, longest, heads, d_head]),
        Layout::Pattern { heads } => ArrayD::zeros(vec![batch, heads, longest, longest]),
    };
    for (place, values) in rows.iter().enumerate() {
        let mut into = all.index_axis_mut(Axis(0), place);
        let seq = values.nrows();
        if let Layout::Pattern { heads } = layout {
            let by_head = values.to_shape((seq, heads, seq)).ok()?;
            into.slice_mut(s![.., ..seq, ..seq])
                .assign(&by_head.permuted_axes([1, 0, 2]));
        } else {
            let mut into = into.slice_axis_mut(Axis(0), (..seq).into());
            let shape = into.raw_dim();
            into.assign(&values.to_shape(shape).ok()?);
        }
    }
    Some(all)
}

/// Refuses ids that the model has no embedding for.
///
/// # Errors
/// There is no prompt, a prompt is empty, or an id lies outside the vocabulary.
pub fn check_ids(arch: &Architecture, prompts: &[Vec<i64>]) -> Result<()> {
    let doing = "reading token ids";
    if prompts.is_empty() {
        return Err(Fault::no_inputs(doing, "no prompt").expected("at least one prompt"));
    }
    for (row, prompt) in prompts.iter().enumerate() {
        if prompt.is_empty() {
            return Err(Fault::usage(doing, format!("prompt {row} without a token"))
                .expected("at least one token in each prompt"));
        }
        if let Some(id) = prompt
            .iter()
            .find(|&&id| usize::try_from(id).map_or(true, |id| id >= arch.vocab_size))
        {
            return Err(
                Fault::usage(doing, format!("token id {id} in prompt {row}"))
                    .expected(format!("ids from 0 to {}", arch.vocab_size - 1)),
            );
        }
    }
    Ok(())
}

impl Captured {
    /// Writes a safetensors file with the captured tensors, `input_ids` and `attention_mask`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, path: &std::path::Path) -> Result<()> {
        use safetensors::tensor::{Dtype, TensorView};
        let doing = format!("writing `{}`", path.display());
        let fault = |error: safetensors::SafeTensorError| Fault::failed(&doing, error.to_string());
        let floats: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .tensors
            .iter()
            .map(|(name, tensor)| {
                (
                    name.clone(),
                    tensor.shape().to_vec(),
                    tensor.iter().flat_map(|x| x.to_le_bytes()).collect(),
                )
            })
            .collect();
        let integers: Vec<(String, Vec<usize>, Vec<u8>)> =
            [("input_ids", &self.ids), ("attention_mask", &self.mask)]
                .map(|(name, tensor)| {
                    (
                        name.to_owned(),
                        tensor.shape().to_vec(),
                        tensor.iter().flat_map(|x| x.to_le_bytes()).collect(),
                    )
                })
                .into();
        let views = floats
            .iter()
            .map(|entry| (entry, Dtype::F32))
            .chain(integers.iter().map(|entry| (entry, Dtype::I64)))
            .map(|((name, shape, bytes), dtype)| {
                Ok((
                    name.clone(),
                    TensorView::new(dtype, shape.clone(), bytes).map_err(fault)?,
                ))
            })
            .collect::<Result<Vec<_>>>()?;
        let bytes = safetensors::serialize(views, None).map_err(fault)?;
        files::write_whole(path, &bytes)
    }
}
