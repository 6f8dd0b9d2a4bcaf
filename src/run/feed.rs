//! What is fed into a graph: token ids, a padding mask, and the inputs that instrumenting has added.

use half::{bf16, f16};
use ndarray::{Array2, ArrayD, ArrayViewD, Axis, IxDyn};
use ort::session::SessionInputValue;
use ort::value::{PrimitiveTensorElementType, TensorElementType, TensorRef};

use crate::fault::{Fault, Result};
use crate::model::InputRole;

/// The inputs of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    /// Token ids `[batch, seq]`, padded on the right.
    pub ids: Array2<i64>,
    /// 1 for a real token, 0 for padding, `[batch, seq]`.
    pub mask: Array2<i64>,
    /// Further inputs by name, such as those of an instrumented graph.
    pub extra: Vec<(String, Tensor)>,
}

/// A value for a further input.
#[derive(Debug, Clone, PartialEq)]
pub enum Tensor {
    /// Floats; narrowed where the input is float16 or bfloat16.
    F32(ArrayD<f32>),
    /// Integers; narrowed where the input is int32.
    I64(ArrayD<i64>),
    /// Truth values.
    Bool(ArrayD<bool>),
}

impl Feed {
    /// Token ids and mask without further inputs.
    #[must_use]
    pub fn new(ids: Array2<i64>, mask: Array2<i64>) -> Self {
        Self {
            ids,
            mask,
            extra: Vec::new(),
        }
    }

    /// Rows of equal length, all tokens real: `[batch, seq]`.
    #[must_use]
    pub fn unpadded(ids: Array2<i64>) -> Self {
        let mask = Array2::ones(ids.dim());
        Self::new(ids, mask)
    }

    /// A further input.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: Tensor) -> Self {
        self.extra.push((name.into(), value));
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        let wrong = |found: String, expected: &str| {
            Err(Fault::usage("preparing a run of the model", found).expected(expected))
        };
        if self.ids.dim() != self.mask.dim() {
            return wrong(
                format!(
                    "token ids of shape {:?} and a mask of shape {:?}",
                    self.ids.shape(),
                    self.mask.shape()
                ),
                "the same shape",
            );
        }
        if self.ids.is_empty() {
            return wrong(
                format!("token ids of shape {:?}", self.ids.shape()),
                "at least one token",
            );
        }
        let empty = self
            .mask
            .outer_iter()
            .position(|row| row.iter().all(|real| *real == 0));
        if let Some(row) = empty {
            return wrong(
                format!("row {row} has no tokens"),
                "at least one token in every row",
            );
        }
        Ok(())
    }

    /// The value for an input of that meaning.
    pub(super) fn value(&self, role: &InputRole) -> Tensor {
        match role {
            InputRole::TokenIds => Tensor::I64(self.ids.clone().into_dyn()),
            InputRole::AttentionMask => Tensor::I64(self.mask.clone().into_dyn()),
            InputRole::PositionIds => Tensor::I64(self.positions().into_dyn()),
            InputRole::PastKeyValue(dims) => {
                let batch = self.ids.nrows();
                let shape: Vec<_> = dims.iter().map(|dim| dim.unwrap_or(batch)).collect();
                Tensor::F32(ArrayD::zeros(IxDyn(&shape)))
            }
        }
    }

    /// The count of real tokens before each token, so that positions begin at 0 whichever side is padded; padding gets
    /// the position of the last real token before it.
    fn positions(&self) -> Array2<i64> {
        let mut positions = self.mask.clone();
        positions.accumulate_axis_inplace(Axis(1), |before, here| *here += before);
        positions.mapv_inplace(|count| (count - 1).max(0));
        positions
    }
}

/// Turns a value into what the input `name` wants.
pub(super) fn encode<'a>(
    name: &str,
    tensor: &'a Tensor,
    wanted: TensorElementType,
) -> Result<SessionInputValue<'a>> {
    use TensorElementType::{Bfloat16, Bool, Float16, Float32, Int32, Int64};
    match (tensor, wanted) {
        (Tensor::F32(values), Float32) => borrow(name, values.view()),
        (Tensor::F32(values), Float16) => own(name, values.mapv(f16::from_f32)),
        (Tensor::F32(values), Bfloat16) => own(name, values.mapv(bf16::from_f32)),
        (Tensor::I64(values), Int64) => borrow(name, values.view()),
        (Tensor::I64(values), Int32) => own(name, narrow(name, values)?),
        (Tensor::I64(values), Bool) => own(name, values.mapv(|value| value != 0)),
        (Tensor::I64(values), Float32) => own(name, flags(values)),
        (Tensor::I64(values), Float16) => own(name, flags(values).mapv(f16::from_f32)),
        (Tensor::I64(values), Bfloat16) => own(name, flags(values).mapv(bf16::from_f32)),
        (Tensor::Bool(values), Bool) => borrow(name, values.view()),
        (tensor, wanted) => Err(refused(
            name,
            format!("{} for an input of type {wanted}", tensor.kind()),
        )),
    }
}

impl Tensor {
    fn kind(&self) -> &'static str {
        match self {
            Self::F32(_) => "floats",
            Self::I64(_) => "integers",
            Self::Bool(_) => "truth values",
        }
    }
}

/// Integers that a graph wants as floats are masks of 0 and 1.
#[allow(
    clippy::cast_precision_loss,
    reason = "small integers are exact as floats"
)]
fn flags(values: &ArrayD<i64>) -> ArrayD<f32> {
    values.mapv(|value| value as f32)
}

fn narrow(name: &str, values: &ArrayD<i64>) -> Result<ArrayD<i32>> {
    let narrowed = values
        .iter()
        .map(|value| {
            i32::try_from(*value)
                .map_err(|_| refused(name, format!("{value}, which does not fit into int32")))
        })
        .collect::<Result<Vec<_>>>()?;
    ArrayD::from_shape_vec(values.raw_dim(), narrowed)
        .map_err(|error| refused(name, error.to_string()))
}

fn borrow<'a, T>(name: &str, values: ArrayViewD<'a, T>) -> Result<SessionInputValue<'a>>
where
    T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    if !values.is_standard_layout() {
        return own(name, values.to_owned());
    }
    Ok(TensorRef::from_array_view(values)
        .map_err(|error| refused(name, error.message()))?
        .into())
}

fn own<T>(name: &str, values: ArrayD<T>) -> Result<SessionInputValue<'static>>
where
    T: PrimitiveTensorElementType + std::fmt::Debug + Clone + 'static,
{
    Ok(ort::value::Tensor::from_array(values)
        .map_err(|error| refused(name, error.message()))?
        .into())
}

fn refused(name: &str, found: impl Into<String>) -> Fault {
    Fault::failed(format!("feeding the model's input `{name}`"), found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn positions_begin_at_zero_on_either_side_of_the_padding() {
        let mask = array![[1, 1, 1, 0, 0], [0, 0, 1, 1, 1]];
        let feed = Feed::new(Array2::zeros(mask.dim()), mask);
        assert_eq!(feed.positions(), array![[0, 1, 2, 2, 2], [0, 0, 0, 1, 2]]);
    }

    #[test]
    fn an_empty_cache_takes_the_batch_of_the_ids() {
        let feed = Feed::unpadded(Array2::zeros((3, 4)));
        let role = InputRole::PastKeyValue(vec![None, Some(2), Some(0), Some(16)]);
        assert_eq!(
            feed.value(&role),
            Tensor::F32(ArrayD::zeros(IxDyn(&[3, 2, 0, 16])))
        );
    }

    #[test]
    fn a_feed_without_tokens_or_with_a_wrong_mask_is_refused() {
        let found = |feed: Feed| feed.check().err().map(|fault| fault.found);
        assert_eq!(found(Feed::unpadded(Array2::ones((2, 3)))), None);
        assert_eq!(
            found(Feed::unpadded(Array2::ones((2, 0)))).as_deref(),
            Some("token ids of shape [2, 0]")
        );
        assert_eq!(
            found(Feed::new(array![[5, 6], [7, 8]], array![[1, 1], [0, 0]])).as_deref(),
            Some("row 1 has no tokens")
        );
        assert_eq!(
            found(Feed::new(array![[5, 6]], array![[1]])).as_deref(),
            Some("token ids of shape [1, 2] and a mask of shape [1, 1]")
        );
    }

    #[test]
    fn an_id_that_does_not_fit_is_refused() {
        let large = Tensor::I64(array![[1_i64 << 40]].into_dyn());
        let Tensor::I64(values) = &large else { return };
        assert_eq!(
            narrow("input_ids", values).err().map(|fault| fault.found),
            Some("1099511627776, which does not fit into int32".to_owned())
        );
    }
}
