//! Texts that repeat, such as ids, groups and conditions, each held once and called by a number.

use std::sync::Arc;

use string_interner::StringInterner;
use string_interner::backend::StringBackend;
use string_interner::symbol::SymbolU32;

/// The number of a text.
pub type Number = SymbolU32;

/// Numbered texts. A copy shares them until one of the two learns another.
#[derive(Debug, Clone)]
pub struct Names(Arc<StringInterner<StringBackend>>);

impl Default for Names {
    fn default() -> Self {
        Self(Arc::new(StringInterner::new()))
    }
}

impl Names {
    /// The number of a text, which is held from now on.
    pub fn number(&mut self, text: &str) -> Number {
        match self.0.get(text) {
            Some(number) => number,
            None => Arc::make_mut(&mut self.0).get_or_intern(text),
        }
    }

    /// The number of a text that is held.
    pub fn known(&self, text: &str) -> Option<Number> {
        self.0.get(text)
    }

    /// The text of a number of these names.
    pub fn text(&self, number: Number) -> &str {
        self.0.resolve(number).unwrap_or_default()
    }
}
