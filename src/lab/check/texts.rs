//! The texts that detectors are checked on.

use crate::fault::Result;
use crate::lab::encode_items;
use crate::tokens::{Encoded, Item, Suite, Tokenizer};

/// Suites of items, or prompts without any word on what they are.
#[derive(Debug)]
pub struct Texts<'a>(Vec<Corpus<'a>>);

/// One suite, or the prompts of a file.
#[derive(Debug)]
pub(super) struct Corpus<'a> {
    /// The suite, with its items in the order of the texts.
    pub suite: Option<&'a Suite>,
    pub texts: Vec<Encoded>,
}

impl<'a> Texts<'a> {
    /// The items of suites, each with the response that it states.
    ///
    /// # Errors
    /// The tokenizer fails on a prompt.
    pub fn of_suites(tokenizer: &Tokenizer, suites: &'a [Suite]) -> Result<Self> {
        let corpus = |suite: &'a Suite| {
            let readings = encode_items(tokenizer, suite)?;
            Ok(Corpus {
                suite: Some(suite),
                texts: readings.into_iter().map(|one| one.encoded).collect(),
            })
        };
        suites.iter().map(corpus).collect::<Result<_>>().map(Self)
    }

    /// Prompts.
    #[must_use]
    pub fn of_prompts(texts: Vec<Encoded>) -> Self {
        Self(vec![Corpus { suite: None, texts }])
    }

    pub(super) fn corpora(&self) -> &[Corpus<'a>] {
        &self.0
    }

    /// Number of texts.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().map(|corpus| corpus.texts.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tokens that count: all but special ones.
    #[must_use]
    pub fn tokens(&self) -> usize {
        let texts = self.0.iter().flat_map(|corpus| &corpus.texts);
        texts.map(|text| plain(text).len()).sum()
    }

    /// The ids of every text, and which of its tokens count.
    pub(super) fn prompts(&self) -> (Vec<Vec<i64>>, Vec<Vec<bool>>) {
        let texts = self.0.iter().flat_map(|corpus| &corpus.texts);
        texts
            .map(|text| {
                let keep = text.special.iter().map(|special| !special).collect();
                (text.ids.clone(), keep)
            })
            .unzip()
    }
}

impl Corpus<'_> {
    /// The item of each text.
    pub fn items(&self) -> &[Item] {
        self.suite.map_or(&[], |suite| &suite.items)
    }
}

/// Positions that are not of special tokens.
pub(super) fn plain(text: &Encoded) -> Vec<usize> {
    let special = |position: usize| text.special.get(position).copied().unwrap_or(false);
    (0..text.ids.len())
        .filter(|&position| !special(position))
        .collect()
}
