//! The keys and values of the tokens that a model has read.

use std::collections::BTreeMap;
use std::fmt;

use ndarray::{Array2, Axis, concatenate};
use ort::value::DynValue;

/// The key/value cache of a batch of texts; it grows with each [`super::Session::extend`]. A new one is empty.
#[derive(Default)]
pub struct Cache {
    /// 1 for a real token, 0 for padding, `[batch, past]`.
    seen: Array2<i64>,
    /// For each of the model's cache inputs, what it is fed next.
    values: BTreeMap<String, DynValue>,
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many tokens it holds, padding included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.ncols()
    }

    /// Whether no token has been read.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many texts it belongs to; 0 while it is empty.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.seen.nrows()
    }

    pub(super) fn seen(&self) -> &Array2<i64> {
        &self.seen
    }

    pub(super) fn value(&self, input: &str) -> Option<&DynValue> {
        self.values.get(input)
    }

    pub(super) fn grow(&mut self, mask: &Array2<i64>, values: BTreeMap<String, DynValue>) {
        self.seen = if self.is_empty() {
            mask.clone()
        } else {
            // The rows agree: a run with others was refused.
            concatenate(Axis(1), &[self.seen.view(), mask.view()]).unwrap_or_default()
        };
        self.values = values;
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("seen", &self.seen)
            .field("values", &self.values.len())
            .finish()
    }
}
