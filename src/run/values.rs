//! What comes out of a graph: float arrays, checked for values that no sound run produces.

use half::{bf16, f16};
use ndarray::{Array2, ArrayViewD};
use ort::value::{DynValue, TensorElementType, ValueType};
use rayon::iter::ParallelIterator as _;
use rayon::slice::ParallelSlice as _;

use crate::fault::{Fault, Result};

/// Which values of an output are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Allowed {
    /// Only finite values.
    Finite,
    /// Infinities too: some models mask tokens out of the logits.
    Infinite,
}

/// Hands an output to `read` as float32, whatever float type it has in the graph.
pub(super) fn read<T>(
    name: &str,
    value: &DynValue,
    read: impl FnOnce(ArrayViewD<'_, f32>) -> Result<T>,
) -> Result<T> {
    let unreadable = |found: String| {
        Fault::failed(format!("reading the model's output `{name}`"), found)
            .expected("a tensor of float32, float16 or bfloat16")
    };
    let broken = |error: ort::Error| unreadable(error.message().to_owned());
    match value.dtype() {
        ValueType::Tensor {
            ty: TensorElementType::Float32,
            ..
        } => read(value.try_extract_array::<f32>().map_err(broken)?),
        ValueType::Tensor {
            ty: TensorElementType::Float16,
            ..
        } => {
            let half = value.try_extract_array::<f16>().map_err(broken)?;
            read(half.mapv(f32::from).view())
        }
        ValueType::Tensor {
            ty: TensorElementType::Bfloat16,
            ..
        } => {
            let half = value.try_extract_array::<bf16>().map_err(broken)?;
            read(half.mapv(f32::from).view())
        }
        other => Err(unreadable(other.to_string())),
    }
}

/// Refuses NaN, and infinities where they are not allowed. What stands at padding means nothing and is not looked at.
///
/// `mask` is the feed's, `[batch, seq]`; it applies to outputs whose first two axes are those.
pub(super) fn check(
    name: &str,
    values: &ArrayViewD<'_, f32>,
    mask: &Array2<i64>,
    allowed: Allowed,
) -> Result<()> {
    let sound = |value: &f32| match allowed {
        Allowed::Finite => value.is_finite(),
        Allowed::Infinite => !value.is_nan(),
    };
    let all_sound = match (values.as_slice_memory_order(), allowed) {
        (Some(values), Allowed::Finite) => all(values, |value| value.is_finite()),
        (Some(values), Allowed::Infinite) => all(values, |value| !value.is_nan()),
        (None, _) => values.iter().all(sound),
    };
    if all_sound {
        return Ok(());
    }
    let by_token = values.shape().starts_with(mask.shape());
    let unsound = values.indexed_iter().find(|(place, value)| {
        let real = !by_token || mask.get((place[0], place[1])).is_none_or(|real| *real != 0);
        real && !sound(value)
    });
    match unsound {
        None => Ok(()),
        Some((place, value)) => Err(Fault::failed(
            format!("running the model and reading `{name}`"),
            format!("{value} at {:?}", ndarray::Dimension::slice(&place)),
        )
        .expected("finite activations")
        .hint("a float16 export may overflow; try the float32 export, or check the model on this prompt")),
    }
}

/// Values that are looked at before the first unsound one ends the search.
const AT_ONCE: usize = 1 << 14;

/// The logits of a batch are tens of millions of values: inside a run of them nothing branches, so that the processor
/// compares several at a time, and the cores that the model has just left share the runs.
fn all(values: &[f32], sound: impl Fn(&f32) -> bool + Sync) -> bool {
    let run_is_sound = |run: &[f32]| run.iter().fold(true, |all, value| all & sound(value));
    if values.len() <= AT_ONCE {
        return run_is_sound(values);
    }
    values.par_chunks(AT_ONCE).all(run_is_sound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    fn found(values: &Array3<f32>, mask: &Array2<i64>, allowed: Allowed) -> Option<String> {
        check("tap", &values.view().into_dyn(), mask, allowed)
            .err()
            .map(|fault| fault.found)
    }

    #[test]
    fn unsound_values_are_named_with_their_place_unless_they_stand_at_padding() {
        let mask = array![[1, 1], [1, 0]];
        let mut values = Array3::zeros((2, 2, 3));
        assert_eq!(found(&values, &mask, Allowed::Finite), None);
        values[[1, 1, 0]] = f32::NAN;
        assert_eq!(found(&values, &mask, Allowed::Finite), None);
        values[[0, 1, 2]] = f32::NEG_INFINITY;
        assert_eq!(
            found(&values, &mask, Allowed::Finite).as_deref(),
            Some("-inf at [0, 1, 2]")
        );
        assert_eq!(found(&values, &mask, Allowed::Infinite), None);
        values[[1, 0, 0]] = f32::NAN;
        assert_eq!(
            found(&values, &mask, Allowed::Infinite).as_deref(),
            Some("NaN at [1, 0, 0]")
        );
    }

    #[test]
    fn one_unsound_value_anywhere_in_a_large_output_is_found() {
        let (rows, width) = (3, AT_ONCE + 1);
        let mask = Array2::ones((1, rows));
        for token in 0..rows {
            for place in [0, 1, AT_ONCE - 1, AT_ONCE] {
                let mut values = Array3::zeros((1, rows, width));
                values[[0, token, place]] = f32::INFINITY;
                let expected = format!("inf at [0, {token}, {place}]");
                assert_eq!(found(&values, &mask, Allowed::Finite), Some(expected));
                assert_eq!(found(&values, &mask, Allowed::Infinite), None);
                values[[0, token, place]] = f32::NAN;
                let expected = format!("NaN at [0, {token}, {place}]");
                assert_eq!(found(&values, &mask, Allowed::Infinite), Some(expected));
            }
        }
    }

    #[test]
    fn an_output_of_another_shape_is_looked_at_everywhere() {
        let mask = array![[1, 0]];
        let mut values = Array3::zeros((1, 1, 1));
        values[[0, 0, 0]] = f32::NAN;
        assert!(found(&values, &mask, Allowed::Finite).is_some());
    }
}
