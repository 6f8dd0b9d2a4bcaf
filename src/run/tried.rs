//! A loaded piece of the model, and how it may be run.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::{Array2, ArrayView2, s};

use super::device::Device;
use super::piece::{Given, PieceSession, Shape};
use crate::fault::{Fault, Result};

/// A loaded piece and how it may be run.
pub struct Piece {
    pub(super) session: PieceSession,
    pub(super) shapes: HashMap<String, Shape>,
    pub(super) device: Option<Arc<Device>>,
    /// Whether each token's part hangs on that token alone.
    pub packs: bool,
    /// Whether rows may be run together.
    pub together: bool,
}

/// The tokens whose logits a piece is tried with that makes those of some; not as many as a trial has rows or tokens.
pub(super) const TRIED: [i64; 4] = [0, 1, 0, 1];

/// How much a run may differ by the number of rows and tokens that it is made with, relative to the largest value.
const SAME: f32 = 1e-4;

impl Piece {
    /// Names of the tensors that it puts out.
    #[must_use]
    pub fn wanted(&self) -> &[String] {
        &self.session.wanted
    }

    /// Names of the tensors that it is given.
    #[must_use]
    pub fn needs(&self) -> &[String] {
        &self.session.given
    }

    /// Number of values of a token in a tensor of the piece.
    #[must_use]
    pub fn width(&self, tensor: &str) -> usize {
        self.shapes.get(tensor).map_or(1, Shape::width)
    }

    /// Runs `ids` `[rows, tokens]`; what is given and what is shown are `[rows × tokens, width]`. What the piece does not need is
    /// passed over.
    ///
    /// # Errors
    /// The run fails, or an output has another shape than in the trials.
    pub fn run(
        &self,
        ids: &Array2<i64>,
        given: &[(&str, ArrayView2<'_, f32>)],
        see: impl FnMut(&str, ArrayView2<'_, f32>) -> Result<()>,
    ) -> Result<()> {
        self.run_for(ids, given, &TRIED, see)
    }

    /// As [`Piece::run`], for a piece that makes the logits of some tokens: of those in `chosen`.
    ///
    /// # Errors
    /// As [`Piece::run`].
    pub fn run_for(
        &self,
        ids: &Array2<i64>,
        given: &[(&str, ArrayView2<'_, f32>)],
        chosen: &[i64],
        mut see: impl FnMut(&str, ArrayView2<'_, f32>) -> Result<()>,
    ) -> Result<()> {
        let (rows, tokens) = ids.dim();
        let given = given
            .iter()
            .filter_map(|(name, values)| {
                let shape = self.shapes.get(*name)?.at(rows, tokens);
                let needed = self.session.given.iter().any(|own| own == name);
                needed.then_some(Given {
                    name,
                    shape,
                    values: *values,
                })
            })
            .collect::<Vec<_>>();
        self.session.visit(ids, &given, chosen, |index, view| {
            let name = self.session.wanted.get(index).map_or("", String::as_str);
            let (entries, width) = self.laid(name, view.shape(), ids.dim(), chosen.len())?;
            let odd = || misshapen(name, view.shape());
            let flat = view.to_shape((entries, width)).map_err(|_| odd())?;
            let flat = flat.view();
            let all = if self.is_constant(name) {
                flat.broadcast((rows * tokens, width))
            } else {
                Some(flat)
            };
            see(name, all.ok_or_else(odd)?)
        })
    }

    /// Tokens and width of an output of that shape; a value that is the same for every token counts once.
    pub(super) fn laid(
        &self,
        name: &str,
        found: &[usize],
        (rows, tokens): (usize, usize),
        columns: usize,
    ) -> Result<(usize, usize)> {
        let odd = || misshapen(name, found);
        let shape = self.shapes.get(name).ok_or_else(odd)?;
        let mut expected = shape.at(rows, tokens);
        let mut width = shape.width();
        if let Some(last) = expected.last_mut().filter(|_| self.session.chooses()) {
            width = columns;
            *last = width;
        }
        if found != expected {
            return Err(odd().expected(format!("{expected:?}")));
        }
        let entries = match (shape.is_constant(), shape.of_last()) {
            (true, _) => 1,
            (false, true) => rows,
            (false, false) => rows * tokens,
        };
        Ok((entries, width))
    }

    pub(super) fn is_constant(&self, name: &str) -> bool {
        self.shapes.get(name).is_some_and(Shape::is_constant)
    }

    pub(super) fn given<'a>(
        &'a self,
        values: &'a HashMap<String, Array2<f32>>,
        rows: usize,
        tokens: usize,
    ) -> Vec<Given<'a>> {
        let given = self.session.given.iter();
        given
            .filter_map(|name| {
                Some(Given {
                    name,
                    shape: self.shapes.get(name)?.at(rows, tokens),
                    values: values.get(name)?.view(),
                })
            })
            .collect()
    }

    /// Whether a trial comes out the same when it is run in other rows: each row alone where `tokens` is 1, else all tokens as rows
    /// of one.
    pub(super) fn same(
        &self,
        ids: &Array2<i64>,
        values: &HashMap<String, Array2<f32>>,
        apart: usize,
    ) -> bool {
        let (rows, tokens) = ids.dim();
        let runs: Vec<(Array2<i64>, std::ops::Range<usize>)> = if apart > 1 {
            let flat = ids.iter().copied().collect();
            let ids = Array2::from_shape_vec((rows * tokens, 1), flat).unwrap_or_default();
            vec![(ids, 0..rows * tokens)]
        } else {
            let row = |row: usize| {
                (
                    ids.slice(s![row..=row, ..]).to_owned(),
                    row * tokens..(row + 1) * tokens,
                )
            };
            (0..rows).map(row).collect()
        };
        runs.into_iter().all(|(own, range)| {
            let given: Vec<(&str, Array2<f32>)> = self
                .session
                .given
                .iter()
                .filter_map(|name| {
                    Some((
                        name.as_str(),
                        values.get(name)?.slice(s![range.clone(), ..]).to_owned(),
                    ))
                })
                .collect();
            let views: Vec<(&str, ArrayView2<'_, f32>)> = given
                .iter()
                .map(|(name, values)| (*name, values.view()))
                .collect();
            let mut all = true;
            let ran = self.run(&own, &views, |name, found| {
                let of_last = self.shapes.get(name).is_some_and(Shape::of_last);
                let expected = values.get(name).map(|expected| match (of_last, apart > 1) {
                    (true, false) => {
                        let row = range.start / tokens.max(1);
                        expected.slice(s![row..=row, ..])
                    }
                    (true, true) => expected.view(),
                    (false, _) => expected.slice(s![range.clone(), ..]),
                });
                // Of tokens run apart each is the last of its row.
                let found = if of_last && apart > 1 {
                    found.slice_move(s![tokens - 1..;tokens, ..])
                } else {
                    found
                };
                all &= expected
                    .is_some_and(|expected| same(found.iter().copied(), expected.iter().copied()));
                Ok(())
            });
            ran.is_ok() && all
        })
    }
}

pub(super) fn misshapen(name: &str, found: &[usize]) -> Fault {
    Fault::failed(
        format!("reading `{name}` of a piece of the model"),
        format!("the shape {found:?}"),
    )
}

/// Whether two runs differ by rounding alone.
pub(super) fn same(found: impl Iterator<Item = f32>, expected: impl Iterator<Item = f32>) -> bool {
    let (mut apart, mut scale, mut sound) = (0.0_f32, f32::MIN_POSITIVE, true);
    for (a, b) in found.zip(expected) {
        if a.to_bits() != b.to_bits() {
            apart = apart.max((a - b).abs());
            sound &= a.is_finite() && b.is_finite();
        }
        if b.is_finite() {
            scale = scale.max(b.abs());
        }
    }
    sound && apart <= SAME * scale
}
