//! Labelled items and their activations, for training and calibrating detectors.

use std::collections::BTreeMap;

use ndarray::{Array2, Axis};

use super::read::{Reading, encode_items, span_positions};
use super::subject::Subject;
use crate::causal::{Engine, Runs as _};
use crate::detect::train::About;
use crate::detect::{Span, SplitItem};
use crate::fault::{Fault, Result};
use crate::model::SiteName;
use crate::run::Runtime;
use crate::tokens::{Suite, without_negation};

/// Items of suites with the activations of their span at several sites.
pub struct Labelled<'a> {
    /// The items, in the order of the suites.
    pub readings: Vec<Reading<'a>>,
    /// `[site][item]`: activations `[span, d_model]`.
    pub activations: Vec<Vec<Array2<f32>>>,
    contents: Vec<String>,
    /// Of each item without its negation, and whether it has one.
    statements: Vec<(String, bool)>,
    /// The number of each item's counterpart.
    pairs: Vec<Option<usize>>,
    /// The data set of each item, as a number.
    dataset_of: Vec<usize>,
    datasets: Vec<&'a str>,
}

impl<'a> Labelled<'a> {
    /// Reads a suite at `sites`.
    ///
    /// # Errors
    /// An item has no token of the span, or a run fails.
    pub fn read(
        runtime: &Runtime,
        subject: &Subject,
        suite: &'a Suite,
        sites: &[SiteName],
        span: Span,
    ) -> Result<Self> {
        Self::read_all(runtime, subject, &[suite], sites, span)
    }

    /// Reads several suites at `sites`, one after the other. Groups of one name are one group, whichever suite they stand in.
    ///
    /// # Errors
    /// As for [`Labelled::read`].
    pub fn read_all(
        runtime: &Runtime,
        subject: &Subject,
        suites: &[&'a Suite],
        sites: &[SiteName],
        span: Span,
    ) -> Result<Self> {
        let mut readings = Vec::new();
        let mut pairs = Vec::new();
        let mut dataset_of = Vec::new();
        let mut datasets: Vec<&'a str> = Vec::new();
        for suite in suites {
            pairs.extend(pairs_of(suite, readings.len()));
            for item in &suite.items {
                let name = item.dataset.as_deref().unwrap_or(&suite.id);
                let known = datasets.iter().position(|dataset| *dataset == name);
                dataset_of.push(known.unwrap_or(datasets.len()));
                if known.is_none() {
                    datasets.push(name);
                }
            }
            readings.extend(encode_items(&subject.tokenizer, suite)?);
        }
        let engine = Engine::open(
            runtime,
            &subject.model,
            &subject.arch,
            sites,
            &[],
            Vec::new(),
        )?;
        let prompts: Vec<&[i64]> = readings
            .iter()
            .map(|reading| reading.encoded.ids.as_slice())
            .collect();
        let captured = engine.plain_activations(&prompts, sites)?;
        let mut activations = vec![Vec::with_capacity(readings.len()); sites.len()];
        for (reading, of_prompt) in readings.iter().zip(captured) {
            let positions = span_positions(&reading.encoded, span);
            if positions.is_empty() {
                return Err(Fault::usage(
                    format!("reading the suite `{}`", suite_of(suites, reading)),
                    format!(
                        "item `{}` without a token of the span `{span}`",
                        reading.item.id
                    ),
                )
                .expected("a `response` in every item where the span is the response"));
            }
            for (of_site, values) in activations.iter_mut().zip(of_prompt) {
                of_site.push(values.select(Axis(0), &positions));
            }
        }
        let contents: Vec<String> = readings
            .iter()
            .map(|reading| {
                format!(
                    "{} {}",
                    reading.item.prompt,
                    reading.item.response.as_deref().unwrap_or_default()
                )
            })
            .collect();
        let statements = contents.iter().map(|text| without_negation(text)).collect();
        Ok(Self {
            readings,
            activations,
            contents,
            statements,
            pairs,
            dataset_of,
            datasets,
        })
    }

    /// The label of every item.
    ///
    /// # Errors
    /// An item has none.
    pub fn labels(&self) -> Result<Vec<bool>> {
        self.readings
            .iter()
            .map(|reading| {
                reading.item.label.map(|label| label == 1).ok_or_else(|| {
                    Fault::usage(
                        "reading labels",
                        format!("item `{}` without a label", reading.item.id),
                    )
                    .expected("`label` 0 or 1 in every item of a calibration suite")
                })
            })
            .collect()
    }

    /// What a grouped split has to know of every item: its group, and the text that may not stand on both sides.
    #[must_use]
    pub fn split_items(&self) -> Vec<SplitItem<'_>> {
        self.readings
            .iter()
            .zip(&self.contents)
            .enumerate()
            .map(|(item, (reading, content))| SplitItem {
                group: &reading.item.group,
                content,
                tokens: &reading.encoded.ids,
                pair: self.pairs[item].map(|pair| (item, pair)),
                statement: (&self.statements[item].0, self.statements[item].1),
            })
            .collect()
    }

    /// Prompt and response of every item.
    #[must_use]
    pub fn contents(&self) -> Vec<&str> {
        self.contents.iter().map(String::as_str).collect()
    }

    /// The group of every item.
    #[must_use]
    pub fn groups(&self) -> Vec<&str> {
        self.readings
            .iter()
            .map(|reading| reading.item.group.as_str())
            .collect()
    }

    /// What kinds of probe may have to know of every item.
    #[must_use]
    pub fn about(&self) -> Vec<About> {
        self.readings
            .iter()
            .enumerate()
            .map(|(item, reading)| About {
                item,
                dataset: self.dataset_of[item],
                polarity: reading.item.polarity,
                pair: self.pairs[item],
            })
            .collect()
    }

    /// Names of the data sets, in the order in which they are met; the `dataset` of [`Labelled::about`] counts them.
    #[must_use]
    pub fn datasets(&self) -> &[&'a str] {
        &self.datasets
    }
}

/// The number of each item's counterpart, from `first` on; an item that is named by another has that one.
fn pairs_of(suite: &Suite, first: usize) -> Vec<Option<usize>> {
    let places: BTreeMap<&str, usize> = suite
        .items
        .iter()
        .enumerate()
        .map(|(place, item)| (item.id.as_str(), place))
        .collect();
    let mut pairs = vec![None; suite.items.len()];
    for (place, item) in suite.items.iter().enumerate() {
        let named = item.pair.as_deref().and_then(|pair| places.get(pair));
        if let Some(&other) = named {
            pairs[place] = Some(first + other);
            pairs[other] = pairs[other].or(Some(first + place));
        }
    }
    pairs
}

fn suite_of<'s>(suites: &[&'s Suite], reading: &Reading<'_>) -> &'s str {
    let holds = |suite: &&&Suite| {
        suite
            .items
            .iter()
            .any(|item| std::ptr::eq(item, reading.item))
    };
    suites.iter().find(holds).map_or("", |suite| &suite.id)
}

/// The mean over the span of each item, `[n, d_in]`.
pub(super) fn item_means(activations: &[Array2<f32>]) -> Result<Array2<f32>> {
    let rows: Vec<_> = activations
        .iter()
        .filter_map(|rows| rows.mean_axis(Axis(0)))
        .collect();
    let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
    ndarray::stack(Axis(0), &views)
        .map_err(|error| Fault::failed("averaging activations", error.to_string()))
}
