//! A few features beside a probe that reads the whole activation, on the same split (Gurnee et al. 2023, "Finding neurons in
//! a haystack").

use ndarray::{Array2, Axis};

use super::Items;
use super::ranking::{Bounds, ReaderLine, Verdict};
use crate::detect::train::{ProbeKind, TrainingOptions, TrainingSet};
use crate::detect::{FeatureActs, HoldOut, Selection, SplitItem, best_features, folds};
use crate::fault::{Fault, Result};
use crate::stats::{auroc, auroc_difference, auroc_interval};

/// How many features are combined.
const SIZES: [usize; 5] = [1, 2, 4, 8, 16];
/// What reads a few features, and what they are compared with.
const ON_FEATURES: &str = "logistic_regression";
const PROBES: [&str; 2] = ["logistic_regression", "difference_of_means"];
/// Folds within the training groups.
const FOLDS: usize = 5;

/// Probes, combinations of features, and which of them read better.
pub struct Comparison {
    pub probes: Vec<ReaderLine>,
    pub sparse: Vec<ReaderLine>,
    pub verdict: Verdict,
}

/// Items, their split, and what reads them.
pub struct Contest<'a> {
    pub items: &'a Items<'a>,
    /// Mean activation over each item's span, `[item, d_in]`.
    pub means: Array2<f32>,
    pub split: &'a HoldOut,
    pub split_items: &'a [SplitItem<'a>],
    pub selection: &'a Selection,
}

/// A reader with its scores on the held-out items.
struct Reader {
    name: String,
    features: Vec<usize>,
    scores: Vec<f64>,
    cross_validated: Option<f64>,
}

/// The training items in folds, as places among them.
struct Folds {
    of_item: Vec<usize>,
    count: usize,
}

impl Contest<'_> {
    /// Trains on the training items and measures on the others.
    ///
    /// # Errors
    /// One label only on a side, or a fit that finds no minimum.
    pub fn run(&self) -> Result<Comparison> {
        let folds = self.folds()?;
        let probes = PROBES
            .iter()
            .map(|name| self.probe(name, folds.as_ref()))
            .collect::<Result<Vec<_>>>()?;
        let sparse = self.sparse(folds.as_ref())?;
        let (probe, few) = (best(&probes)?, best(&sparse)?);
        let held_out = &self.split.held_out;
        let lines = |readers: &[Reader]| -> Result<Vec<ReaderLine>> {
            let line = |reader: &Reader| {
                let labels = self.items.labels_of(held_out);
                let groups = self.items.groups_of(held_out);
                let Selection {
                    resamples, seed, ..
                } = *self.selection;
                let auroc = auroc_interval(&reader.scores, &labels, &groups, resamples, seed)?;
                let over = (reader.name != probe.name).then(|| self.over(reader, probe));
                Ok(ReaderLine {
                    name: reader.name.clone(),
                    features: reader.features.clone(),
                    held_out: auroc.into(),
                    cross_validated: reader.cross_validated,
                    over_probe: over.transpose()?,
                })
            };
            readers.iter().map(line).collect()
        };
        Ok(Comparison {
            verdict: verdict(few, probe, self.over(few, probe)?),
            probes: lines(&probes)?,
            sparse: lines(&sparse)?,
        })
    }

    /// Folds of the training groups; `None` where there are fewer than two.
    fn folds(&self) -> Result<Option<Folds>> {
        let train = self.split.train.iter();
        let items: Vec<_> = train
            .filter_map(|&item| self.split_items.get(item).copied())
            .collect();
        let mut groups: Vec<&str> = items.iter().map(|item| item.group).collect();
        groups.sort_unstable();
        groups.dedup();
        let count = groups.len().min(FOLDS);
        if count < 2 {
            return Ok(None);
        }
        let of_item = folds(&items, count, self.selection.seed)?;
        Ok(Some(Folds { of_item, count }))
    }

    fn probe(&self, name: &str, folds: Option<&Folds>) -> Result<Reader> {
        Ok(Reader {
            name: name.to_owned(),
            features: Vec::new(),
            scores: self.scores(name, &self.means, &self.split.train, &self.split.held_out)?,
            cross_validated: folds
                .and_then(|folds| self.cross_validated(name, folds, |_, _| Ok(self.means.clone()))),
        })
    }

    fn sparse(&self, folds: Option<&Folds>) -> Result<Vec<Reader>> {
        let acts = &self.items.acts;
        let most = SIZES.iter().copied().max().unwrap_or(1);
        let choose = |items: &[usize]| {
            let of = acts.of(items);
            let (labels, groups) = (self.items.labels_of(items), self.items.groups_of(items));
            best_features(&of, &labels, &groups, most)
        };
        let chosen = choose(&self.split.train)?;
        // The choice of features belongs to the training: it is made again in each fold.
        let in_fold: Vec<Vec<usize>> = match folds {
            Some(folds) => (0..folds.count)
                .map(|fold| choose(&self.sides(folds, fold).0).unwrap_or_default())
                .collect(),
            None => Vec::new(),
        };
        let readers = SIZES
            .iter()
            .filter(|size| **size <= chosen.len())
            .map(|&size| {
                let few = |features: &[usize]| {
                    let few: Vec<usize> = features.iter().take(size).copied().collect();
                    few
                };
                let features = few(&chosen);
                let rows = acts.matrix(&features);
                let scores =
                    self.scores(ON_FEATURES, &rows, &self.split.train, &self.split.held_out)?;
                let cross_validated = folds.and_then(|folds| {
                    self.cross_validated(ON_FEATURES, folds, |acts, fold| {
                        let chosen = in_fold.get(fold).map(|chosen| few(chosen));
                        Ok(acts.matrix(&chosen.unwrap_or_default()))
                    })
                });
                Ok(Reader {
                    name: format!("k = {size}"),
                    features,
                    scores,
                    cross_validated,
                })
            });
        readers.collect()
    }

    /// Items of the training side outside and inside a fold.
    fn sides(&self, folds: &Folds, fold: usize) -> (Vec<usize>, Vec<usize>) {
        let train = self.split.train.iter().copied().zip(&folds.of_item);
        let (inside, outside): (Vec<_>, Vec<_>) = train.partition(|(_, of)| **of == fold);
        let items = |side: Vec<(usize, &usize)>| side.into_iter().map(|(item, _)| item).collect();
        (items(outside), items(inside))
    }

    /// AUROC of scores by readers that have not seen an item's fold; `None` where a fold cannot be learnt.
    fn cross_validated(
        &self,
        kind: &str,
        folds: &Folds,
        rows: impl Fn(&FeatureActs, usize) -> Result<Array2<f32>>,
    ) -> Option<f64> {
        let (mut ones, mut zeros) = (Vec::new(), Vec::new());
        for fold in 0..folds.count {
            let (outside, inside) = self.sides(folds, fold);
            let rows = rows(&self.items.acts, fold).ok()?;
            let scores = self.scores(kind, &rows, &outside, &inside).ok()?;
            for (score, label) in scores.into_iter().zip(self.items.labels_of(&inside)) {
                if label { &mut ones } else { &mut zeros }.push(score);
            }
        }
        auroc(&ones, &zeros)
    }

    /// Scores of `test` by a probe on `rows` that was trained on `train`.
    fn scores(
        &self,
        kind: &str,
        rows: &Array2<f32>,
        train: &[usize],
        test: &[usize],
    ) -> Result<Vec<f64>> {
        let kind = ProbeKind::named(kind).ok_or_else(|| {
            Fault::failed("comparing features with a probe", format!("no `{kind}`"))
        })?;
        let chosen = rows.select(Axis(0), train);
        let labels = self.items.labels_of(train);
        let set = TrainingSet::of_rows(chosen.view(), &labels);
        let probe = kind.train(&set, TrainingOptions::default())?;
        let scores = probe.scores(rows.select(Axis(0), test).view())?;
        Ok(scores.column(0).to_vec())
    }

    /// How much higher the AUROC of one reader is than another's, on the same resamples.
    fn over(&self, one: &Reader, other: &Reader) -> Result<Bounds> {
        let labels = self.items.labels_of(&self.split.held_out);
        let groups = self.items.groups_of(&self.split.held_out);
        let Selection {
            resamples, seed, ..
        } = *self.selection;
        auroc_difference(
            &one.scores,
            &other.scores,
            &labels,
            &groups,
            resamples,
            seed,
        )
        .map(Bounds::from)
    }
}

/// The reader that cross-validation prefers; the first of equals.
fn best(readers: &[Reader]) -> Result<&Reader> {
    let mut best: Option<&Reader> = None;
    for reader in readers {
        let better = best.is_none_or(|best| {
            reader.cross_validated.unwrap_or_default() > best.cross_validated.unwrap_or_default()
        });
        if better {
            best = Some(reader);
        }
    }
    best.ok_or_else(|| {
        Fault::failed(
            "comparing features with a probe",
            "no feature that is active on the suite",
        )
        .expected("an SAE that was trained on this model's activations")
    })
}

fn verdict(few: &Reader, probe: &Reader, difference: Bounds) -> Verdict {
    let k = few.features.len();
    let found = if difference.low > 0.0 {
        "features read better than the probe"
    } else if difference.high < 0.0 {
        "the probe reads better than features"
    } else {
        "no difference between features and the probe is shown"
    };
    let features = if k == 1 {
        "1 feature".to_owned()
    } else {
        format!("{k} features")
    };
    Verdict {
        k,
        probe: probe.name.clone(),
        difference,
        text: format!(
            "{found}: {features} minus {}, {:+.3} AUROC [{:+.3}, {:+.3}] on held-out groups",
            probe.name, difference.point, difference.low, difference.high
        ),
    }
}
