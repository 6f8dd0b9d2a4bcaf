//! Labelled items and their activations, for training and calibrating detectors.

use ndarray::{Array2, Axis};

use super::read::{Reading, encode_items, span_positions};
use super::subject::Subject;
use crate::causal::{Engine, Runs as _};
use crate::detect::{Span, SplitItem};
use crate::fault::{Fault, Result};
use crate::model::SiteName;
use crate::run::Runtime;
use crate::tokens::Suite;

/// Items of a suite with the activations of their span at several sites.
pub struct Labelled<'a> {
    /// The items, in the order of the suite.
    pub readings: Vec<Reading<'a>>,
    /// `[site][item]`: activations `[span, d_model]`.
    pub activations: Vec<Vec<Array2<f32>>>,
    contents: Vec<String>,
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
        let readings = encode_items(&subject.tokenizer, suite, &[])?;
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
                    format!("reading the suite `{}`", suite.id),
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
        let contents = readings
            .iter()
            .map(|reading| {
                format!(
                    "{} {}",
                    reading.item.prompt,
                    reading.item.response.as_deref().unwrap_or_default()
                )
            })
            .collect();
        Ok(Self {
            readings,
            activations,
            contents,
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
            .map(|(reading, content)| SplitItem {
                group: &reading.item.group,
                content,
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
}
