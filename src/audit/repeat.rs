//! Asks a few items again, alone instead of in their batch: what changes although nothing was changed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use rand::SeedableRng as _;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::preflight::Bench;
use super::said::{self, Lookup};
use super::score::rides;
use super::study::Study;
use crate::archive::Answers;
use crate::causal::{Engine, Runs as _};
use crate::detect::Detector;
use crate::evidence::{Outcome, Repeated, RepeatedScore};
use crate::fault::Result;
use crate::lab::{encode_item, span_positions};
use crate::model::SiteName;
use crate::tokens::{Encoded, Item, Judge, StoredItems, Suite};

/// One item of so many is asked again. Each item runs at least as often in an audit (asked, compared, read) as when it is repeated,
/// which is dearer alone: this stays below a twentieth of the work even without causal evidence.
const ONE_OF: usize = 32;
/// A rate over fewer items says nothing.
const LEAST: usize = 16;
const MOST: usize = 64;

impl Study<'_> {
    /// Asks a random sample of the items that were answered again and reads their first answers again, each alone, on the instrumented
    /// graph. The answers are those of a run in other company, the scores those of the same tokens: what differs is noise.
    ///
    /// # Errors
    /// A run fails, or the disk is full.
    pub(super) fn repeat(&mut self, engine: &Engine) -> Result<()> {
        if self.shelf.has_repeats() {
            return Ok(());
        }
        let suites = &self.prepared.suites;
        let items: usize = suites.iter().map(|suite| suite.items.len()).sum();
        let n = (items / ONE_OF).clamp(LEAST, MOST);
        let chosen = chosen(suites, &self.shelf.answers(), n, self.config.seed)?;
        let _span = tracing::info_span!("repeat", items = chosen.len()).entered();
        self.stage("asking again", chosen.len());
        let repeats = ask_again(self.bench, engine, &chosen, &|| self.progress.step(1))?;
        self.shelf.put_repeats(&repeats)
    }
}

/// An item that is asked again, and what was said to it.
pub(super) struct Chosen<'a> {
    suite: &'a Suite<StoredItems>,
    item: Item,
    /// What was said before.
    pub said: String,
}

/// At most `n` items that were answered, drawn by the seed, in the order of the suites.
///
/// # Errors
/// A part of the evidence cannot be read or was changed.
pub(super) fn chosen<'a>(
    suites: &'a [Suite<StoredItems>],
    answers: &Answers<'_>,
    n: usize,
    seed: u64,
) -> Result<Vec<Chosen<'a>>> {
    let mut answered: Vec<(u32, u32)> = Vec::new();
    for (suite, number) in suites.iter().zip(1_u32..) {
        said::each(answers, suite, number as usize, &mut |place, response| {
            // A suite holds fewer items than that.
            if let (true, Ok(place)) = (response.outcome != Outcome::Failed, place.try_into()) {
                answered.push((number, place));
            }
        })?;
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let n = n.min(answered.len());
    let mut drawn = index::sample(&mut random, answered.len(), n).into_vec();
    drawn.sort_unstable();
    let mut said = Lookup::new(answers.clone());
    let mut chosen = Vec::with_capacity(n);
    for index in drawn {
        let Some(&(number, place)) = answered.get(index) else {
            continue;
        };
        let (number, place) = (number as usize, place as usize);
        if let Some(suite) = suites.get(number - 1) {
            chosen.push(Chosen {
                suite,
                item: suite.items.get(place)?,
                said: said.text(number, place)?,
            });
        }
    }
    Ok(chosen)
}

/// Asks items alone, and reads what was said to them before.
///
/// # Errors
/// A run fails.
pub(super) fn ask_again(
    bench: &Bench,
    engine: &Engine,
    chosen: &[Chosen<'_>],
    step: &dyn Fn(),
) -> Result<Vec<Repeated>> {
    let tokenizer = &bench.subject.tokenizer;
    let stop = tokenizer.stop_ids()?;
    let mut judges: BTreeMap<&str, Judge> = BTreeMap::new();
    let mut repeats = Vec::with_capacity(chosen.len());
    for Chosen { suite, item, said } in chosen {
        let judge = match judges.entry(&suite.id) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => place.insert(Judge::of_items(&suite.items)?),
        };
        let text = if let Some(stated) = &item.response {
            stated.clone()
        } else {
            let prompt = tokenizer.encode(&item.prompt)?.ids;
            tokenizer.decode(&engine.greedy(&prompt, suite.max_new_tokens, &stop)?)?
        };
        let encoded = encode_item(tokenizer, item, Some(said))?.encoded;
        repeats.push(Repeated {
            suite: suite.id.clone(),
            item: item.id.clone(),
            outcome: judge.outcome(item, &text),
            text,
            scores: scores(engine, &bench.detectors, &encoded)?,
        });
        step();
    }
    Ok(repeats)
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
