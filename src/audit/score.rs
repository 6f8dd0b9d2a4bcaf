//! Reads the model with its detectors: linear probes inside the graph, SAE features on the tapped activations.

use std::collections::BTreeSet;

use ndarray::{Array2, Axis};

use super::preflight::Bench;
use super::study::{Chunk, Study};
use crate::causal::{Engine, Runs as _};
use crate::detect::sae::Measuring;
use crate::detect::{Detector, Loaded};
use crate::evidence::{Fit, Outcome, Score, TokenScores};
use crate::fault::Result;
use crate::instrument::Head;
use crate::lab::{Reading, encode_item, span_positions};
use crate::model::SiteName;
use crate::rules::{CausalRequest, Rule, RulePack};
use crate::run::Runtime;
use crate::tokens::Item;

/// One graph for the whole audit: taps and writes wherever a rule patches or a detector reads, a head for each probe.
///
/// # Errors
/// A site is missing or cannot be written, or the runtime refuses the graph.
pub fn instrument(runtime: &Runtime, bench: &Bench, rules: &RulePack) -> Result<Engine> {
    let subject = &bench.subject;
    let (sites, heads) = additions(bench, rules)?;
    Engine::open(
        runtime,
        &subject.model,
        &subject.arch,
        &sites,
        &sites,
        heads,
    )
}

/// Whether that graph can be made, before anything is run.
///
/// # Errors
/// A site is missing or cannot be written.
pub fn check(bench: &Bench, rules: &RulePack) -> Result<()> {
    let subject = &bench.subject;
    let (sites, heads) = additions(bench, rules)?;
    Engine::check(&subject.model, &subject.arch, &sites, &sites, heads)
}

fn additions(bench: &Bench, rules: &RulePack) -> Result<(Vec<SiteName>, Vec<Head>)> {
    let arch = &bench.subject.arch;
    let patched = rules
        .rules
        .iter()
        .flat_map(Rule::evidence)
        .filter_map(|request| match request {
            CausalRequest::Patching { point, .. } => Some(*point),
            _ => None,
        });
    let mut sites: BTreeSet<SiteName> = patched
        .flat_map(|point| (0..arch.n_layers).map(move |layer| SiteName::block(layer, point)))
        .filter(|&site| arch.site(site).is_some())
        .collect();
    for detector in &bench.detectors {
        sites.extend([detector.card.site, detector.site_out()?]);
    }
    let heads = bench
        .detectors
        .iter()
        .filter(|detector| rides(detector))
        .filter_map(|detector| detector.head().transpose())
        .collect::<Result<Vec<Head>>>()?;
    Ok((sites.into_iter().collect(), heads))
}

impl Study<'_> {
    /// Whether all that detectors say is there already.
    pub(super) fn is_read(&self) -> bool {
        let mut chunks = self.chunks().into_iter();
        self.shelf.has_fits()
            && chunks.all(|chunk| self.shelf.has_scores(chunk.number, chunk.index))
    }

    /// Scores every item of every suite with every detector, and measures how the SAEs fit.
    ///
    /// # Errors
    /// A run fails, a score is not finite, or the disk is full.
    pub(super) fn read_detectors(&mut self, engine: &Engine) -> Result<()> {
        let chunks = self.chunks();
        self.stage("reading detectors", chunks.len());
        let bench = self.bench;
        let mut fits: Vec<Option<Measuring<'_>>> = bench
            .detectors
            .iter()
            .map(|one| Some(Measuring::new(one.sae()?)))
            .collect();
        // A fit is a sum over every token, which is not stored in parts: what was read before is read again for it.
        let fitting = !self.shelf.has_fits() && fits.iter().any(Option::is_some);
        for chunk in &chunks {
            let there = self.shelf.has_scores(chunk.number, chunk.index);
            if !there || fitting {
                let _span = tracing::info_span!("score", suite = chunk.suite.id).entered();
                let items = chunk.items()?;
                let scored = self.score(engine, chunk, &items, &mut fits)?;
                if !there {
                    let rows: Vec<Score<'_>> = scored.rows().collect();
                    self.shelf
                        .put_scores(chunk.number, chunk.index, &rows, &scored.tokens)?;
                }
            }
            self.progress.step(1);
        }
        if self.shelf.has_fits() {
            return Ok(());
        }
        let fits = bench.detectors.iter().zip(&fits).filter_map(|(one, fit)| {
            let measured = fit.as_ref()?.finish();
            Some(measured.map(|measured| Fit {
                detector: one.card.id.clone(),
                measured,
            }))
        });
        let fits: Vec<Fit> = fits.collect::<Result<_>>()?;
        self.shelf.put_fits(&fits)
    }

    /// What every detector says of some items. Those that the model could not be run on are left out.
    fn score<'c>(
        &self,
        engine: &Engine,
        chunk: &Chunk<'c>,
        items: &'c [Item],
        fits: &mut [Option<Measuring<'_>>],
    ) -> Result<Scored<'c>> {
        let detectors = &self.bench.detectors;
        let responses = self.shelf.answers().chunk(chunk.number, chunk.index)?;
        let mut readings = Vec::with_capacity(items.len());
        for (item, response) in items.iter().zip(&responses) {
            if response.outcome != Outcome::Failed {
                let tokenizer = &self.bench.subject.tokenizer;
                readings.push(encode_item(tokenizer, item, Some(&response.text))?);
            }
        }
        // Of each detector what it reads, and what its SAE reconstructs.
        let mut sites: Vec<SiteName> = Vec::with_capacity(2 * detectors.len());
        for detector in detectors {
            sites.extend([detector.card.site, detector.site_out()?]);
        }
        let floats: usize = sites.iter().map(|&site| self.width(site)).sum();
        let mut scored = Scored::of(chunk);
        for readings in batches(&readings, floats) {
            let prompts: Vec<&[i64]> = readings
                .iter()
                .map(|reading| reading.encoded.ids.as_slice())
                .collect();
            let mut heads = columns_of(engine.head_scores(&prompts)?);
            let activations = engine.plain_activations(&prompts, &sites)?;
            for (tap, (detector, fit)) in detectors.iter().zip(fits.iter_mut()).enumerate() {
                // Token scores of every item: [seq, features], or [seq, 1] for a probe.
                let scores = if rides(detector) {
                    heads.next().unwrap_or_default()
                } else {
                    let of_prompts = activations.iter();
                    of_prompts
                        .map(|of_prompt| detector.token_scores(of_prompt[2 * tap].view()))
                        .collect::<Result<_>>()?
                };
                for (reading, scores) in readings.iter().zip(&scores) {
                    scored.note(detector, reading, scores)?;
                }
                if let Some(fit) = fit {
                    for (reading, of_prompt) in readings.iter().zip(&activations) {
                        let [x, y] = [2 * tap, 2 * tap + 1]
                            .map(|site| plain_rows(reading, &of_prompt[site]));
                        fit.add(x.view(), y.view())?;
                    }
                }
            }
        }
        Ok(scored)
    }

    /// Numbers that a site has at a position.
    fn width(&self, site: SiteName) -> usize {
        let site = self.bench.subject.arch.site(site);
        site.and_then(|site| site.layout.per_position())
            .unwrap_or(1)
    }
}

/// Bytes of activations that are held at once.
const AT_ONCE: usize = 64 << 20;

/// Readings in as many batches as keep `floats` numbers of each token within memory; one reading at least in each.
fn batches<'r, 'i>(
    readings: &'r [Reading<'i>],
    floats: usize,
) -> impl Iterator<Item = &'r [Reading<'i>]> {
    let most = AT_ONCE / (floats.max(1) * size_of::<f32>());
    let mut rest = readings;
    std::iter::from_fn(move || {
        let mut tokens = 0;
        let fits = rest.iter().take_while(|reading| {
            tokens += reading.encoded.ids.len();
            tokens <= most
        });
        let n = fits.count().max(1).min(rest.len());
        let (batch, after) = rest.split_at(n);
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

/// Whether a detector is a head of the graph. An encoder whose features compete would run as a whole in every pass of a
/// patching map; the fit of an SAE encodes the tapped activations anyway.
pub(super) fn rides(detector: &Detector) -> bool {
    match &detector.weights {
        Loaded::Probe(_) => true,
        Loaded::Sae(sae) => !detector.card.features.is_empty() && !sae.features_compete(),
    }
}

/// `[prompt][head]` turned into one list of prompts for each head.
fn columns_of(heads: Vec<Vec<Array2<f32>>>) -> impl Iterator<Item = Vec<Array2<f32>>> {
    let n = heads.first().map_or(0, Vec::len);
    let mut columns: Vec<Vec<Array2<f32>>> = vec![Vec::with_capacity(heads.len()); n];
    for of_prompt in heads {
        for (column, scores) in columns.iter_mut().zip(of_prompt) {
            column.push(scores);
        }
    }
    columns.into_iter()
}

/// What the detectors say of some items of a suite.
struct Scored<'a> {
    suite: &'a str,
    items: Vec<(&'a Item, f64)>,
    /// One for each of `items`.
    tokens: Vec<TokenScores>,
}

impl<'a> Scored<'a> {
    fn of(chunk: &Chunk<'a>) -> Self {
        Self {
            suite: &chunk.suite.id,
            items: Vec::new(),
            tokens: Vec::new(),
        }
    }

    /// Adds one score for the item (and each feature), given its token scores `[seq, features]`; none where the detector's span
    /// has no token.
    fn note(
        &mut self,
        detector: &Detector,
        reading: &Reading<'a>,
        scores: &Array2<f32>,
    ) -> Result<()> {
        let card = &detector.card;
        let span = span_positions(&reading.encoded, card.span);
        if span.is_empty() {
            return Ok(());
        }
        for score in detector.item_scores(scores.view(), &span)? {
            self.items.push((reading.item, score.value));
            self.tokens.push(TokenScores {
                suite: self.suite.to_owned(),
                item: reading.item.id.clone(),
                detector: card.id.clone(),
                feature: score.feature,
                tokens: reading.encoded.tokens.clone(),
                scores: score.tokens,
                span: span.clone(),
            });
        }
        Ok(())
    }

    fn rows(&self) -> impl Iterator<Item = Score<'_>> {
        let items = self.items.iter().zip(&self.tokens);
        items.map(|((item, value), tokens)| Score {
            suite: self.suite,
            item: &item.id,
            group: &item.group,
            condition: &item.condition,
            detector: &tokens.detector,
            feature: tokens.feature,
            value: *value,
        })
    }
}

/// Rows of an activation `[seq, d_model]` without special tokens.
fn plain_rows(reading: &Reading<'_>, activation: &Array2<f32>) -> Array2<f32> {
    let rows: Vec<usize> = (0..activation.nrows())
        .filter(|&row| !reading.encoded.special.get(row).copied().unwrap_or(false))
        .collect();
    activation.select(Axis(0), &rows)
}
