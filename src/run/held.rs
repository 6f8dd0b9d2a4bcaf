//! Activations between the pieces of a model: matrices of tokens, on the host or on the device.

use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis, CowArray, Ix2, concatenate, s, stack};

use super::resident::{DeviceRows, DeviceTensor, Writes};
use crate::fault::{Fault, Result};

/// A matrix of tokens `[tokens, width]`.
pub struct Held<'a>(pub(super) Lies<'a>);

pub(super) enum Lies<'a> {
    Host(CowArray<'a, f32, Ix2>),
    Device(DeviceTensor),
}

/// Some tokens of a matrix, in order.
#[derive(Debug, Clone)]
pub enum Chosen<'c> {
    /// Those of a range.
    Range(Range<usize>),
    /// Those at some places.
    At(&'c [usize]),
}

/// Rows that are to be written, where the matrix lies that they go to.
pub struct Staged(Rows);

enum Rows {
    Host(Vec<Array1<f32>>),
    Device(DeviceRows),
}

/// Tokens that can be looked at.
pub struct Looked<'a>(Seen<'a>);

enum Seen<'a> {
    /// A matrix, by place.
    Whole(ArrayView2<'a, f32>),
    /// Rows, of these places in rising order.
    Some(Vec<usize>, Array2<f32>),
}

fn misfit(found: impl Into<String>) -> Fault {
    Fault::failed("holding activations between pieces", found)
}

impl<'a> Held<'a> {
    /// A view of the host's memory.
    #[must_use]
    pub fn view(values: ArrayView2<'a, f32>) -> Self {
        Self(Lies::Host(values.into()))
    }

    /// Number of tokens.
    #[must_use]
    pub fn tokens(&self) -> usize {
        match &self.0 {
            Lies::Host(values) => values.nrows(),
            Lies::Device(values) => values.tokens(),
        }
    }

    /// Number of values of a token.
    #[must_use]
    pub fn width(&self) -> usize {
        match &self.0 {
            Lies::Host(values) => values.ncols(),
            Lies::Device(values) => values.width(),
        }
    }

    /// Keeps what was only lent.
    #[must_use]
    pub fn kept(self) -> Held<'static> {
        Held(match self.0 {
            Lies::Host(values) => Lies::Host(values.into_owned().into()),
            Lies::Device(values) => Lies::Device(values),
        })
    }

    /// The tokens at `from`, in that order.
    ///
    /// # Errors
    /// The run on the device fails.
    pub fn taken(&self, from: &[usize]) -> Result<Held<'static>> {
        Ok(Held(match &self.0 {
            Lies::Host(values) => Lies::Host(gather(values.view(), from).into()),
            Lies::Device(values) => Lies::Device(values.moved(Some(from), None)?),
        }))
    }

    /// Shows the tokens at `at`, which may be named more than once; of each its values at `columns` alone where these are given.
    ///
    /// # Errors
    /// The run on the device fails.
    pub fn look(&self, at: &[usize], columns: Option<&[usize]>) -> Result<Looked<'_>> {
        let mut places = at.to_vec();
        places.sort_unstable();
        places.dedup();
        let rows = match (&self.0, columns) {
            (Lies::Host(values), None) => return Ok(Looked(Seen::Whole(values.view()))),
            (Lies::Host(values), Some(columns)) => {
                gather(values.view(), &places).select(Axis(1), columns)
            }
            (Lies::Device(values), columns) => values.read(&places, columns)?,
        };
        Ok(Looked(Seen::Some(places, rows)))
    }

    /// Brings rows to where this matrix lies, and says of each whether it is what the token at the same entry of `at` holds already.
    ///
    /// # Errors
    /// A row has another width, or the run on the device fails.
    pub fn stage(&self, at: &[usize], rows: Vec<Array1<f32>>) -> Result<(Staged, Vec<bool>)> {
        if rows.len() != at.len() || rows.iter().any(|row| row.len() != self.width()) {
            return Err(misfit("rows of another width or number"));
        }
        match &self.0 {
            Lies::Host(values) => {
                let there = at.iter().map(|&at| values.row(at));
                let same = there.zip(&rows).map(|(there, row)| same(there, row.view()));
                let same = same.collect();
                Ok((Staged(Rows::Host(rows)), same))
            }
            Lies::Device(values) => {
                let views: Vec<_> = rows.iter().map(|row| row.view()).collect();
                let rows = stack(Axis(0), &views).map_err(|error| misfit(error.to_string()))?;
                let (rows, same) = values.stage(at, rows)?;
                Ok((Staged(Rows::Device(rows)), same))
            }
        }
    }

    /// Takes the tokens at `from` (`None` for all as they are) and writes there the `which` of some rows, to the places `at`.
    ///
    /// # Errors
    /// Rows and matrix do not lie in one memory, or the run on the device fails.
    pub fn written(
        self,
        from: Option<&[usize]>,
        rows: &Staged,
        which: &[usize],
        at: &[usize],
    ) -> Result<Held<'static>> {
        match (self.0, &rows.0) {
            (Lies::Host(values), Rows::Host(rows)) => {
                let mut values = match from {
                    Some(from) => gather(values.view(), from),
                    None => values.into_owned(),
                };
                for (&which, &at) in which.iter().zip(at) {
                    if let Some(row) = rows.get(which) {
                        values.row_mut(at).assign(row);
                    }
                }
                Ok(Held(Lies::Host(values.into())))
            }
            (Lies::Device(values), Rows::Device(rows)) => {
                let writes = Writes { rows, which, at };
                let values = values.moved(from, Some(writes))?;
                Ok(Held(Lies::Device(values)))
            }
            _ => Err(misfit("rows in another memory")),
        }
    }

    /// All tokens of `parts`, one behind another.
    ///
    /// # Errors
    /// There are none, or they do not fit together.
    pub fn joined(mut parts: Vec<Held<'static>>) -> Result<Held<'static>> {
        if parts.len() == 1
            && let Some(only) = parts.pop()
        {
            return Ok(only);
        }
        let (mut host, mut device) = (Vec::new(), Vec::new());
        for part in parts {
            match part.0 {
                Lies::Host(values) => host.push(values),
                Lies::Device(values) => device.push(values),
            }
        }
        if host.is_empty() {
            return Ok(Held(Lies::Device(DeviceTensor::joined(device)?)));
        }
        let views: Vec<_> = host.iter().map(|part| part.view()).collect();
        let all = concatenate(Axis(0), &views).map_err(|error| misfit(error.to_string()))?;
        Ok(Held(Lies::Host(all.into())))
    }

    /// Some tokens, in the host's memory.
    pub(super) fn on_host(&self, chosen: &Chosen<'_>) -> Result<CowArray<'_, f32, Ix2>> {
        match (&self.0, chosen) {
            (Lies::Host(values), Chosen::Range(range)) => {
                Ok(values.slice(s![range.clone(), ..]).into())
            }
            (Lies::Host(values), Chosen::At(at)) => Ok(gather(values.view(), at).into()),
            (Lies::Device(_), _) => Err(misfit("activations on the device")),
        }
    }
}

impl Looked<'_> {
    /// The token at a place that was asked for.
    ///
    /// # Errors
    /// It was not.
    pub fn row(&self, at: usize) -> Result<ArrayView1<'_, f32>> {
        let found = match &self.0 {
            Seen::Whole(values) => (at < values.nrows()).then(|| values.row(at)),
            Seen::Some(places, rows) => {
                let entry = places.binary_search(&at).ok();
                entry.map(|entry| rows.row(entry))
            }
        };
        found.ok_or_else(|| misfit(format!("no token at {at}")))
    }
}

impl From<Array2<f32>> for Held<'_> {
    fn from(values: Array2<f32>) -> Self {
        Self(Lies::Host(values.into()))
    }
}

/// A matrix of tokens that is made part by part.
pub struct Parts {
    tokens: usize,
    width: usize,
    /// Parts on the host, one behind another: room for all is asked for once.
    host: Vec<f32>,
    device: Vec<DeviceTensor>,
}

impl Parts {
    /// Nothing yet of `tokens` tokens.
    #[must_use]
    pub fn of(tokens: usize) -> Self {
        Self {
            tokens,
            width: 0,
            host: Vec::new(),
            device: Vec::new(),
        }
    }

    /// Adds tokens behind those that are there: all of a matrix, or those at some places.
    ///
    /// # Errors
    /// The run on the device fails.
    pub fn add(&mut self, values: Held<'_>, some: Option<&[usize]>) -> Result<()> {
        match values.0 {
            Lies::Host(values) => {
                self.width = values.ncols();
                if self.host.capacity() == 0 {
                    self.host
                        .reserve_exact(self.tokens.saturating_mul(self.width));
                }
                match (some, values.as_slice()) {
                    (None, Some(flat)) => self.host.extend_from_slice(flat),
                    (None, None) => self.host.extend(values.iter()),
                    (Some(some), _) => append(&mut self.host, values.view(), some),
                }
            }
            Lies::Device(values) => match some {
                None => self.device.push(values),
                Some([]) => {}
                Some(some) => self.device.push(values.moved(Some(some), None)?),
            },
        }
        Ok(())
    }

    /// All of them.
    ///
    /// # Errors
    /// There are none, or they do not fit together.
    pub fn joined(self) -> Result<Held<'static>> {
        if !self.device.is_empty() {
            let parts = self.device.into_iter();
            return Held::joined(parts.map(|part| Held(Lies::Device(part))).collect());
        }
        let tokens = self.host.len() / self.width.max(1);
        let all = Array2::from_shape_vec((tokens, self.width), self.host);
        Ok(all.map_err(|error| misfit(error.to_string()))?.into())
    }
}

/// To the last bit.
fn same(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> bool {
    a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Rows of a matrix, in the order of `from`.
fn gather(values: ArrayView2<'_, f32>, from: &[usize]) -> Array2<f32> {
    let width = values.ncols();
    let mut all = Vec::with_capacity(from.len() * width);
    append(&mut all, values, from);
    Array2::from_shape_vec((from.len(), width), all).unwrap_or_default()
}

fn append(all: &mut Vec<f32>, values: ArrayView2<'_, f32>, from: &[usize]) {
    let width = values.ncols();
    let flat = values.as_slice();
    for &at in from {
        match flat.and_then(|flat| flat.get(at * width..(at + 1) * width)) {
            Some(row) => all.extend_from_slice(row),
            None => all.extend(values.row(at)),
        }
    }
}
