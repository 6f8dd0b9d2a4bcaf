//! What a reconstruction costs the model: next-token cross-entropy with it spliced in at a site, beside the untouched run and ablations.

use ndarray::{Array1, Array2, ArrayView2, Axis};

use super::capture::check_ids;
use super::chunks::chunks;
use crate::causal::{self, Change, DEFAULT_BUDGET, Load, Row, Runs, To, log_probability};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Layout, Model, SiteName};
use crate::run::Runtime;

/// Tokens whose runs wait together: what is put in their places is held meanwhile.
const TOKENS_AT_ONCE: usize = 4096;

/// Mean next-token cross-entropies, in nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpliceLoss {
    /// Of the untouched run.
    pub clean: f64,
    /// With the reconstruction in the place of the activation.
    pub spliced: f64,
    /// With 0 there (zero ablation).
    pub zero: f64,
    /// With the activation's mean over the kept tokens there (mean ablation).
    pub mean: f64,
    /// Predicted tokens that they are means over.
    pub tokens: usize,
}

impl SpliceLoss {
    /// `(zero − spliced)/(zero − clean)`, SAELens's `ce_loss_score`: 1 costs nothing, 0 is as bad as zeros. `None` where zeros cost nothing
    /// either.
    #[must_use]
    pub fn recovered(&self) -> Option<f64> {
        let damage = self.zero - self.clean;
        (damage > 0.0).then(|| (self.zero - self.spliced) / damage)
    }
}

/// Measures [`SpliceLoss`] over `prompts`: `reconstruct` makes of the plain run's activations at `site_in`, `[n, d_in]`, what stands at
/// `site_out`, `[n, d_out]`. The two are one site for an autoencoder.
///
/// `keep` has one flag for each token. A token without it (BOS, other special tokens, padding) keeps its own activation in every run, and
/// neither it nor what is predicted at it counts. SAELens's zero ablation replaces such tokens as well.
///
/// # Errors
/// No token to predict, flags or reconstructions of another shape, a site that cannot be read or written, or a failed run.
#[allow(
    clippy::too_many_arguments,
    reason = "a model, two places, texts and what is done"
)]
pub fn splice_loss(
    runtime: &Runtime,
    model: &Model,
    arch: &Architecture,
    site_in: SiteName,
    site_out: SiteName,
    prompts: &[Vec<i64>],
    reconstruct: &mut dyn FnMut(ArrayView2<f32>) -> Result<Array2<f32>>,
    keep: &[Vec<bool>],
) -> Result<SpliceLoss> {
    check_ids(arch, prompts)?;
    let texts = texts(prompts, keep)?;
    let mut sites = vec![site_in];
    if site_out != site_in {
        sites.push(site_out);
    }
    let mut load = Load::default();
    for text in &texts {
        let first = text.kept.first().copied().unwrap_or(0);
        let layer = site_out.layer.unwrap_or(0);
        load.prompt(arch, text.ids.len());
        load.add(arch, 3, text.ids.len(), layer, first);
        load.reads(4 * text.read.len());
    }
    let (runs, _) = causal::open(runtime, model, arch, &sites, &load, DEFAULT_BUDGET)?;
    let splice = Splice {
        runs: runs.as_ref(),
        site_in,
        site_out,
    };
    let mean = splice.mean(&texts)?;
    let mut sums = [0.0; 4];
    for some in together(&texts) {
        splice.add(some, mean.view(), reconstruct, &mut sums)?;
    }
    let tokens = texts.iter().map(|text| text.read.len()).sum();
    #[allow(clippy::cast_precision_loss, reason = "a count of tokens")]
    let [clean, spliced, zero, mean] = sums.map(|sum| sum / tokens as f64);
    Ok(SpliceLoss {
        clean,
        spliced,
        zero,
        mean,
        tokens,
    })
}

/// A prompt.
struct Text<'a> {
    ids: &'a [i64],
    /// Positions that are replaced.
    kept: Vec<usize>,
    /// Positions at which a token that counts is predicted.
    read: Vec<usize>,
}

fn texts<'a>(prompts: &'a [Vec<i64>], keep: &[Vec<bool>]) -> Result<Vec<Text<'a>>> {
    const DOING: &str = "splicing a reconstruction in";
    let lengths = |of: &[usize]| format!("flags for prompts of {of:?} tokens");
    let flags: Vec<usize> = keep.iter().map(Vec::len).collect();
    let tokens: Vec<usize> = prompts.iter().map(Vec::len).collect();
    if flags != tokens {
        return Err(Fault::failed(DOING, lengths(&flags)).expected(lengths(&tokens)));
    }
    let texts: Vec<Text<'_>> = prompts
        .iter()
        .zip(keep)
        .map(|(ids, keep)| {
            let at = |position: usize| keep.get(position).copied().unwrap_or(false);
            Text {
                ids,
                kept: (0..ids.len()).filter(|&position| at(position)).collect(),
                read: (0..ids.len())
                    .filter(|&position| at(position) && at(position + 1))
                    .collect(),
            }
        })
        .collect();
    if texts.iter().all(|text| text.read.is_empty()) {
        return Err(Fault::no_inputs(DOING, "no token that follows another")
            .expected("prompts of two tokens or more, special tokens not counted"));
    }
    Ok(texts)
}

/// Neighbouring texts of about [`TOKENS_AT_ONCE`] tokens.
fn together<'t, 'a>(texts: &'t [Text<'a>]) -> impl Iterator<Item = &'t [Text<'a>]> {
    chunks(texts, TOKENS_AT_ONCE, |text| text.ids.len())
}

struct Splice<'a> {
    runs: &'a dyn Runs,
    site_in: SiteName,
    site_out: SiteName,
}

impl Splice<'_> {
    /// Activations `[kept, width]` of each text.
    fn plain(&self, texts: &[Text<'_>], site: SiteName) -> Result<Vec<Array2<f32>>> {
        let rows: Vec<Row<'_>> = texts
            .iter()
            .map(|text| Row {
                ids: text.ids,
                changes: Vec::new(),
                read: text.kept.clone(),
            })
            .collect();
        let width = self.width(site)?;
        let mut all: Vec<Array2<f32>> = texts
            .iter()
            .map(|text| Array2::zeros((text.kept.len(), width)))
            .collect();
        self.runs
            .each_activation(&rows, &[site], &mut |text, _, position, values| {
                let at = texts
                    .get(text)
                    .and_then(|text| text.kept.binary_search(&position).ok());
                if let (Some(at), Some(all)) = (at, all.get_mut(text)) {
                    all.row_mut(at).assign(&values);
                }
                Ok(())
            })?;
        Ok(all)
    }

    fn width(&self, site: SiteName) -> Result<usize> {
        let layout = self.runs.arch().site(site).map(|site| site.layout);
        layout.and_then(Layout::per_position).ok_or_else(|| {
            Fault::usage("splicing a reconstruction in", format!("the site `{site}`"))
                .expected("a site with a fixed number of values at each position")
        })
    }

    /// The mean activation at the site that is replaced.
    fn mean(&self, texts: &[Text<'_>]) -> Result<Array1<f32>> {
        let mut sum = Array1::<f64>::zeros(self.width(self.site_out)?);
        let mut n = 0.0;
        for some in together(texts) {
            for values in self.plain(some, self.site_out)? {
                for row in values.rows() {
                    sum += &row.mapv(f64::from);
                    n += 1.0;
                }
            }
        }
        #[allow(clippy::cast_possible_truncation, reason = "activations are float32")]
        Ok(sum.mapv(|sum| (sum / n) as f32))
    }

    /// Adds the losses of some texts: of the clean run, and with the reconstruction, zeros and the mean.
    fn add(
        &self,
        texts: &[Text<'_>],
        mean: ndarray::ArrayView1<f32>,
        reconstruct: &mut dyn FnMut(ArrayView2<f32>) -> Result<Array2<f32>>,
        sums: &mut [f64; 4],
    ) -> Result<()> {
        let read: Vec<Array2<f32>> = self.plain(texts, self.site_in)?;
        let views: Vec<_> = read.iter().map(|rows| rows.view()).collect();
        let all = ndarray::concatenate(Axis(0), &views)
            .map_err(|error| Fault::failed("splicing a reconstruction in", error.to_string()))?;
        let made = reconstruct(all.view())?;
        let expected = (all.nrows(), mean.len());
        if made.dim() != expected {
            let found = format!("a reconstruction of shape {:?}", made.shape());
            return Err(Fault::usage("splicing a reconstruction in", found)
                .expected(format!("{expected:?}, the width of `{}`", self.site_out)));
        }
        let mut start = 0;
        let mut rows = Vec::with_capacity(sums.len() * texts.len());
        for text in texts {
            let end = start + text.kept.len();
            let spliced = made.slice(ndarray::s![start..end, ..]).to_owned();
            start = end;
            let shape = spliced.dim();
            let constant = mean.broadcast(shape).map(|mean| mean.to_owned());
            let edits = [
                None,
                Some(spliced),
                Some(Array2::zeros(shape)),
                Some(constant.unwrap_or_default()),
            ];
            rows.extend(edits.map(|values| {
                Row {
                    ids: text.ids,
                    changes: values
                        .map(|values| Change {
                            site: self.site_out,
                            positions: text.kept.clone(),
                            heads: None,
                            to: To::Values(values),
                        })
                        .into_iter()
                        .collect(),
                    read: text.read.clone(),
                }
            }));
        }
        let kinds = sums.len();
        self.runs.each_logits(&rows, &mut |row, position, logits| {
            let next = rows.get(row).and_then(|row| row.ids.get(position + 1));
            let next = next.and_then(|&id| usize::try_from(id).ok());
            if let (Some(next), Some(sum)) = (next, sums.get_mut(row % kinds)) {
                *sum -= log_probability(logits, next);
            }
            Ok(())
        })
    }
}
