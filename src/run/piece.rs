//! One piece of a cut model, loaded, and how its tensors lie.

use std::sync::{Arc, Mutex, PoisonError};

use ndarray::{Array1, Array2, ArrayView2, ArrayViewD, IxDyn};
use ort::session::builder::SessionBuilder;
use ort::session::{OutputSelector, RunOptions, SessionInputValue};
use ort::value::DynValue;

use super::device::{Device, Lies, Sent};
use super::feed::{self, Feed, Tensor};
use super::resident::DeviceTensor;
use super::session::{Input, inputs_of, load};
use super::{Runtime, values};
use crate::fault::{Fault, Result};
use crate::instrument::{self, TOKENS};
use crate::model::{Architecture, InputPort};

/// How the shape of a tensor follows from the number of rows and of tokens in each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Shape(Vec<Size>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Size {
    Fixed(usize),
    Rows,
    Tokens,
    Both,
}

/// Rows and tokens of two trial runs.
pub(super) type Trial = [(usize, usize); 2];
/// No size of the one is one of the other, nor a product.
pub(super) const MANY: Trial = [(2, 3), (3, 5)];
/// For exports that take one row at a time.
pub(super) const ONE: Trial = [(1, 3), (1, 5)];

impl Shape {
    /// The shape that fits what was seen in the two trial runs; `constant` if the values were the same in both.
    ///
    /// # Errors
    /// Failed: there is none, or the tensor does not lie token after token.
    pub fn of(name: &str, trial: Trial, seen: [&[usize]; 2], constant: bool) -> Result<Self> {
        let odd = || {
            Fault::failed(
                format!("cutting the model at `{name}`"),
                format!("the shapes {seen:?} for {trial:?} rows and tokens"),
            )
            .expected("a tensor with rows and tokens on its first axes")
        };
        let [a, b] = seen;
        if a.len() != b.len() {
            return Err(odd());
        }
        let of = |(&a, &b): (&usize, &usize)| {
            let [(rows, tokens), (more, longer)] = trial;
            match (a, b) {
                sizes if sizes == (rows, more) && rows != more => Some(Size::Rows),
                sizes if sizes == (tokens, longer) => Some(Size::Tokens),
                sizes if sizes == (rows * tokens, more * longer) => Some(Size::Both),
                (a, b) if a == b => Some(Size::Fixed(a)),
                _ => None,
            }
        };
        let mut sizes: Vec<Size> = a
            .iter()
            .zip(b)
            .map(of)
            .collect::<Option<_>>()
            .ok_or_else(odd)?;
        if let (ONE, false, Some(Size::Fixed(1))) = (trial, constant, sizes.first())
            && sizes.iter().all(|size| matches!(size, Size::Fixed(_)))
            && let Some(first) = sizes.first_mut()
        {
            *first = Size::Rows;
        }
        let varying = sizes.iter().filter(|size| !matches!(size, Size::Fixed(1)));
        let leading: Vec<Size> = varying.take(2).copied().collect();
        let rest = |from: usize| {
            let varying = sizes.iter().filter(|size| !matches!(size, Size::Fixed(1)));
            varying
                .skip(from)
                .all(|size| matches!(size, Size::Fixed(_)))
        };
        let fits = match leading.as_slice() {
            [Size::Rows, Size::Tokens] => rest(2),
            // Rows alone: what a model puts out of the last token of each.
            [Size::Both | Size::Rows, ..] => rest(1),
            [Size::Tokens, ..] if trial == ONE => rest(1),
            // A bias, which is the same for every token.
            [Size::Fixed(_)] => constant,
            _ => false,
        };
        if fits { Ok(Self(sizes)) } else { Err(odd()) }
    }

    /// The shape for that many rows and tokens in each.
    pub fn at(&self, rows: usize, tokens: usize) -> Vec<usize> {
        let size = |size: &Size| match size {
            Size::Fixed(size) => *size,
            Size::Rows => rows,
            Size::Tokens => tokens,
            Size::Both => rows * tokens,
        };
        self.0.iter().map(size).collect()
    }

    /// Whether there is one entry for each row, and not for each token.
    pub fn of_last(&self) -> bool {
        let by_row = |size: &Size| matches!(size, Size::Fixed(_) | Size::Rows);
        self.0.iter().all(by_row) && self.0.contains(&Size::Rows)
    }

    /// Whether it is the same for every token.
    pub fn is_constant(&self) -> bool {
        self.0.iter().all(|size| matches!(size, Size::Fixed(_)))
    }

    /// Number of values of a token.
    pub fn width(&self) -> usize {
        let fixed = self.0.iter().filter_map(|size| match size {
            Size::Fixed(size) => Some(*size),
            _ => None,
        });
        fixed.product()
    }
}

/// A tensor that a piece is given: its shape in the graph is that which is stated, its values those of the rows in order.
pub(super) struct Given<'a> {
    pub name: &'a str,
    pub shape: Vec<usize>,
    /// `[tokens, width]`.
    pub values: ArrayView2<'a, f32>,
}

/// A loaded piece.
pub(super) struct PieceSession {
    /// `None` where all that is wanted is given.
    inner: Option<Mutex<ort::session::Session>>,
    inputs: Vec<Input>,
    ports: Vec<InputPort>,
    pub given: Vec<String>,
    pub wanted: Vec<String>,
}

impl PieceSession {
    pub fn open(runtime: &Runtime, piece: &instrument::Piece, arch: &Architecture) -> Result<Self> {
        let inner = if piece.wanted.is_empty() {
            None
        } else {
            // Weights lie apart from the pool that activations of all pieces share.
            let shared = |builder: SessionBuilder| {
                builder
                    .with_env_allocators()?
                    .with_device_allocated_initializers()?
                    .with_memory_pattern(false)
                    .map_err(ort::Error::from)
            };
            Some(load(runtime, &piece.bytes, &piece.folder, shared)?)
        };
        Ok(Self {
            inputs: inner.as_ref().map_or_else(|| Ok(Vec::new()), inputs_of)?,
            inner: inner.map(Mutex::new),
            ports: arch.inputs.clone(),
            given: piece.given.clone(),
            wanted: piece.wanted.clone(),
        })
    }

    /// Whether it has to be told whose logits it is to make.
    pub fn chooses(&self) -> bool {
        self.inputs.iter().any(|input| input.name == TOKENS)
    }

    /// Runs the piece and shows what is wanted of it, by index. `ids` are `[rows, tokens]`; `chosen` are ids for a piece that makes
    /// the logits of some tokens.
    pub fn visit(
        &self,
        ids: &Array2<i64>,
        given: &[Given<'_>],
        chosen: &[i64],
        mut see: impl FnMut(usize, ArrayViewD<'_, f32>) -> Result<()>,
    ) -> Result<()> {
        let Some(inner) = &self.inner else {
            return Ok(());
        };
        let own = self.own_inputs(ids, chosen);
        let inputs = self
            .inputs
            .iter()
            .zip(&own)
            .map(|(input, own)| {
                let name = input.name.as_str();
                if let Some(own) = own {
                    return Ok((name, feed::encode(name, own, input.element)?));
                }
                let value = given
                    .iter()
                    .find(|given| given.name == name)
                    .ok_or_else(|| missing(name))?;
                Ok((name, value.encode(input)?))
            })
            .collect::<Result<Vec<(&str, SessionInputValue<'_>)>>>()?;
        let selected = self
            .wanted
            .iter()
            .fold(OutputSelector::no_default(), OutputSelector::with);
        let options = RunOptions::new().map_err(failed)?.with_outputs(selected);
        let mut session = inner.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run_with_options(inputs, &options).map_err(failed)?;
        for (index, name) in self.wanted.iter().enumerate() {
            let value = outputs.get(name.as_str()).ok_or_else(|| {
                Fault::failed(
                    "running a piece of the model",
                    format!("no output `{name}`"),
                )
            })?;
            values::read(name, value, |view| see(index, view))?;
        }
        Ok(())
    }

    /// As [`PieceSession::visit`], on values that lie on the device, laid out as the graph wants them; so does what it makes.
    pub fn chain(
        &self,
        device: &Device,
        ids: &Array2<i64>,
        given: &[(&str, &DeviceTensor, Arc<DynValue>)],
        chosen: &[i64],
    ) -> Result<Vec<DynValue>> {
        let Some(inner) = &self.inner else {
            return Ok(Vec::new());
        };
        let mut sent: Vec<(&str, DynValue)> = Vec::new();
        let mut inputs: Vec<(&str, &DynValue)> = Vec::new();
        let own = self.own_inputs(ids, chosen);
        for (input, own) in self.inputs.iter().zip(own) {
            let name = input.name.as_str();
            if let Some(own) = own {
                sent.push((name, device.send(name, own, input.element, Sent::Indices)?));
                continue;
            }
            let (_, held, value) = given
                .iter()
                .find(|(given, _, _)| *given == name)
                .ok_or_else(|| missing(name))?;
            if held.element() != input.element {
                return Err(Fault::failed(
                    format!("giving `{name}` to a piece of the model"),
                    format!("{} for {}", held.element(), input.element),
                ));
            }
            inputs.push((name, value));
        }
        inputs.extend(sent.iter().map(|(name, value)| (*name, value)));
        let outputs: Vec<(&str, Lies)> = self
            .wanted
            .iter()
            .map(|name| (name.as_str(), Lies::Device))
            .collect();
        let mut session = inner.lock().unwrap_or_else(PoisonError::into_inner);
        device.run(&mut session, &inputs, &outputs)
    }

    /// Values for the inputs that a piece shares with the model, and for [`TOKENS`]; `None` for those that it is given.
    fn own_inputs(&self, ids: &Array2<i64>, chosen: &[i64]) -> Vec<Option<Tensor>> {
        let feed = Feed::unpadded(ids.clone());
        let seen = Array2::zeros((ids.nrows(), 0));
        let value = |input: &Input| {
            if input.name == TOKENS {
                return Some(Tensor::I64(Array1::from(chosen.to_vec()).into_dyn()));
            }
            let port = self.ports.iter().find(|port| port.name == input.name);
            port.map(|port| feed.value(&port.role, input.dims.len(), &seen))
        };
        self.inputs.iter().map(value).collect()
    }
}

fn failed(error: ort::Error) -> Fault {
    Fault::failed("running a piece of the model", error.message().trim())
}

fn missing(name: &str) -> Fault {
    Fault::failed(
        "running a piece of the model",
        format!("nothing for `{name}`"),
    )
}

impl Given<'_> {
    fn encode(&self, input: &Input) -> Result<SessionInputValue<'_>> {
        let misfit = || {
            Fault::failed(
                format!("giving `{}` to a piece of the model", self.name),
                format!(
                    "{} values for the shape {:?}",
                    self.values.len(),
                    self.shape
                ),
            )
        };
        let view = self
            .values
            .into_shape_with_order(IxDyn(&self.shape))
            .map_err(|_| misfit())?;
        feed::encode_floats(self.name, view, input.element)
    }
}
