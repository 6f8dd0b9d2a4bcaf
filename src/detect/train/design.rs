//! The rows of a fit as what their solver needs of them: products from either side.

use ndarray::{Array1, ArrayView1, ArrayView2, Axis, s};
use rayon::prelude::*;

/// Rows `[n, d]` that are multiplied and never looked into.
pub(in crate::detect) trait Design: Sync {
    /// `n` and `d`.
    fn dim(&self) -> (usize, usize);

    /// `X·w`, `[n]`.
    fn times(&self, weight: ArrayView1<f64>) -> Array1<f64>;

    /// `Xᵀ·r`, `[d]`.
    fn transposed_times(&self, by_row: &Array1<f64>) -> Array1<f64>;
}

/// Rows that are summed together: fixed, so that the number of threads changes no bit.
const ROWS: usize = 512;

impl Design for ArrayView2<'_, f64> {
    fn dim(&self) -> (usize, usize) {
        self.dim()
    }

    fn times(&self, weight: ArrayView1<f64>) -> Array1<f64> {
        let products: Vec<f64> = self
            .axis_iter(Axis(0))
            .into_par_iter()
            .with_min_len(ROWS)
            .map(|row| row.dot(&weight))
            .collect();
        Array1::from_vec(products)
    }

    /// Row by row, in the order of memory: column by column a wide matrix would be fetched anew for each.
    fn transposed_times(&self, by_row: &Array1<f64>) -> Array1<f64> {
        let sums: Vec<Array1<f64>> = self
            .axis_chunks_iter(Axis(0), ROWS)
            .into_par_iter()
            .enumerate()
            .map(|(chunk, rows)| {
                let factors = by_row.slice(s![chunk * ROWS..]);
                let mut sum = Array1::zeros(rows.ncols());
                for (row, factor) in rows.outer_iter().zip(factors) {
                    sum.scaled_add(*factor, &row);
                }
                sum
            })
            .collect();
        sums.into_iter()
            .fold(Array1::zeros(self.ncols()), |sum, part| sum + part)
    }
}
