//! Explains by intervention what diverges: runs the causal evidence that the rules demand.

use std::collections::{BTreeMap, BTreeSet};

use ndarray::{Array1, ArrayView1, Axis};
use rand::SeedableRng as _;
use rand::seq::SliceRandom as _;
use rand_chacha::ChaCha8Rng;

use super::preflight::Bench;
use super::study::Study;
use super::way::in_every_layer;
use crate::causal::{
    Engine, Means, Pair, Removal, Row, Runs, ablate, dose_response, patch_map, random_control,
    refuse_partial,
};
use crate::detect::{Detector, Loaded, Span};
use crate::evidence::{AblationKind, Evidence, Unmeasured};
use crate::fault::{Fault, Result};
use crate::model::SiteName;
use crate::rules::{CausalRequest, Rule};
use crate::run::Runtime;
use crate::tokens::{Contrast, Purpose, Suite};

/// Control prompts whose loss is measured for each ablation.
const CONTROL_PROMPTS: usize = 64;

impl Study<'_> {
    /// Runs what the rules demand on every contrast suite. Where the condition changes no answer there is nothing to
    /// explain, and no evidence is made.
    ///
    /// # Errors
    /// A run fails.
    pub(super) fn explain(&mut self, runtime: &Runtime, engine: Engine) -> Result<()> {
        let prepared = self.prepared;
        let requests: BTreeSet<&CausalRequest> = prepared
            .rules
            .rules
            .iter()
            .flat_map(Rule::evidence)
            .collect();
        self.stage("causal evidence", requests.len());
        let control = self.control_prompts()?;
        let mut diverging: Vec<(&Suite, Vec<Pair>)> = Vec::new();
        for suite in &prepared.suites {
            if let Some(contrast) = &suite.contrast {
                diverging.push((suite, self.diverging_pairs(suite, contrast)?));
            }
        }
        let runs = self.cheapest(runtime, engine, &requests, &diverging)?;
        for (suite, pairs) in &diverging {
            let _span = tracing::info_span!("explain", suite = suite.id).entered();
            for &request in &requests {
                if !pairs.is_empty() {
                    let work = Work {
                        seed: self.config.seed,
                        bench: self.bench,
                        suite,
                        runs: runs.as_ref(),
                        pairs,
                        control: &control,
                    };
                    work.run(request, &mut self.evidence)?;
                }
                self.progress.step(1);
            }
        }
        Ok(())
    }

    fn control_prompts(&self) -> Result<Vec<Vec<i64>>> {
        let suites = self.prepared.suites.iter();
        suites
            .filter(|suite| suite.purpose == Purpose::Control)
            .flat_map(|suite| &suite.items)
            .take(CONTROL_PROMPTS)
            .map(|item| Ok(self.bench.subject.tokenizer.encode(&item.prompt)?.ids))
            .collect()
    }

    /// Pairs to which the model gives different answers, in an order that visits every group before any group twice.
    fn diverging_pairs(&mut self, suite: &Suite, contrast: &Contrast) -> Result<Vec<Pair>> {
        let tokenizer = &self.bench.subject.tokenizer;
        let said: BTreeMap<&str, &str> = self
            .evidence
            .responses
            .iter()
            .filter(|response| response.suite == suite.id)
            .map(|response| (response.item.as_str(), response.text.as_str()))
            .collect();
        let mut pairs = Vec::new();
        let mut refused = Vec::new();
        for item in suite.of_condition(&contrast.tested) {
            let Some(counterpart) = item.pair.as_deref().and_then(|pair| suite.item(pair)) else {
                continue;
            };
            let (Some(&tested), Some(&against)) = (
                said.get(item.id.as_str()),
                said.get(counterpart.id.as_str()),
            ) else {
                continue;
            };
            if tested == against {
                continue;
            }
            let answer = tokenizer.first_token_after(&counterpart.prompt, against);
            let foil = tokenizer.first_token_after(&item.prompt, tested);
            match (answer, foil) {
                (Ok(answer), Ok(foil)) if answer != foil => pairs.push(Pair {
                    item: item.id.clone(),
                    counterpart: counterpart.id.clone(),
                    group: item.group.clone(),
                    clean: tokenizer.encode(&counterpart.prompt)?,
                    corrupt: tokenizer.encode(&item.prompt)?,
                    answer,
                    foil,
                    answer_text: against.to_owned(),
                    foil_text: tested.to_owned(),
                }),
                (Ok(_), Ok(_)) => {
                    refused.push((&item.id, "the two answers begin with the same token"));
                }
                _ => refused.push((&item.id, "one of the answers has no token")),
            }
        }
        let refused: Vec<Unmeasured> = refused
            .into_iter()
            .map(|(item, why)| Unmeasured {
                what: format!("causal evidence on the pair of `{item}`"),
                why: why.to_owned(),
            })
            .collect();
        self.evidence.unmeasured.extend(refused);
        pairs.shuffle(&mut ChaCha8Rng::seed_from_u64(self.config.seed));
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        pairs.sort_by_cached_key(|pair| {
            let times = seen.entry(pair.group.clone()).or_default();
            *times += 1;
            *times
        });
        Ok(pairs)
    }
}

struct Work<'a> {
    seed: u64,
    bench: &'a Bench,
    suite: &'a Suite,
    runs: &'a dyn Runs,
    pairs: &'a [Pair],
    control: &'a [Vec<i64>],
}

impl Work<'_> {
    fn run(&self, request: &CausalRequest, evidence: &mut Evidence) -> Result<()> {
        match request {
            CausalRequest::Patching {
                modes,
                point,
                max_pairs,
                random_directions,
            } => {
                let arch = self.runs.arch();
                let sites = in_every_layer(arch, *point);
                let pairs = self.at_most(*max_pairs);
                for &mode in modes {
                    let _span =
                        tracing::info_span!("patch", mode = mode.name(), pairs = pairs.len())
                            .entered();
                    let mut map = patch_map(self.runs, &self.suite.id, pairs, &sites, mode)?;
                    refuse_partial(&mut map);
                    random_control(self.runs, &mut map, pairs, *random_directions, self.seed)?;
                    dose_response(self.runs, &mut map, pairs, *random_directions, self.seed)?;
                    evidence.maps.push(map);
                }
                Ok(())
            }
            CausalRequest::DirectionalAblation {
                role,
                random_directions,
                max_items,
            } => self.ablate_role(
                role,
                *random_directions,
                *max_items,
                AblationKind::Directional,
                evidence,
            ),
            CausalRequest::FeatureAblation {
                role,
                random_directions,
                max_items,
            } => self.ablate_role(
                role,
                *random_directions,
                *max_items,
                AblationKind::Feature,
                evidence,
            ),
        }
    }

    fn at_most(&self, n: usize) -> &[Pair] {
        &self.pairs[..n.min(self.pairs.len())]
    }

    fn ablate_role(
        &self,
        role: &str,
        n_directions: usize,
        max_items: usize,
        kind: AblationKind,
        evidence: &mut Evidence,
    ) -> Result<()> {
        for detector in self
            .bench
            .detectors
            .iter()
            .filter(|detector| detector.card.role == role)
        {
            let _span = tracing::info_span!("ablate", detector = detector.card.id).entered();
            if detector.card.span != Span::PromptLast {
                evidence.unmeasured.push(Unmeasured {
                    what: format!("ablation of the detector `{}`", detector.card.id),
                    why: format!(
                        "it reads `{}`, and ablations are made where the answer is read (`{}`)",
                        detector.card.span,
                        Span::PromptLast
                    ),
                });
                continue;
            }
            if let Loaded::Sae(sae) = &detector.weights
                && sae.transcodes()
            {
                evidence.unmeasured.push(Unmeasured {
                    what: format!("ablation of the detector `{}`", detector.card.id),
                    why: "its features are a transcoder's, which write to another site than they read".to_owned(),
                });
                continue;
            }
            let pairs = self.at_most(max_items);
            let contribution = |x: ArrayView1<f32>| without_features(detector, x);
            let means = match &detector.weights {
                Loaded::Probe(probe) => {
                    let Some(weight) = probe.direction() else {
                        evidence.unmeasured.push(Unmeasured {
                            what: format!("ablation of the detector `{}`", detector.card.id),
                            why: format!(
                                "it pools {} columns, and a direction is what is ablated",
                                probe.columns()
                            ),
                        });
                        continue;
                    };
                    Means::Direction {
                        direction: &weight / weight.dot(&weight).sqrt(),
                        baseline: self.baseline_mean(detector.card.site, pairs)?,
                    }
                }
                Loaded::Sae(_) => Means::Delta(&contribution),
            };
            let removal = Removal {
                kind,
                detector: detector.card.id.clone(),
                features: detector.features(),
                site: detector.card.site,
                means,
            };
            let control: Vec<&[i64]> = self.control.iter().map(Vec::as_slice).collect();
            evidence.ablations.push(ablate(
                self.runs,
                &self.suite.id,
                pairs,
                &removal,
                &control,
                n_directions,
                self.seed,
            )?);
        }
        Ok(())
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
