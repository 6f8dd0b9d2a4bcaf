//! Asks a few items again, alone instead of in their batch: what changes although nothing was changed.

use std::collections::BTreeMap;

use rand::SeedableRng as _;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::score::rides;
use super::study::Study;
use crate::causal::{Engine, Runs as _};
use crate::detect::Detector;
use crate::evidence::{Outcome, Repeated, RepeatedScore, Response};
use crate::fault::Result;
use crate::lab::{encode_item, span_positions};
use crate::model::SiteName;
use crate::tokens::{Encoded, Item, Judge, Suite};

/// One item of so many is asked again. Each item runs at least three times in an audit (asked, compared, read) and twice when it is
/// repeated, so that this stays near a twentieth of the work however much causal evidence there is.
const ONE_OF: usize = 16;
/// A rate over fewer items says nothing.
const LEAST: usize = 16;
const MOST: usize = 64;

impl Study<'_> {
    /// Asks a random sample of the items that were answered again and reads their first answers again, each alone, on the instrumented
    /// graph. The answers are those of a run in other company, the scores those of the same tokens: what differs is noise.
    ///
    /// # Errors
    /// A run fails.
    pub(super) fn repeat(&mut self, engine: &Engine) -> Result<()> {
        if self.shelf.has_repeats() {
            return Ok(());
        }
        let prepared = self.prepared;
        let chosen = self.chosen()?;
        let mut repeats = Vec::with_capacity(chosen.len());
        let _span = tracing::info_span!("repeat", items = chosen.len()).entered();
        self.stage("asking again", chosen.len());
        let stop = self.bench.subject.tokenizer.stop_ids()?;
        let mut judges: BTreeMap<&str, Judge> = BTreeMap::new();
        for (suite, item, said) in chosen {
            let suite: &Suite = &prepared.suites[suite];
            let item: &Item = &suite.items[item];
            let judge = judges.entry(&suite.id).or_insert_with(|| Judge::of(suite));
            let tokenizer = &self.bench.subject.tokenizer;
            let text = match &item.response {
                Some(stated) => stated.clone(),
                None => {
                    let prompt = tokenizer.encode(&item.prompt)?.ids;
                    tokenizer.decode(&engine.greedy(&prompt, suite.max_new_tokens, &stop)?)?
                }
            };
            let encoded = encode_item(tokenizer, item, Some(&said))?.encoded;
            repeats.push(Repeated {
                suite: suite.id.clone(),
                item: item.id.clone(),
                outcome: judge.outcome(item, &text),
                text,
                scores: scores(engine, &self.bench.detectors, &encoded)?,
            });
            self.progress.step(1);
        }
        self.shelf.put_repeats(&repeats)
    }

    /// Places of suites and items with what was said, in the order of the suites.
    fn chosen(&self) -> Result<Vec<(usize, usize, String)>> {
        let responses = self.shelf.all_responses()?;
        let said: BTreeMap<(&str, &str), &Response> = responses
            .iter()
            .filter(|response| response.outcome != Outcome::Failed)
            .map(|response| ((response.suite.as_str(), response.item.as_str()), response))
            .collect();
        let mut answered = Vec::with_capacity(said.len());
        for (at, suite) in self.prepared.suites.iter().enumerate() {
            for (place, item) in suite.items.iter().enumerate() {
                if let Some(response) = said.get(&(suite.id.as_str(), item.id.as_str())) {
                    answered.push((at, place, *response));
                }
            }
        }
        let n = (answered.len() / ONE_OF)
            .clamp(LEAST, MOST)
            .min(answered.len());
        let mut random = ChaCha8Rng::seed_from_u64(self.config.seed);
        let mut places = index::sample(&mut random, answered.len(), n).into_vec();
        places.sort_unstable();
        let places = places.into_iter();
        Ok(places
            .map(|place| {
                let (suite, item, response) = answered[place];
                (suite, item, response.text.clone())
            })
            .collect())
    }
}

/// The scores of one item that runs alone; none of a detector that finds no token to read.
fn scores(
    engine: &Engine,
    detectors: &[Detector],
    encoded: &Encoded,
) -> Result<Vec<RepeatedScore>> {
    let prompt = [encoded.ids.as_slice()];
    let mut heads = engine.head_scores(&prompt)?.into_iter().flatten();
    let sites: Vec<SiteName> = detectors
        .iter()
        .filter(|detector| !rides(detector))
        .map(|detector| detector.card.site)
        .collect();
    let activations = engine.plain_activations(&prompt, &sites)?;
    let mut activations = activations.iter().flatten();
    let mut all = Vec::new();
    for detector in detectors {
        let by_token = if rides(detector) {
            heads.next()
        } else {
            let activation = activations.next();
            activation
                .map(|activation| detector.token_scores(activation.view()))
                .transpose()?
        };
        let span = span_positions(encoded, detector.card.span);
        let Some(by_token) = by_token.filter(|_| !span.is_empty()) else {
            continue;
        };
        let of_item = detector.item_scores(by_token.view(), &span)?;
        all.extend(of_item.into_iter().map(|score| RepeatedScore {
            detector: detector.card.id.clone(),
            feature: score.feature,
            value: score.value,
        }));
    }
    Ok(all)
}
