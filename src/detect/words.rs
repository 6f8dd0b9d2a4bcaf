//! Texts as counts of words: what logistic regression makes of these is the least that a probe has to beat.
#![allow(clippy::cast_precision_loss, reason = "words are far fewer than 2^52")]

use std::collections::{BTreeMap, HashMap};

use ndarray::{Array1, ArrayView1};

use super::train::Design;

/// The most frequent words are counted, the rest left out.
const LARGEST_VOCABULARY: usize = 4096;

/// Words are runs of letters and digits, lower-cased.
fn word_counts(text: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let words = text
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty());
    for word in words {
        *counts.entry(word.to_lowercase()).or_default() += 1;
    }
    counts
}

/// The words of the texts that are learnt from, and how their counts are z-scored.
pub(super) struct Vocabulary {
    column_of: HashMap<String, usize>,
    mean: Array1<f64>,
    /// 1/σ, and 0 for a word that every text holds as often.
    inverse: Array1<f64>,
}

/// Z-scored word counts `[n, words]`, of which only those that are not 0 before are held.
pub(super) struct Words<'a> {
    vocabulary: &'a Vocabulary,
    /// Column and count of each word of each text.
    rows: Vec<Vec<(usize, f64)>>,
}

impl Vocabulary {
    /// The most frequent words of `texts`; `None` where there is none.
    pub fn of(texts: &[&str]) -> Option<Self> {
        let counts: Vec<BTreeMap<String, usize>> =
            texts.iter().map(|text| word_counts(text)).collect();
        let mut totals: BTreeMap<&str, usize> = BTreeMap::new();
        for (word, count) in counts.iter().flatten() {
            *totals.entry(word).or_default() += count;
        }
        let mut frequent: Vec<(&str, usize)> = totals.into_iter().collect();
        frequent.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        frequent.truncate(LARGEST_VOCABULARY);
        if frequent.is_empty() {
            return None;
        }
        let column_of: HashMap<String, usize> = frequent
            .into_iter()
            .enumerate()
            .map(|(column, (word, _))| (word.to_owned(), column))
            .collect();
        let (mut sums, mut squares) = (
            Array1::<f64>::zeros(column_of.len()),
            Array1::<f64>::zeros(column_of.len()),
        );
        for (word, count) in counts.iter().flatten() {
            if let Some(&column) = column_of.get(word) {
                let count = *count as f64;
                sums[column] += count;
                squares[column] += count * count;
            }
        }
        let n = texts.len() as f64;
        let mean = sums / n;
        // Counts are small whole numbers: a word that is the same everywhere has exactly n²·σ² = 0.
        let variance = (&squares * n - (&mean * n).mapv(|sum| sum * sum)) / (n * n);
        let inverse = variance.mapv(|variance| {
            if variance > 0.0 {
                variance.sqrt().recip()
            } else {
                0.0
            }
        });
        Some(Self {
            column_of,
            mean,
            inverse,
        })
    }

    /// The counts of its words in `texts`.
    pub fn counts(&self, texts: &[&str]) -> Words<'_> {
        let row = |text: &&str| {
            let counts = word_counts(text).into_iter();
            let known = counts
                .filter_map(|(word, count)| Some((*self.column_of.get(&word)?, count as f64)));
            known.collect()
        };
        Words {
            vocabulary: self,
            rows: texts.iter().map(row).collect(),
        }
    }
}

impl Design for Words<'_> {
    fn dim(&self) -> (usize, usize) {
        (self.rows.len(), self.vocabulary.mean.len())
    }

    fn times(&self, weight: ArrayView1<f64>) -> Array1<f64> {
        let raw = &weight * &self.vocabulary.inverse;
        let shift = raw.dot(&self.vocabulary.mean);
        let of_row = |row: &Vec<(usize, f64)>| {
            let sum: f64 = row.iter().map(|(column, count)| raw[*column] * count).sum();
            sum - shift
        };
        self.rows.iter().map(of_row).collect()
    }

    fn transposed_times(&self, by_row: &Array1<f64>) -> Array1<f64> {
        let mut sums = &self.vocabulary.mean * -by_row.sum();
        for (row, factor) in self.rows.iter().zip(by_row) {
            for (column, count) in row {
                sums[*column] += count * factor;
            }
        }
        sums * &self.vocabulary.inverse
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop")]
mod tests {
    use ndarray::{Array1, Array2, Axis};

    use super::Vocabulary;
    use crate::detect::train::Design as _;

    #[test]
    fn products_are_those_of_z_scored_counts() {
        let texts = ["a b b", "b c", "a a c", "b"];
        let counts = |text: &str, word: &str| text.split(' ').filter(|one| *one == word).count();
        let vocabulary = Vocabulary::of(&texts).unwrap();
        let mut dense = Array2::<f64>::zeros((texts.len(), 3));
        for (word, column) in &vocabulary.column_of {
            for (row, text) in texts.iter().enumerate() {
                dense[[row, *column]] = f64::from(u32::try_from(counts(text, word)).unwrap());
            }
        }
        dense -= &dense.mean_axis(Axis(0)).unwrap();
        dense /= &dense.std_axis(Axis(0), 0.0);
        let words = vocabulary.counts(&texts);
        let weight = Array1::from_vec(vec![0.5, -2.0, 3.0]);
        let by_row = Array1::from_vec(vec![1.0, -0.25, 2.0, 4.0]);
        let close = |one: Array1<f64>, other: Array1<f64>| {
            assert!(
                (&one - &other).iter().all(|d| d.abs() < 1e-12),
                "{one} {other}"
            );
        };
        close(words.times(weight.view()), dense.dot(&weight));
        close(words.transposed_times(&by_row), dense.t().dot(&by_row));
        close(
            dense.view().transposed_times(&by_row),
            dense.t().dot(&by_row),
        );
    }
}
