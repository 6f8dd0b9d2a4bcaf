//! Generation while a vector is added to the stream, beside the text without it, at several scales: activation addition
//! (Turner et al. 2023), with probe directions and with decoder rows of SAE features.

use ndarray::{ArrayD, Axis};

use super::push::{Along, Push, Pushed, Unit};
use super::steered::{Steered, SteeredText, Unsteered, mean};
use crate::detect::Detector;
use crate::fault::Result;
use crate::instrument::{Head, Instrumented, Plan, Write, instrument};
use crate::model::{Architecture, Model};
use crate::run::{
    Cells, Generation, Part, Reading, Runtime, Session, Written, each_output, generate, outputs_of,
};
use crate::stats::quantile;

/// A model that can be pushed along a direction and read by the detector.
struct Steering {
    session: Session,
    made: Instrumented,
    push: Push,
    score: String,
    logits: String,
}

/// What the model writes after `prompt` at every scale, and what the detector reads.
///
/// The first text is the plain one. All are written with the same draws. Scores are those of the detector, or of the pushed
/// feature of an SAE; they read the stream as it is after the push.
///
/// # Errors
/// Usage: no site, a site off the stream, a direction of another width or space, a scale that is not a finite number, a unit
/// that means nothing. Those of [`generate`] and of [`each_output`]; the runtime refuses the graph.
pub fn steer(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    detector: &Detector,
    push: Push,
    prompt: &[i64],
    how: &Generation<'_>,
) -> Result<Steered> {
    Steering::open(runtime, model, arch, detector, push)?.write(prompt, how)
}

impl Steering {
    /// Instruments the model.
    fn open(
        runtime: &Runtime,
        model: &Model,
        arch: &Architecture,
        detector: &Detector,
        push: Push,
    ) -> Result<Self> {
        push.check(arch, detector)?;
        let features: Vec<usize> = push.direction.feature.into_iter().collect();
        let head = Head {
            id: "score".into(),
            ..detector.head_of(&features)?
        };
        let vector = |at: usize| format!("vector.{at}");
        let sites = push.sites.iter().enumerate();
        let plan = Plan {
            taps: push.sites.clone(),
            heads: vec![head],
            writes: sites
                .map(|(at, &site)| Write::Add {
                    site,
                    vector: vector(at),
                })
                .collect(),
            ..Plan::default()
        };
        let made = instrument(model, arch, &plan)?;
        let session = Session::open(runtime, &made.bytes, &made.folder, arch)?;
        let score = made.manifest.heads.first();
        let score = score.map_or_else(String::new, |(_, output)| output.clone());
        Ok(Self {
            session,
            made,
            push,
            score,
            logits: arch.logits.clone(),
        })
    }

    /// Writes the plain text and one for each scale other than 0, in their order, and measures each.
    fn write(&self, prompt: &[i64], how: &Generation<'_>) -> Result<Steered> {
        let along = self.along(prompt, how)?;
        let mut scales = vec![0.0_f32];
        for &scale in &self.push.scales {
            if scales.iter().all(|other| other.total_cmp(&scale).is_ne()) && scale != 0.0 {
                scales.push(scale);
            }
        }
        let pushed = |scales: &[f32]| self.pushed(scales, &along, prompt.len());
        let here = pushed(&scales)?;
        let here = |cells: &Cells| Ok(here.values(cells));
        let outputs = [self.score.as_str()];
        let how = Generation {
            outputs: &outputs,
            same_draws: true,
            extra: Some(&here),
            ..*how
        };
        let prompts = vec![prompt.to_vec(); scales.len()];
        let written = generate(&self.session, &prompts, &how)?;

        let whole = |written: &Written| [prompt, &written.ids].concat();
        let texts: Vec<Vec<i64>> = written.iter().map(whole).collect();
        let plain = pushed(&vec![0.0; scales.len()])?;
        let plain = |cells: &Cells| Ok(plain.values(cells));
        let reading = Reading {
            outputs: &outputs,
            budget: how.budget,
            extra: Some(&plain),
        };
        let read = outputs_of(&self.session, &texts, &reading)?;
        let same = vec![texts.first().cloned().unwrap_or_default(); scales.len()];
        let reading = Reading {
            extra: Some(&here),
            ..reading
        };
        let on_plain = self.on_plain(&same, prompt.len(), &reading)?;

        let texts = scales.iter().zip(written).zip(read).zip(on_plain);
        let texts = texts.map(|(((&scale, written), read), on_unsteered)| {
            let column = |values: Option<&ArrayD<f32>>| -> Vec<f32> {
                values.map_or_else(Vec::new, |values| values.iter().copied().collect())
            };
            let scores = column(written.outputs.first());
            let scores_unsteered = column(read.first());
            SteeredText {
                scale,
                mean_score: mean(&scores, prompt.len()),
                mean_score_unsteered: mean(&scores_unsteered, prompt.len()),
                ids: written.ids,
                stopped: written.stopped,
                scores,
                scores_unsteered,
                on_unsteered,
            }
        });
        Ok(Steered {
            texts: texts.collect(),
            along,
        })
    }

    /// How long activations at each site are, and what scale 1 adds.
    fn along(&self, prompt: &[i64], how: &Generation<'_>) -> Result<Vec<Along>> {
        let taps = self.made.manifest.taps.iter();
        let taps: Vec<&str> = taps.map(|(_, output)| output.as_str()).collect();
        let nothing = self.pushed(&[0.0], &[], prompt.len())?;
        let nothing = |cells: &Cells| Ok(nothing.values(cells));
        let reading = Reading {
            outputs: &taps,
            budget: how.budget,
            extra: Some(&nothing),
        };
        let read = outputs_of(&self.session, &[prompt.to_vec()], &reading)?;
        let values = read.into_iter().next().unwrap_or_default();
        let along = self.push.sites.iter().zip(values).map(|(&site, values)| {
            let lengths: Vec<f64> = values
                .axis_iter(Axis(0))
                .map(|row| {
                    row.iter()
                        .map(|x| f64::from(*x).powi(2))
                        .sum::<f64>()
                        .sqrt()
                })
                .collect();
            let typical = quantile(&lengths, 0.5).unwrap_or(0.0);
            let unit = match self.push.unit {
                Unit::Raw => self.push.direction.length(),
                Unit::Norm => typical,
            };
            Along {
                site,
                typical,
                unit,
            }
        });
        Ok(along.collect())
    }

    /// Pushes prompt `i` by `scales[i]`.
    fn pushed(&self, scales: &[f32], along: &[Along], response_start: usize) -> Result<Pushed<'_>> {
        Pushed::new(
            &self.push,
            &self.made.manifest,
            scales,
            along,
            response_start,
        )
    }

    /// The plain text under each scale.
    fn on_plain(
        &self,
        texts: &[Vec<i64>],
        response_start: usize,
        reading: &Reading<'_>,
    ) -> Result<Vec<Unsteered>> {
        let new = texts
            .first()
            .map_or(0, Vec::len)
            .saturating_sub(response_start);
        let mut scores: Vec<Vec<f32>> = vec![Vec::new(); texts.len()];
        let mut sums: Vec<(f64, usize)> = vec![(0.0, 0); texts.len()];
        let outputs = [self.score.as_str(), self.logits.as_str()];
        let reading = Reading {
            outputs: &outputs,
            ..*reading
        };
        each_output(&self.session, texts, &reading, |part| {
            if part.name == self.score {
                if let Some(scores) = scores.get_mut(part.prompt) {
                    if part.start == 0 {
                        scores.clear();
                    }
                    scores.extend(part.values.iter());
                }
            } else if let (Some(text), Some(sum)) =
                (texts.get(part.prompt), sums.get_mut(part.prompt))
            {
                if part.start == 0 {
                    *sum = (0.0, 0);
                }
                add_log_probabilities(sum, &part, text, response_start);
            }
            Ok(())
        })?;
        let unsteered = scores
            .iter()
            .zip(sums)
            .map(|(scores, (sum, tokens))| Unsteered {
                tokens: new,
                mean_score: mean(scores, response_start),
                // Models that put out the last token's logits alone do not tell.
                log_probability: (tokens == new && new > 0).then_some(sum),
            });
        Ok(unsteered.collect())
    }
}

/// Adds the log-probability, in nats, of each token of the response that follows one of the part.
fn add_log_probabilities(
    sum: &mut (f64, usize),
    part: &Part<'_>,
    text: &[i64],
    response_start: usize,
) {
    for (position, logits) in (part.start..).zip(part.values.axis_iter(Axis(0))) {
        let next = text
            .get(position + 1)
            .filter(|_| position + 1 >= response_start);
        let Some(next) = next.and_then(|&id| usize::try_from(id).ok()) else {
            continue;
        };
        let logits: Vec<f64> = logits.iter().map(|&logit| f64::from(logit)).collect();
        let Some(own) = logits.get(next) else {
            continue;
        };
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = logits.iter().map(|logit| (logit - largest).exp()).sum();
        sum.0 += own - largest - total.ln();
        sum.1 += 1;
    }
}
