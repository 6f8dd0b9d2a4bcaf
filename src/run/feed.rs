//! What is fed into a graph: token ids, a padding mask, and the inputs that instrumenting has added.

use half::{bf16, f16};
use ndarray::{Array2, Array4, ArrayD, ArrayViewD, Axis, IxDyn, concatenate, s};
use ort::session::SessionInputValue;
use ort::value::{DynValue, PrimitiveTensorElementType, TensorElementType, TensorRef};

use crate::fault::{Fault, Result};
use crate::model::{InputRole, Open, ScoreMask};

/// Added to the score of a token that must not be attended to: no weight is left of it, and float16 holds it.
const BLOCKED: f32 = -30_000.0;

/// The inputs of one run.
#[derive(Debug, Clone, PartialEq)]
pub struct Feed {
    /// Token ids `[batch, seq]`, padded on either side.
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

    /// The value for an input of that meaning and rank, where the model has read the tokens of `seen` before
    /// (`[batch, past]`, 0 at padding).
    pub(super) fn value(&self, role: &InputRole, rank: usize, seen: &Array2<i64>) -> Tensor {
        let (batch, seq) = self.ids.dim();
        let past = seen.ncols();
        match role {
            InputRole::TokenIds => Tensor::I64(self.ids.clone().into_dyn()),
            InputRole::AttentionMask => Tensor::I64(self.so_far(seen).into_dyn()),
            InputRole::ScoreMask(mask) => self.score_mask(*mask, seen),
            InputRole::PositionIds => Tensor::I64(self.positions(seen).into_dyn()),
            InputRole::CachePositions => {
                let places = (past..past + seq).map(count);
                Tensor::I64(ndarray::Array1::from_iter(places).into_dyn())
            }
            InputRole::TokenTypes => Tensor::I64(ArrayD::zeros(IxDyn(&[batch, seq]))),
            InputRole::LogitsToKeep => number(count(seq), rank),
            InputRole::TotalLength => number(count(past + seq), rank),
            InputRole::LastTokens => {
                let last = self.so_far(seen).sum_axis(Axis(1)) - 1;
                let mut shape = vec![1; rank.max(1)];
                shape[0] = batch;
                Tensor::I64(ArrayD::from_shape_fn(IxDyn(&shape), |at| last[at[0]]))
            }
            InputRole::PastKeyValue(dims) => {
                let shape: Vec<_> = dims.iter().map(|dim| dim.unwrap_or(batch)).collect();
                Tensor::F32(ArrayD::zeros(IxDyn(&shape)))
            }
        }
    }

    /// 1 for each real token so far, `[batch, past + seq]`.
    fn so_far(&self, seen: &Array2<i64>) -> Array2<i64> {
        // The rows agree: a cache is refused where they do not.
        concatenate(Axis(1), &[seen.view(), self.mask.view()]).unwrap_or_else(|_| self.mask.clone())
    }

    /// The count of real tokens before each token, so that positions begin at 0 whichever side is padded; padding gets
    /// the position of the last real token before it. `[batch, seq]`.
    fn positions(&self, seen: &Array2<i64>) -> Array2<i64> {
        let mut positions = self.so_far(seen);
        positions.accumulate_axis_inplace(Axis(1), |before, here| *here += before);
        positions.mapv_inplace(|count| (count - 1).max(0));
        positions.slice(s![.., seen.ncols()..]).to_owned()
    }

    fn score_mask(&self, mask: ScoreMask, seen: &Array2<i64>) -> Tensor {
        let real = self.so_far(seen);
        let queries = if mask.by_query { self.ids.ncols() } else { 1 };
        let shape = (real.nrows(), mask.heads, queries, real.ncols());
        let open = Array4::from_shape_fn(shape, |(row, _, query, key)| {
            let here = seen.ncols() + query;
            // Padding attends to itself: a softmax over nothing would be NaN.
            let earlier = !mask.by_query || key <= here;
            (mask.by_query && key == here) || (earlier && real[[row, key]] != 0)
        })
        .into_dyn();
        match mask.open {
            Open::True => Tensor::I64(open.mapv(i64::from)),
            Open::False => Tensor::I64(open.mapv(|open| i64::from(!open))),
            Open::Zero => Tensor::F32(open.mapv(|open| if open { 0.0 } else { BLOCKED })),
        }
    }
}

/// One number as a scalar, or as a tensor of one element.
fn number(value: i64, rank: usize) -> Tensor {
    Tensor::I64(ArrayD::from_elem(IxDyn(&vec![1; rank]), value))
}

/// No array in memory has more than `i64::MAX` elements, so the cap is never reached.
fn count(tokens: usize) -> i64 {
    i64::try_from(tokens).unwrap_or(i64::MAX)
}

/// Turns a value into what the input `name` wants.
pub(super) fn encode<'a>(
    name: &str,
    tensor: &'a Tensor,
    wanted: TensorElementType,
) -> Result<SessionInputValue<'a>> {
    use TensorElementType::{Bfloat16, Bool, Float16, Float32, Int32, Int64};
    match (tensor, wanted) {
        (Tensor::F32(values), Float32 | Float16 | Bfloat16) => {
            encode_floats(name, values.view(), wanted)
        }
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

/// As [`encode`], for a value that outlives what it is made from.
pub(super) fn encode_owned(
    name: &str,
    tensor: Tensor,
    wanted: TensorElementType,
) -> Result<DynValue> {
    use TensorElementType::{Bool, Float32, Int64};
    let encoded = match (tensor, wanted) {
        (Tensor::F32(values), Float32) => own(name, values)?,
        (Tensor::I64(values), Int64) => own(name, values)?,
        (Tensor::Bool(values), Bool) => own(name, values)?,
        (tensor, wanted) => return owned(name, encode(name, &tensor, wanted)?),
    };
    owned(name, encoded)
}

fn owned(name: &str, value: SessionInputValue<'_>) -> Result<DynValue> {
    match value {
        SessionInputValue::Owned(value) => Ok(value),
        _ => Err(refused(name, "a value that is borrowed")),
    }
}

/// Turns floats into what the input `name` wants; not copied where that is float32.
pub(super) fn encode_floats<'a>(
    name: &str,
    values: ArrayViewD<'a, f32>,
    wanted: TensorElementType,
) -> Result<SessionInputValue<'a>> {
    match wanted {
        TensorElementType::Float32 => borrow(name, values),
        TensorElementType::Float16 => own(name, values.mapv(f16::from_f32)),
        TensorElementType::Bfloat16 => own(name, values.mapv(bf16::from_f32)),
        other => Err(refused(
            name,
            format!("floats for an input of type {other}"),
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

    fn value(feed: &Feed, role: &InputRole, rank: usize, seen: &Array2<i64>) -> ArrayD<f32> {
        match feed.value(role, rank, seen) {
            Tensor::I64(values) => flags(&values),
            Tensor::F32(values) => values,
            Tensor::Bool(values) => values.mapv(|value| f32::from(u8::from(value))),
        }
    }

    #[test]
    fn positions_begin_at_zero_on_either_side_of_the_padding() {
        let mask = array![[1, 1, 1, 0, 0], [0, 0, 1, 1, 1]];
        let feed = Feed::new(Array2::zeros(mask.dim()), mask);
        let none = Array2::zeros((2, 0));
        assert_eq!(
            feed.positions(&none),
            array![[0, 1, 2, 2, 2], [0, 0, 0, 1, 2]]
        );
    }

    #[test]
    fn what_was_read_before_counts() {
        let feed = Feed::unpadded(Array2::zeros((2, 2)));
        let seen = array![[0, 1, 1], [1, 1, 1]];
        let value = |role: &InputRole, rank| value(&feed, role, rank, &seen);
        assert_eq!(
            value(&InputRole::PositionIds, 2),
            array![[2.0, 3.0], [3.0, 4.0]].into_dyn()
        );
        assert_eq!(
            value(&InputRole::AttentionMask, 2),
            array![[0.0, 1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0]].into_dyn()
        );
        assert_eq!(
            value(&InputRole::CachePositions, 1),
            array![3.0, 4.0].into_dyn()
        );
        assert_eq!(
            value(&InputRole::LastTokens, 1),
            array![3.0, 4.0].into_dyn()
        );
        assert_eq!(
            value(&InputRole::LastTokens, 2),
            array![[3.0], [4.0]].into_dyn()
        );
        assert_eq!(value(&InputRole::TotalLength, 1), array![5.0].into_dyn());
        assert_eq!(
            value(&InputRole::LogitsToKeep, 0),
            ndarray::arr0(2.0).into_dyn()
        );
        assert_eq!(
            value(&InputRole::TokenTypes, 2),
            Array2::<f32>::zeros((2, 2)).into_dyn()
        );
    }

    #[test]
    fn a_score_mask_hides_padding_and_what_comes_later() {
        let feed = Feed::new(Array2::zeros((1, 3)), array![[0, 1, 1]]);
        let none = Array2::zeros((1, 0));
        let mask = |by_query, open| {
            InputRole::ScoreMask(ScoreMask {
                heads: 1,
                by_query,
                open,
            })
        };
        let by_query = array![[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0]];
        let found = value(&feed, &mask(true, Open::True), 4, &none);
        assert_eq!(
            found,
            by_query
                .clone()
                .into_shape_with_order(vec![1, 1, 3, 3])
                .unwrap_or_default()
        );
        let found = value(&feed, &mask(true, Open::False), 4, &none);
        assert_eq!(
            found,
            (1.0 - by_query)
                .into_shape_with_order(vec![1, 1, 3, 3])
                .unwrap_or_default()
        );
        let found = value(&feed, &mask(false, Open::Zero), 4, &none);
        assert_eq!(found, array![[[[BLOCKED, 0.0, 0.0]]]].into_dyn());
    }

    #[test]
    fn an_empty_cache_takes_the_batch_of_the_ids() {
        let feed = Feed::unpadded(Array2::zeros((3, 4)));
        let role = InputRole::PastKeyValue(vec![None, Some(2), Some(0), Some(16)]);
        assert_eq!(
            feed.value(&role, 4, &Array2::zeros((3, 0))),
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
