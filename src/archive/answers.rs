//! What one model said, chunk by chunk: nothing else of it is held.

use super::{Archive, responses};
use crate::evidence::Response;
use crate::fault::Result;

/// The responses of one model.
#[derive(Debug, Clone)]
pub struct Answers<'a> {
    archive: &'a Archive,
    folder: String,
}

impl<'a> Answers<'a> {
    pub(super) fn new(archive: &'a Archive, folder: String) -> Self {
        Self { archive, folder }
    }

    pub(super) fn file(suite: usize, chunk: usize) -> String {
        format!("suite-{suite}/responses-{chunk:05}.parquet")
    }

    /// A chunk of a suite, prompts and all. Suites are counted from 1, chunks from 0.
    ///
    /// # Errors
    /// The part cannot be read or was changed.
    pub fn chunk(&self, suite: usize, chunk: usize) -> Result<Vec<Response>> {
        let file = format!("{}/{}", self.folder, Self::file(suite, chunk));
        responses::read(&file, self.archive.read(&file)?, true)
    }
}
