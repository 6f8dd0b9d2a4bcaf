//! Removing what a detector reads from the stream, against random edits of the same size, with the cost on other text.

use ndarray::{Array1, Array2, ArrayView1};

use super::engine::{Edit, Engine, Row};
use super::metric::{kl_divergence, logit_difference, top_token};
use super::pair::Pair;
use super::random::unit_directions;
use crate::evidence::{AblatedItem, Ablation, AblationKind};
use crate::fault::{Fault, Result};
use crate::model::SiteName;

/// What is removed, and where.
pub struct Removal<'a> {
    /// Probe direction or SAE features.
    pub kind: AblationKind,
    /// Detector id.
    pub detector: String,
    /// Ablated SAE features.
    pub features: Vec<usize>,
    /// The site that is edited, at the prompt's last position.
    pub site: SiteName,
    /// What is added to an activation `[d_model]` to remove it.
    pub delta: &'a (dyn Fn(ArrayView1<f32>) -> Array1<f32> + Sync),
}

/// Ablates at the last position of every item's prompt and of every control prompt, once for real and once for each of
/// `n_directions` random directions of the same norm.
///
/// # Errors
/// A run fails.
pub fn ablate(
    engine: &Engine,
    suite: &str,
    pairs: &[Pair],
    removal: &Removal<'_>,
    control: &[&[i64]],
    n_directions: usize,
    seed: u64,
) -> Result<Ablation> {
    let directions = unit_directions(n_directions, engine.arch().d_model, seed);
    let prompts: Vec<&[i64]> = pairs
        .iter()
        .map(|pair| pair.corrupt.ids.as_slice())
        .collect();
    let edited = Edited::of(engine, &prompts, removal, &directions)?;
    let clean_rows: Vec<Row<'_>> = pairs
        .iter()
        .map(|pair| Row {
            ids: &pair.clean.ids,
            edit: None,
            read: pair.last(),
        })
        .collect();
    let clean = engine.logits(&clean_rows)?;
    let index = |id: i64| usize::try_from(id).unwrap_or(usize::MAX);
    let items = pairs
        .iter()
        .enumerate()
        .map(|(row, pair)| {
            let difference = |logits: &Array1<f32>| {
                logit_difference(logits.view(), index(pair.answer), index(pair.foil))
            };
            AblatedItem {
                item: pair.item.clone(),
                group: pair.group.clone(),
                clean: difference(&clean[row]),
                before: difference(edited.plain(row)),
                after: difference(edited.real(row)),
                random: edited.random(row).iter().map(difference).collect(),
                restored: top_token(edited.real(row).view()) == index(pair.answer),
            }
        })
        .collect();
    let off_target = Edited::of(engine, control, removal, &directions)?;
    let divergence = |pick: &dyn Fn(usize) -> Vec<f64>| mean((0..control.len()).flat_map(pick));
    Ok(Ablation {
        kind: removal.kind,
        detector: removal.detector.clone(),
        features: removal.features.clone(),
        site: removal.site,
        suite: suite.to_owned(),
        items,
        off_target_kl: divergence(&|row| {
            vec![kl_divergence(
                off_target.plain(row).view(),
                off_target.real(row).view(),
            )]
        }),
        off_target_kl_random: divergence(&|row| {
            let plain = off_target.plain(row).view();
            off_target
                .random(row)
                .iter()
                .map(|edited| kl_divergence(plain, edited.view()))
                .collect()
        }),
    })
}

/// Logits at the last position: untouched, with the removal, and with each random edit, prompt after prompt.
struct Edited {
    logits: Vec<Array1<f32>>,
    stride: usize,
}

impl Edited {
    fn of(
        engine: &Engine,
        prompts: &[&[i64]],
        removal: &Removal<'_>,
        directions: &[Array1<f32>],
    ) -> Result<Self> {
        let tap = engine
            .taps()
            .position(|site| site == removal.site)
            .ok_or_else(|| {
                Fault::usage("ablating", format!("the site `{}`", removal.site))
                    .expected("a site that was opened for reading")
            })?;
        let activations = engine.activations(prompts)?;
        let stride = 2 + directions.len();
        let mut rows = Vec::with_capacity(prompts.len() * stride);
        for (&ids, of_prompt) in prompts.iter().zip(&activations) {
            let own: &Array2<f32> = &of_prompt[tap];
            let last = ids.len().saturating_sub(1);
            let x = own.row(last);
            let delta = (removal.delta)(x);
            let norm = delta.dot(&delta).sqrt();
            let row = |value: Option<Array1<f32>>| Row {
                ids,
                edit: value.map(|value| Edit {
                    site: removal.site,
                    values: vec![(last, value)],
                }),
                read: last,
            };
            rows.push(row(None));
            rows.push(row(Some(&x + &delta)));
            rows.extend(
                directions
                    .iter()
                    .map(|direction| row(Some(&x + &(direction * norm)))),
            );
        }
        Ok(Self {
            logits: engine.logits(&rows)?,
            stride,
        })
    }

    fn plain(&self, row: usize) -> &Array1<f32> {
        &self.logits[row * self.stride]
    }

    fn real(&self, row: usize) -> &Array1<f32> {
        &self.logits[row * self.stride + 1]
    }

    fn random(&self, row: usize) -> &[Array1<f32>] {
        &self.logits[row * self.stride + 2..(row + 1) * self.stride]
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0_u32), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}
