//! What pieces make, put together from several runs.

use super::batch::Batch;
use crate::fault::Result;
use crate::run::{Held, Parts};

/// What a piece makes of the tokens of a batch, in several runs.
pub(super) struct Making(Vec<(String, Parts)>);

impl Making {
    /// The tensors of these names, each of so many tokens.
    pub fn of(names: &[String], tokens: usize) -> Self {
        Self(
            names
                .iter()
                .map(|name| (name.clone(), Parts::of(tokens)))
                .collect(),
        )
    }

    /// Adds what a run has made, or those of its tokens that are named.
    pub fn add(&mut self, name: &str, values: Held<'_>, some: Option<&Vec<usize>>) -> Result<()> {
        match self.0.iter_mut().find(|(own, _)| own == name) {
            Some((_, parts)) => parts.add(values, some.map(Vec::as_slice)),
            None => Ok(()),
        }
    }

    /// Lets a batch hold it all.
    pub fn held(self, batch: &mut Batch<'_>) -> Result<()> {
        for (name, parts) in self.0 {
            batch.hold(&name, parts.joined()?);
        }
        Ok(())
    }
}
