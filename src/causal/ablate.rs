//! Removing what a detector reads from the stream, against random edits of the same size, with the cost on other text.

use ndarray::{Array1, Array2, ArrayView1, Axis};

use super::metric::{kl_divergence, logit_difference, top_token};
use super::pair::Pair;
use super::random::{norm_matched, unit_directions};
use super::row::{Change, Row, Runs, To};
use crate::evidence::{AblatedItem, Ablation, AblationKind, OffTarget};
use crate::fault::{Fault, Result};
use crate::model::SiteName;
use crate::stats::mean;

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
    /// How it is taken out of an activation.
    pub means: Means<'a>,
}

/// How something is taken out of an activation `[d_model]`.
pub enum Means<'a> {
    /// The component along a unit direction is set to that of the baseline's mean activation. Random directions are
    /// removed in the same way as a control.
    Direction {
        /// `[d_model]`, of length 1.
        direction: Array1<f32>,
        /// `[d_model]`.
        baseline: Array1<f32>,
    },
    /// What has to be added.
    Delta(&'a (dyn Fn(ArrayView1<f32>) -> Array1<f32> + Sync)),
}

/// Text that has nothing to do with what is removed.
#[derive(Debug, Clone)]
pub struct Control {
    /// The cluster.
    pub group: String,
    /// Its tokens.
    pub ids: Vec<i64>,
}

/// What has to be added to `x` so that its component along a unit direction is that of `baseline`.
fn towards(baseline: &Array1<f32>, direction: &Array1<f32>, x: ArrayView1<f32>) -> Array1<f32> {
    direction * (baseline.dot(direction) - x.dot(direction))
}

/// Ablates at the last position of every item's prompt and of every control prompt, once for real and once for each of
/// `n_directions` random directions of the same norm.
///
/// # Errors
/// A run fails.
pub fn ablate(
    runs: &dyn Runs,
    suite: &str,
    pairs: &[Pair],
    removal: &Removal<'_>,
    control: &[Control],
    n_directions: usize,
    seed: u64,
) -> Result<Ablation> {
    let site = runs.arch().site(removal.site);
    let width = site
        .and_then(|site| site.layout.per_position())
        .ok_or_else(|| {
            Fault::usage("ablating", format!("the site `{}`", removal.site))
                .expected("a site with a fixed number of values at each position")
        })?;
    let bench = Bench {
        runs,
        removal,
        directions: unit_directions(n_directions, width, seed),
    };
    let items = pairs
        .iter()
        .map(|pair| bench.item(pair))
        .collect::<Result<Vec<_>>>()?;
    let costs = control
        .iter()
        .map(|prompt| bench.cost(prompt))
        .collect::<Result<Vec<_>>>()?;
    Ok(Ablation {
        kind: removal.kind,
        detector: removal.detector.clone(),
        features: removal.features.clone(),
        site: removal.site,
        suite: suite.to_owned(),
        items,
        costs,
    })
}

/// One prompt after the other, so that logits of one prompt's edits are held at a time, whatever the vocabulary.
struct Bench<'a> {
    runs: &'a dyn Runs,
    removal: &'a Removal<'a>,
    directions: Vec<Array1<f32>>,
}

/// Logits `[vocab]` at the last position.
struct Edited {
    plain: Array1<f32>,
    real: Array1<f32>,
    random: Vec<Array1<f32>>,
    random_removed: Vec<Array1<f32>>,
}

impl Bench<'_> {
    fn edited(&self, ids: &[i64]) -> Result<Edited> {
        let last = ids.len().saturating_sub(1);
        let mut own = None;
        self.runs.each_activation(
            &[Row::plain(ids)],
            &[self.removal.site],
            &mut |_, _, _, values| {
                own = Some(values.to_owned());
                Ok(())
            },
        )?;
        let own = own.ok_or_else(|| Fault::failed("ablating", "no activation"))?;
        let x = own.view();
        let (delta, removed) = match &self.removal.means {
            Means::Delta(delta) => (delta(x), Vec::new()),
            Means::Direction {
                direction,
                baseline,
            } => {
                let random = self.directions.iter();
                let removed = random.map(|random| towards(baseline, random, x)).collect();
                (towards(baseline, direction, x), removed)
            }
        };
        let random = norm_matched(&self.directions, &delta);
        let edits = std::iter::once(delta).chain(random).chain(removed);
        let rows: Vec<Row<'_>> = std::iter::once(Row::plain(ids))
            .chain(edits.map(|delta| {
                let value = To::Values((&x + &delta).insert_axis(Axis(0)));
                Row::with(ids, Change::at(self.removal.site, last, value), last)
            }))
            .collect();
        let mut logits = self.runs.logits(&rows)?.into_iter().map(only);
        match (logits.next(), logits.next()) {
            (Some(plain), Some(real)) => Ok(Edited {
                plain,
                real,
                random: logits.by_ref().take(self.directions.len()).collect(),
                random_removed: logits.collect(),
            }),
            _ => Err(Fault::failed("ablating", "no logits")),
        }
    }

    fn item(&self, pair: &Pair) -> Result<AblatedItem> {
        let edited = self.edited(&pair.corrupt.ids)?;
        let clean = self.runs.logits(&[Row::plain(&pair.clean.ids)])?;
        let index = |id: i64| usize::try_from(id).unwrap_or(usize::MAX);
        let difference = |logits: &Array1<f32>| {
            logit_difference(logits.view(), index(pair.answer), index(pair.foil))
        };
        Ok(AblatedItem {
            item: pair.item.clone(),
            group: pair.group.clone(),
            clean: clean
                .into_iter()
                .next()
                .map(only)
                .as_ref()
                .map_or(f64::NAN, difference),
            before: difference(&edited.plain),
            after: difference(&edited.real),
            random: edited.random.iter().map(difference).collect(),
            random_removed: edited.random_removed.iter().map(difference).collect(),
            restored: top_token(edited.real.view()) == index(pair.answer),
        })
    }

    fn cost(&self, prompt: &Control) -> Result<OffTarget> {
        let edited = self.edited(&prompt.ids)?;
        let from_plain = |logits: &Array1<f32>| kl_divergence(edited.plain.view(), logits.view());
        let random: Vec<f64> = edited.random.iter().map(from_plain).collect();
        Ok(OffTarget {
            group: prompt.group.clone(),
            kl: from_plain(&edited.real),
            random: mean(&random),
        })
    }
}

/// The logits of a row that reads one position.
fn only(logits: Array2<f32>) -> Array1<f32> {
    logits.into_iter().collect()
}
