//! What all features do on all texts, and what the chosen ones do token by token. Activations are read a few texts at a time, so
//! that neither a long corpus nor a wide dictionary lies in memory.
#![allow(
    clippy::cast_precision_loss,
    reason = "token counts are far below 2^52"
)]

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, ArrayView1, Axis};
use rayon::prelude::*;

use super::super::progress::Progress;
use super::super::subject::Subject;
use super::texts::Text;
use crate::causal::{Engine, Runs as _};
use crate::detect::{FeatureActs, Sae};
use crate::fault::Result;
use crate::model::{Architecture, Point, SiteName};
use crate::run::Runtime;

/// Texts that are run together.
const AT_ONCE: usize = 64;

/// An SAE at its site in a model, and the texts.
pub struct Reader<'a> {
    pub engine: Engine,
    pub texts: &'a [Text],
    /// Where the stream is written to see what a direction does to the logits; why not, where it cannot be.
    pub end: std::result::Result<SiteName, String>,
    sae: &'a Sae,
    site: SiteName,
}

/// One text: its tokens of the span.
pub struct Seen {
    /// `(token of the span, feature, activation)` of those that are not 0.
    active: Vec<(u32, u32, f32)>,
    /// Where the tokens of the span stand in the text.
    positions: Vec<usize>,
    /// By what each token's contribution is scaled where the SAE normalises its input.
    scales: Vec<f32>,
    /// Sum over the tokens of the stream behind the last block, where it is read.
    end: Option<Array1<f64>>,
}

impl<'a> Reader<'a> {
    /// Opens the model with the SAE's site, and with the end of the stream if it can be written.
    pub fn open(
        runtime: &Runtime,
        subject: &Subject,
        sae: &'a Sae,
        site: SiteName,
        texts: &'a [Text],
    ) -> Result<Self> {
        let open = |taps: &[SiteName], writes: &[SiteName]| {
            let (model, arch) = (&subject.model, &subject.arch);
            Engine::open(runtime, model, arch, taps, writes, Vec::new())
        };
        let writes = written(sae, site);
        let writable = end_of_stream(&subject.arch, writes).and_then(|end| {
            let mut taps = vec![site];
            if end != site {
                taps.push(end);
            }
            let engine = open(&taps, &[end]).map_err(|fault| fault.found)?;
            Ok((engine, end))
        });
        let (engine, end) = match writable {
            Ok((engine, end)) => (engine, Ok(end)),
            Err(why) => (open(&[site], &[])?, Err(why)),
        };
        Ok(Self {
            engine,
            texts,
            end,
            sae,
            site,
        })
    }

    /// Shows every text, in order.
    pub fn each(
        &self,
        progress: &dyn Progress,
        see: &mut dyn FnMut(usize, &Seen) -> Result<()>,
    ) -> Result<()> {
        let mut sites = vec![self.site];
        sites.extend(self.end.iter().copied().filter(|end| *end != self.site));
        for (chunk, texts) in self.texts.chunks(AT_ONCE).enumerate() {
            let prompts: Vec<&[i64]> = texts
                .iter()
                .map(|text| text.encoded.ids.as_slice())
                .collect();
            let read = self.engine.plain_activations(&prompts, &sites)?;
            let seen = texts
                .par_iter()
                .zip(&read)
                .map(|(text, read)| self.seen(text, read))
                .collect::<Result<Vec<_>>>()?;
            for (place, seen) in seen.iter().enumerate() {
                see(chunk * AT_ONCE + place, seen)?;
            }
            progress.step(texts.len());
        }
        Ok(())
    }

    /// `read`: activations `[seq, width]` of the site, and of the end of the stream where that is another.
    fn seen(&self, text: &Text, read: &[Array2<f32>]) -> Result<Seen> {
        let of = |values: &Array2<f32>| values.select(Axis(0), &text.span);
        let x = read.first().map(of).unwrap_or_default();
        let acts = self.sae.encode(x.view())?;
        let active = acts.indexed_iter().filter(|(_, act)| **act != 0.0);
        let place = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
        let end = self.end.is_ok().then(|| read.last().map(of)).flatten();
        Ok(Seen {
            active: active
                .map(|((token, feature), act)| (place(token), place(feature), *act))
                .collect(),
            positions: text.span.clone(),
            scales: self.scales(&x)?,
            end: end.map(|end| end.mapv(f64::from).sum_axis(Axis(0))),
        })
    }

    /// How much longer a feature's contribution is than its direction and activation say, for each row of `x`.
    fn scales(&self, x: &Array2<f32>) -> Result<Vec<f32>> {
        let Some(direction) = self.sae.feature_direction(0) else {
            return Ok(Vec::new());
        };
        let mut one = Array2::zeros((x.nrows(), self.sae.d_sae()));
        one.column_mut(0).fill(1.0);
        let contribution = self.sae.contribution(one.view(), x.view(), &[0])?;
        let length = |row: ArrayView1<f32>| row.dot(&row).sqrt();
        let plain = length(direction.view());
        Ok(contribution
            .rows()
            .into_iter()
            .map(|row| {
                if plain > 0.0 {
                    length(row) / plain
                } else {
                    1.0
                }
            })
            .collect())
    }
}

/// Where the decoder's directions lie: for a transcoder elsewhere than what it reads.
fn written(sae: &Sae, site: SiteName) -> SiteName {
    let out = sae.config().hook_name_out.as_deref();
    let out = out.filter(|_| sae.transcodes());
    out.and_then(|out| out.parse().ok()).unwrap_or(site)
}

/// The stream behind the last block, if a direction at `site` lies in the stream.
fn end_of_stream(arch: &Architecture, site: SiteName) -> std::result::Result<SiteName, String> {
    if site.point == Point::HookZ || site.point == Point::Pattern {
        return Err(format!(
            "`{site}` lies inside the attention, not in the stream"
        ));
    }
    let last = arch
        .n_layers
        .checked_sub(1)
        .ok_or("a model without a block")?;
    Ok(SiteName::block(last, Point::ResidPost))
}

/// What all features do on all texts.
pub struct Survey {
    /// Largest activation of each feature over the span of each text.
    pub acts: FeatureActs,
    /// Tokens.
    pub tokens: usize,
    active: usize,
    /// Sum of each feature's activations.
    sums: Vec<f64>,
    end: Option<Array1<f64>>,
}

impl Survey {
    /// Before any text.
    pub fn new(sae: &Sae) -> Self {
        Self {
            acts: FeatureActs::new(sae.d_sae()),
            tokens: 0,
            active: 0,
            sums: vec![0.0; sae.d_sae()],
            end: None,
        }
    }

    /// Adds a text.
    pub fn see(&mut self, seen: &Seen) -> Result<()> {
        let mut largest: BTreeMap<u32, f32> = BTreeMap::new();
        for (_, feature, act) in &seen.active {
            let most = largest.entry(*feature).or_insert(f32::MIN);
            *most = most.max(*act);
            if let Some(sum) = self.sums.get_mut(*feature as usize) {
                *sum += f64::from(*act);
            }
        }
        self.acts.push(&largest.into_iter().collect::<Vec<_>>())?;
        self.tokens += seen.positions.len();
        self.active += seen.active.len();
        if let Some(end) = &seen.end {
            self.end = Some(match self.end.take() {
                Some(sum) => sum + end,
                None => end.clone(),
            });
        }
        Ok(())
    }

    /// Mean number of active features of a token.
    pub fn l0(&self) -> f64 {
        self.active as f64 / self.tokens.max(1) as f64
    }

    /// Features that are 0 everywhere.
    pub fn silent(&self) -> usize {
        let silent = (0..self.acts.d_sae()).filter(|feature| self.acts.column(*feature).is_empty());
        silent.count()
    }

    /// So many tokens as a share of all.
    pub fn share(&self, tokens: usize) -> f64 {
        tokens as f64 / self.tokens.max(1) as f64
    }

    /// The features with the largest sums of activations.
    pub fn largest(&self, most: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.sums.len())
            .filter(|index| self.sums[*index] > 0.0)
            .collect();
        order.sort_by(|a, b| self.sums[*b].total_cmp(&self.sums[*a]).then(a.cmp(b)));
        order.truncate(most);
        order
    }

    /// The mean of the stream behind the last block.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "an activation is single precision"
    )]
    pub fn mean_end(&self) -> Option<Array1<f32>> {
        let end = self.end.as_ref()?;
        Some(end.mapv(|sum| (sum / self.tokens.max(1) as f64) as f32))
    }
}

/// One token at which a feature is active.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spot {
    /// Which text.
    pub text: usize,
    /// Which of its tokens.
    pub position: usize,
    /// How active.
    pub act: f32,
    scale: f32,
}

/// Every token at which one feature is active, in reading order.
#[derive(Debug, Default)]
pub struct Active(Vec<Spot>);

impl Active {
    /// All of them.
    pub fn all(&self) -> &[Spot] {
        &self.0
    }

    /// Mean activation; 0 where it is never active.
    pub fn mean(&self) -> f64 {
        let sum: f64 = self.0.iter().map(|spot| f64::from(spot.act)).sum();
        sum / self.0.len().max(1) as f64
    }

    /// By how much of its direction the feature adds to the stream, on average where it is active; 1 where it never is.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "an activation is single precision"
    )]
    pub fn typical(&self) -> f32 {
        if self.0.is_empty() {
            return 1.0;
        }
        let sum: f64 = self
            .0
            .iter()
            .map(|spot| f64::from(spot.act) * f64::from(spot.scale))
            .sum();
        (sum / self.0.len() as f64) as f32
    }
}

/// What the chosen features do, token by token.
#[derive(Debug, Default)]
pub struct Spots {
    features: Vec<usize>,
    active: Vec<Active>,
    place: BTreeMap<u32, usize>,
}

impl Spots {
    /// Of these features, each once.
    pub fn new(features: &[usize]) -> Self {
        let mut own: Vec<usize> = Vec::with_capacity(features.len());
        for feature in features {
            if !own.contains(feature) {
                own.push(*feature);
            }
        }
        let place = own.iter().enumerate();
        Self {
            active: own.iter().map(|_| Active::default()).collect(),
            place: place
                .filter_map(|(place, feature)| Some((u32::try_from(*feature).ok()?, place)))
                .collect(),
            features: own,
        }
    }

    /// Adds a text.
    pub fn see(&mut self, text: usize, seen: &Seen) {
        for (token, feature, act) in &seen.active {
            let place = self.place.get(feature);
            let active = place.and_then(|place| self.active.get_mut(*place));
            let token = *token as usize;
            if let (Some(active), Some(position)) = (active, seen.positions.get(token)) {
                active.0.push(Spot {
                    text,
                    position: *position,
                    act: *act,
                    scale: seen.scales.get(token).copied().unwrap_or(1.0),
                });
            }
        }
    }

    /// The features, in the order in which they were asked for.
    pub fn features(&self) -> Vec<usize> {
        self.features.clone()
    }

    /// Each feature with where it is active.
    pub fn each(&self) -> impl Iterator<Item = (usize, &Active)> {
        self.features.iter().copied().zip(&self.active)
    }
}
