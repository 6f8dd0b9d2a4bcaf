//! Explains by intervention what diverges: runs the causal evidence that the rules demand.

use std::collections::{BTreeSet, HashMap};

use ndarray::{Array1, ArrayView1, Axis};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::preflight::Bench;
use super::said::{self, Lookup};
use super::study::Study;
use super::way::in_every_layer;
use crate::archive::{MapPart, Shelf};
use crate::causal::{
    Control, Engine, Means, Pair, Removal, Row, Runs, ablate, dose_response, patch_map,
    random_control, refuse_partial,
};
use crate::detect::{Detector, Loaded, Span};
use crate::digest::short_of;
use crate::evidence::{AblationKind, Outcome, PatchMode, Unmeasured};
use crate::fault::{Fault, Result};
use crate::model::{Point, SiteName};
use crate::names::{Names, Number};
use crate::rules::{CausalRequest, Rule};
use crate::run::Runtime;
use crate::tokens::{Contrast, Purpose, StoredItems, Suite};

/// Control prompts whose loss is measured for each ablation.
const CONTROL_PROMPTS: usize = 64;
/// Pairs whose maps are made before they are written: what an interruption costs.
const PAIRS_AT_ONCE: usize = 16;

/// A contrast suite, and pairs to which the model gives different answers under its two conditions.
pub(super) struct Diverging<'a> {
    /// The suite.
    pub suite: &'a Suite<StoredItems>,
    /// Its number in the audit, from 1.
    pub number: usize,
    /// As many pairs as any intervention takes.
    pub pairs: Vec<Pair>,
}

impl<'a> Study<'a> {
    /// Runs what the rules demand on every contrast suite. Where the condition changes no answer there is nothing to
    /// explain, and no evidence is made. What was made before is not made again.
    ///
    /// # Errors
    /// A run fails, or the disk is full.
    pub(super) fn explain(&mut self, runtime: &Runtime, engine: Option<Engine>) -> Result<()> {
        let prepared = self.prepared;
        let rules = prepared.judging.rules.rules.iter();
        let requests: BTreeSet<&CausalRequest> = rules.flat_map(Rule::evidence).collect();
        self.stage("causal evidence", requests.len());
        let most = requests.iter().map(|request| request.most()).max();
        let diverging = self.diverging(most.unwrap_or(0))?;
        let done = |one: &Diverging<'_>, request| self.shelf.has_unmeasured(&step(one, request));
        let open = |one: &Diverging<'_>| (1..=requests.len()).any(|request| !done(one, request));
        if !diverging
            .iter()
            .any(|one| !one.pairs.is_empty() && open(one))
        {
            return Ok(());
        }
        let engine = match engine {
            Some(engine) => engine,
            None => self.instrument(runtime)?,
        };
        let control = self.control_prompts()?;
        let runs = self.cheapest(runtime, engine, &requests, &diverging)?;
        for one in &diverging {
            let _span = tracing::info_span!("explain", suite = one.suite.id).entered();
            for (&request, number) in requests.iter().zip(1..) {
                if !one.pairs.is_empty() && !self.shelf.has_unmeasured(&step(one, number)) {
                    let work = Work {
                        seed: self.config.seed,
                        bench: self.bench,
                        of: one,
                        request: number,
                        runs: runs.as_ref(),
                        control: &control,
                    };
                    let unmeasured = work.run(request, &mut self.shelf)?;
                    self.shelf.put_unmeasured(&step(one, number), &unmeasured)?;
                }
                self.progress.step(1);
            }
        }
        Ok(())
    }

    /// Prompts of the control suites, drawn by the seed, one of each group before any group's second.
    fn control_prompts(&self) -> Result<Vec<Control>> {
        let suites = self.prepared.suites.iter();
        let suites: Vec<_> = suites
            .filter(|suite| suite.purpose == Purpose::Control)
            .collect();
        let mut groups = Names::default();
        let mut order: Vec<(Number, (usize, usize))> = Vec::new();
        for (suite, number) in suites.iter().zip(0..) {
            for (item, place) in suite.items.iter().zip(0..) {
                order.push((groups.number(&item?.group), (number, place)));
            }
        }
        let chosen = group_by_group(order, self.config.seed).into_iter();
        chosen
            .take(CONTROL_PROMPTS)
            .map(|(_, (suite, place))| {
                let item = suites[suite].items.get(place)?;
                Ok(Control {
                    ids: self.bench.subject.tokenizer.encode(&item.prompt)?.ids,
                    group: item.group,
                })
            })
            .collect()
    }

    /// Of every contrast suite pairs that the model answers differently, at most so many, in an order that visits every group before any
    /// group twice. Pairs on which an intervention could show nothing are passed over, and that is noted.
    fn diverging(&mut self, most: usize) -> Result<Vec<Diverging<'a>>> {
        let mut all = Vec::new();
        for (suite, number) in self.prepared.suites.iter().zip(1..) {
            let Some(contrast) = &suite.contrast else {
                continue;
            };
            let (pairs, refused) = self.pairs(suite, number, contrast, most)?;
            let step = format!("pairs-{number}");
            if !self.shelf.has_unmeasured(&step) {
                self.shelf.put_unmeasured(&step, &refused)?;
            }
            all.push(Diverging {
                suite,
                number,
                pairs,
            });
        }
        Ok(all)
    }

    fn pairs(
        &self,
        suite: &Suite<StoredItems>,
        number: usize,
        contrast: &Contrast,
        most: usize,
    ) -> Result<(Vec<Pair>, Vec<Unmeasured>)> {
        let tokenizer = &self.bench.subject.tokenizer;
        let mut said = Lookup::new(self.shelf.answers());
        let (mut pairs, mut refused) = (Vec::new(), Vec::new());
        for (place, counterpart) in self.answered_differently(suite, number, contrast)? {
            if pairs.len() == most {
                break;
            }
            let tested = said.text(number, place)?;
            let against = said.text(number, counterpart)?;
            let item = suite.items.get(place)?;
            let counterpart = suite.items.get(counterpart)?;
            let answer = tokenizer.first_token_after(&counterpart.prompt, &against);
            let foil = tokenizer.first_token_after(&item.prompt, &tested);
            let why = match (answer, foil) {
                (Ok(answer), Ok(foil)) if answer != foil => {
                    pairs.push(Pair {
                        clean: tokenizer.encode(&counterpart.prompt)?,
                        corrupt: tokenizer.encode(&item.prompt)?,
                        item: item.id,
                        counterpart: counterpart.id,
                        group: item.group,
                        answer,
                        foil,
                        answer_text: against,
                        foil_text: tested,
                    });
                    continue;
                }
                (Ok(_), Ok(_)) => "the two answers begin with the same token",
                _ => "one of the answers has no token",
            };
            refused.push(Unmeasured {
                what: format!("causal evidence on the pair of `{}`", item.id),
                why: why.to_owned(),
            });
        }
        Ok((pairs, refused))
    }

    /// Places of tested items and of their counterparts that got another answer, shuffled by the seed, one of each group first. Of a response no
    /// more than its digest is held.
    fn answered_differently(
        &self,
        suite: &Suite<StoredItems>,
        number: usize,
        contrast: &Contrast,
    ) -> Result<Vec<(usize, usize)>> {
        // In the order of the items; none of a failed one.
        let mut said: Vec<Option<[u8; 16]>> = Vec::with_capacity(suite.items.len());
        let mut groups = Names::default();
        let mut tested: Vec<(Number, u32)> = Vec::new();
        said::each(&self.shelf.answers(), suite, number, &mut |place, one| {
            let failed = one.outcome == Outcome::Failed;
            said.push((!failed).then(|| short_of(one.text.as_bytes())));
            // A suite holds fewer items than that.
            if let (true, Ok(place)) = (one.condition == contrast.tested, place.try_into()) {
                tested.push((groups.number(&one.group), place));
            }
        })?;
        let of = |place: usize| said.get(place).copied().flatten();
        let counterpart = |place: u32| {
            let counterpart = suite.items.pair_of(place as usize)?;
            let differs = of(place as usize)? != of(counterpart)?;
            differs.then_some(counterpart)
        };
        tested.retain(|(_, place)| counterpart(*place).is_some());
        let pairs = group_by_group(tested, self.config.seed).into_iter();
        let pairs = pairs.map(|(_, place)| Some((place as usize, counterpart(place)?)));
        Ok(pairs.flatten().collect())
    }
}

/// Shuffled by the seed, one of each group before any group's second.
fn group_by_group<T>(mut all: Vec<(Number, T)>, seed: u64) -> Vec<(Number, T)> {
    all.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    let mut seen: HashMap<Number, usize> = HashMap::new();
    all.sort_by_cached_key(|(group, _)| {
        let times = seen.entry(*group).or_default();
        *times += 1;
        *times
    });
    all
}

/// What it is called that a request was run on a suite.
fn step(of: &Diverging<'_>, request: usize) -> String {
    format!("explaining-{}-{request}", of.number)
}

struct Work<'a> {
    seed: u64,
    bench: &'a Bench,
    of: &'a Diverging<'a>,
    /// Number of the request, from 1.
    request: usize,
    runs: &'a dyn Runs,
    control: &'a [Control],
}

impl Work<'_> {
    /// Runs what is demanded, as far as it is not there already, and gives what could not be measured.
    fn run(&self, request: &CausalRequest, shelf: &mut Shelf<'_>) -> Result<Vec<Unmeasured>> {
        let pairs = &self.of.pairs[..request.most().min(self.of.pairs.len())];
        match request {
            CausalRequest::Patching {
                modes,
                point,
                random_directions,
                ..
            } => {
                for &mode in modes {
                    self.patch(shelf, pairs, mode, *point, *random_directions)?;
                }
                Ok(Vec::new())
            }
            CausalRequest::DirectionalAblation {
                role,
                random_directions,
                ..
            } => self.ablate_role(
                shelf,
                pairs,
                role,
                *random_directions,
                AblationKind::Directional,
            ),
            CausalRequest::FeatureAblation {
                role,
                random_directions,
                ..
            } => self.ablate_role(
                shelf,
                pairs,
                role,
                *random_directions,
                AblationKind::Feature,
            ),
        }
    }

    fn patch(
        &self,
        shelf: &mut Shelf<'_>,
        pairs: &[Pair],
        mode: PatchMode,
        point: Point,
        random_directions: usize,
    ) -> Result<()> {
        let _span = tracing::info_span!("patch", mode = mode.name(), pairs = pairs.len()).entered();
        let sites = in_every_layer(self.runs.arch(), point);
        let part = MapPart {
            suite: self.of.number,
            request: self.request,
            mode: mode.name(),
        };
        for (index, pairs) in pairs.chunks(PAIRS_AT_ONCE).enumerate() {
            if !shelf.has_map(part, index) {
                let mut map = patch_map(self.runs, &self.of.suite.id, pairs, &sites, mode)?;
                refuse_partial(&mut map);
                shelf.put_map(part, index, &map)?;
            }
        }
        if !shelf.has_controls(part) {
            let mut map = shelf.map(part)?;
            random_control(self.runs, &mut map, pairs, random_directions, self.seed)?;
            dose_response(self.runs, &mut map, pairs, random_directions, self.seed)?;
            shelf.put_controls(part, &map)?;
        }
        Ok(())
    }

    fn ablate_role(
        &self,
        shelf: &mut Shelf<'_>,
        pairs: &[Pair],
        role: &str,
        n_directions: usize,
        kind: AblationKind,
    ) -> Result<Vec<Unmeasured>> {
        let mut unmeasured = Vec::new();
        let detectors = self.bench.detectors.iter().zip(1..);
        for (detector, number) in detectors.filter(|(one, _)| one.card.role == role) {
            let _span = tracing::info_span!("ablate", detector = detector.card.id).entered();
            if shelf.has_ablation(self.of.number, self.request, number) {
                continue;
            }
            if let Some(why) = not_ablated(detector) {
                unmeasured.push(Unmeasured {
                    what: format!("ablation of the detector `{}`", detector.card.id),
                    why,
                });
                continue;
            }
            let contribution = |x: ArrayView1<f32>| without_features(detector, x);
            let means = match &detector.weights {
                Loaded::Probe(_) => Means::Direction {
                    direction: detector.direction(None)?.vector,
                    baseline: self.baseline_mean(detector.card.site, pairs)?,
                },
                Loaded::Sae(_) => Means::Delta(&contribution),
            };
            let removal = Removal {
                kind,
                detector: detector.card.id.clone(),
                features: detector.features(),
                site: detector.card.site,
                means,
            };
            let ablation = ablate(
                self.runs,
                &self.of.suite.id,
                pairs,
                &removal,
                self.control,
                n_directions,
                self.seed,
            )?;
            shelf.put_ablation(self.of.number, self.request, number, &ablation)?;
        }
        Ok(unmeasured)
    }

    /// Mean activation at the last position of the baseline prompts.
    fn baseline_mean(&self, site: SiteName, pairs: &[Pair]) -> Result<Array1<f32>> {
        let prompts: Vec<&[i64]> = pairs.iter().map(|pair| pair.clean.ids.as_slice()).collect();
        let rows: Vec<Row<'_>> = prompts.into_iter().map(Row::plain).collect();
        let mut read = vec![Array1::zeros(0); rows.len()];
        self.runs
            .each_activation(&rows, &[site], &mut |row, _, _, values| {
                read[row] = values.to_owned();
                Ok(())
            })?;
        let rows: Vec<ArrayView1<'_, f32>> = read.iter().map(|x| x.view()).collect();
        ndarray::stack(Axis(0), &rows)
            .ok()
            .and_then(|rows| rows.mean_axis(Axis(0)))
            .ok_or_else(|| Fault::failed("ablating", format!("no activation at `{site}`")))
    }
}

/// Why a detector cannot be ablated, if it cannot.
fn not_ablated(detector: &Detector) -> Option<String> {
    if detector.card.span != Span::PromptLast {
        return Some(format!(
            "it reads `{}`, and ablations are made where the answer is read (`{}`)",
            detector.card.span,
            Span::PromptLast
        ));
    }
    match &detector.weights {
        Loaded::Sae(sae) if sae.transcodes() => Some(
            "its features are a transcoder's, which write to another site than they read"
                .to_owned(),
        ),
        Loaded::Probe(probe) => match probe.direction() {
            None => Some(format!(
                "it pools {} columns, and a direction is what is ablated",
                probe.columns()
            )),
            // Trained where the labels have one and the same mean, such as on the last word's embedding.
            Some(weight) if weight.iter().all(|value| *value == 0.0) => Some(
                "its weights are zeros: it says the same of everything, and has no direction"
                    .to_owned(),
            ),
            Some(_) => None,
        },
        Loaded::Sae(_) => None,
    }
}

/// What has to be added to an activation so that the card's features are no part of it; the error term stays. An
/// activation that the SAE cannot encode is left alone: widths and features were checked when it was opened.
fn without_features(detector: &Detector, x: ArrayView1<f32>) -> Array1<f32> {
    let row = x.insert_axis(Axis(0));
    let part = match &detector.weights {
        Loaded::Sae(sae) => sae
            .encode(row)
            .and_then(|acts| sae.contribution(acts.view(), row, &detector.features()))
            .ok(),
        Loaded::Probe(_) => None,
    };
    part.map_or_else(|| Array1::zeros(x.len()), |part| -part.row(0).to_owned())
}
