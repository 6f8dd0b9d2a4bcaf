//! Constants of one element.

use super::super::super::index::{GraphIndex, attribute};
use super::super::super::tensor;

/// The value of a constant with one element that lies in the model itself.
pub(super) fn of(index: &GraphIndex<'_>, name: &str) -> Option<f32> {
    if let Some(found) = index.constant(name) {
        let (_, count) = tensor::dims(found)?;
        if count != 1 || tensor::is_external(found) {
            return None;
        }
        let floats = tensor::floats(found, found.raw_data.as_deref());
        return floats
            .and_then(|values| values.first().copied())
            .or_else(|| {
                let whole = i16::try_from(*tensor::integers(found)?.first()?).ok()?;
                Some(f32::from(whole))
            });
    }
    let node = index.node(index.producer(name)?.0)?;
    if node.op_type() == "Constant" {
        attribute(node, "value_float")?.f
    } else {
        None
    }
}

/// The same for an integer.
pub(super) fn integer(index: &GraphIndex<'_>, name: &str) -> Option<usize> {
    match index.integers(name)?.as_slice() {
        [only] => usize::try_from(*only).ok(),
        _ => None,
    }
}
