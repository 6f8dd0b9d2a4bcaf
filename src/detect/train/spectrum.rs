//! Eigenvectors of a covariance, from the rows themselves: through the `n × n` Gram matrix where there are fewer rows than columns.
#![allow(clippy::cast_precision_loss, reason = "row counts are far below 2^52")]

use faer::{Mat, Side};
use ndarray::{Array1, Array2, ArrayView2, Axis};

use crate::fault::{Fault, Result};

/// `Σ = Cᵀ C / n` by its eigenvalues `[r]`, descending, and its eigenvectors, the rows of `[r, d]`.
pub(super) struct Spectrum {
    pub(super) values: Array1<f64>,
    pub(super) vectors: Array2<f64>,
}

impl Spectrum {
    /// Of centred rows `[n, d]`. Eigenvalues that are no more than rounding are left out.
    pub(super) fn of(centred: ArrayView2<f64>) -> Result<Self> {
        let (n, d) = centred.dim();
        let dual = n < d;
        let square = if dual {
            centred.dot(&centred.t())
        } else {
            centred.t().dot(&centred)
        } / n.max(1) as f64;
        let (values, vectors) = symmetric(&square)?;
        let largest = values.first().copied().unwrap_or_default();
        // Below this an eigenvalue of the Gram matrix is rounding of the largest, and so would be its vector.
        let noise = largest * f64::EPSILON * n.max(d) as f64;
        let kept = values.iter().take_while(|value| **value > noise).count();
        let values = values.slice(ndarray::s![..kept]).to_owned();
        let vectors = vectors.slice(ndarray::s![..kept, ..]).to_owned();
        if !dual {
            return Ok(Self { values, vectors });
        }
        let mut mapped = vectors.dot(&centred);
        for (mut row, value) in mapped.outer_iter_mut().zip(&values) {
            row /= (value * n as f64).sqrt();
        }
        Ok(Self {
            values,
            vectors: mapped,
        })
    }

    /// `Σ⁺ v` with eigenvalues of at most `cutoff` taken for 0.
    pub(super) fn pseudo_inverse_times(&self, v: &Array1<f64>, cutoff: f64) -> Array1<f64> {
        let mut image = Array1::zeros(v.len());
        for (value, vector) in self.values.iter().zip(self.vectors.axis_iter(Axis(0))) {
            if *value > cutoff {
                image.scaled_add(vector.dot(v) / value, &vector);
            }
        }
        image
    }
}

/// Eigenvalues, descending, and eigenvectors as rows.
fn symmetric(matrix: &Array2<f64>) -> Result<(Array1<f64>, Array2<f64>)> {
    let n = matrix.nrows();
    let square = square(matrix);
    let found = square.self_adjoint_eigen(Side::Lower).map_err(|error| {
        Fault::failed(
            "taking the eigenvectors of a covariance",
            format!("{error:?}"),
        )
        .expected("finite activations")
    })?;
    let (values, vectors) = (found.S().column_vector(), found.U());
    Ok((
        Array1::from_shape_fn(n, |at| values[n - 1 - at]),
        Array2::from_shape_fn((n, n), |(at, entry)| vectors[(entry, n - 1 - at)]),
    ))
}

/// `M⁻¹ v` of a symmetric positive definite matrix; `None` where it is not that.
pub(super) fn solve(matrix: &Array2<f64>, v: &Array1<f64>) -> Option<Array1<f64>> {
    use faer::linalg::solvers::Solve as _;
    let factor = square(matrix).llt(Side::Lower).ok()?;
    let right = Mat::from_fn(v.len(), 1, |row, _| v[row]);
    let image = factor.solve(&right);
    Some(Array1::from_shape_fn(v.len(), |row| image[(row, 0)]))
}

fn square(matrix: &Array2<f64>) -> Mat<f64> {
    Mat::from_fn(matrix.nrows(), matrix.ncols(), |row, column| {
        matrix[[row, column]]
    })
}
