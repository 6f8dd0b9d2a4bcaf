//! The model under study, opened and checked.

use std::path::Path;

use crate::fault::Result;
use crate::model::{Architecture, FileDigest, Model};
use crate::tokens::Tokenizer;

/// An opened model with its architecture and its tokenizer.
pub struct Subject {
    /// Its name in reports.
    pub name: String,
    /// The exported file.
    pub model: Model,
    /// What the structure says.
    pub arch: Architecture,
    /// The tokenizer.
    pub tokenizer: Tokenizer,
    /// SHA-256 of the model and of every external file, the model first.
    pub files: Vec<FileDigest>,
}

impl Subject {
    /// Opens a model and its tokenizer (beside the model unless given) and checks that they fit together.
    ///
    /// # Errors
    /// The model or the tokenizer cannot be read, the architecture is not found, weights are not finite, or the
    /// tokenizer's vocabulary does not fit.
    pub fn open(name: &str, model: &Path, tokenizer: Option<&Path>) -> Result<Self> {
        let _span = tracing::info_span!("open", model = name).entered();
        let opened = Model::open(model)?;
        let arch = Architecture::find(&opened)?;
        opened.check_finite()?;
        let tokenizer = match tokenizer {
            Some(path) => Tokenizer::open(path)?,
            None => Tokenizer::beside(model)?,
        };
        tokenizer.fits(arch.vocab_size)?;
        let files = opened.digests()?;
        Ok(Self {
            name: name.to_owned(),
            model: opened,
            arch,
            tokenizer,
            files,
        })
    }

    /// SHA-256 of the `.onnx` file itself.
    #[must_use]
    pub fn sha256(&self) -> &str {
        self.files.first().map_or("", |file| &file.sha256)
    }
}
