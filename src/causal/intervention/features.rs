//! Edits of SAE features that keep the error term: `x + decode(a') − decode(a)`, which is `x + (a'_f − a_f)·W_dec[f]` at the
//! scale of `x`, where the SAE normalises its input.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::super::row::To;
use crate::detect::Sae;
use crate::fault::{Fault, Result};
use crate::model::SiteName;

/// What becomes of a feature's activation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FeatureEdit {
    /// It becomes 0.
    Ablate,
    /// It becomes this, whatever it was.
    Set(f32),
    /// It is multiplied by this.
    Scale(f32),
}

impl FeatureEdit {
    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ablate => "feature_ablate",
            Self::Set(_) => "feature_set",
            Self::Scale(_) => "feature_scale",
        }
    }

    fn of(self, activation: f32) -> f32 {
        match self {
            Self::Ablate => 0.0,
            Self::Set(value) => value,
            Self::Scale(factor) => activation * factor,
        }
    }
}

/// What becomes of an activation `[d_in]`.
type Map<'a> = dyn Fn(ArrayView1<f32>) -> Array1<f32> + Sync + 'a;

/// Features of one SAE and what becomes of them.
pub struct Features<'a> {
    sae: &'a Sae,
    site: SiteName,
    indices: Vec<usize>,
    pub(super) edit: FeatureEdit,
    map: Box<Map<'a>>,
}

impl<'a> Features<'a> {
    /// An edit of `features` of an SAE that was trained at `site`.
    ///
    /// # Errors
    /// No feature, one that the SAE lacks, or an edit that is not finite.
    pub fn new(
        sae: &'a Sae,
        site: SiteName,
        features: Vec<usize>,
        edit: FeatureEdit,
    ) -> Result<Self> {
        let fault = |found: String| Fault::usage("editing the features of an SAE", found);
        if sae.transcodes() {
            return Err(sae.no_reconstruction("editing features at the site that they are read at"));
        }
        if features.is_empty() {
            return Err(fault("no feature".into()).expected("at least one"));
        }
        if let Some(feature) = features.iter().find(|feature| **feature >= sae.d_sae()) {
            return Err(fault(format!("feature {feature}"))
                .expected(format!("an index below d_sae = {}", sae.d_sae())));
        }
        if let FeatureEdit::Set(value) | FeatureEdit::Scale(value) = edit
            && !value.is_finite()
        {
            return Err(fault(format!("the scale {value}")).expected("a finite number"));
        }
        let mut features = features;
        features.sort_unstable();
        features.dedup();
        let edited = features.clone();
        // What cannot be encoded was refused by `check`; not a number stops the run if it was not asked.
        let map = move |x: ArrayView1<f32>| {
            let row = x.insert_axis(Axis(0));
            let change = change(sae, &edited, edit, row);
            change.map_or_else(
                |_| Array1::from_elem(x.len(), f32::NAN),
                |change| &x + &change.row(0),
            )
        };
        Ok(Self {
            sae,
            site,
            indices: features,
            edit,
            map: Box::new(map),
        })
    }

    pub(super) fn to(&self) -> To<'_> {
        To::Map(&*self.map)
    }

    pub(super) fn check(&self, site: SiteName, there: &Array2<f32>) -> Result<()> {
        if site != self.site {
            return Err(Fault::usage(
                format!("editing features of an SAE at `{site}`"),
                format!("an SAE that was trained at `{}`", self.site),
            )
            .expected("the site of the SAE")
            .hint(format!("--sites {}", self.site)));
        }
        self.sae.encode(there.view()).map(drop)
    }

    /// Indices of the features.
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

/// What has to be added to `x` `[n, d_in]` so that the features are edited.
fn change(
    sae: &Sae,
    features: &[usize],
    edit: FeatureEdit,
    x: ArrayView2<f32>,
) -> Result<Array2<f32>> {
    let acts = sae.encode(x)?;
    let mut change = Array2::zeros(acts.dim());
    for &feature in features {
        let before = acts.column(feature);
        let after = before.mapv(|activation| edit.of(activation));
        change.column_mut(feature).assign(&(&after - &before));
    }
    sae.contribution(change.view(), x, features)
}
