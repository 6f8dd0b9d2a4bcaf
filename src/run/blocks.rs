//! The model cut at its residual stream, each piece a session of its own over its own part of the weights.
//!
//! Pieces are loaded when they are first needed. Each is tried on two small runs then: they show how its tensors lie, and whether
//! its tokens may be run apart from one another (`[tokens, 1]` instead of `[rows, tokens]`) and its rows together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ndarray::{Array2, Array3, ArrayD, s};

use super::Runtime;
use super::abilities::reads_nothing;
use super::channels::Channel;
use super::device::{Device, Memory, Traffic};
use super::piece::{MANY, ONE, PieceSession, Shape, Trial};
use super::tried::{Piece, TRIED, same};
use crate::fault::{Fault, Result};
use crate::instrument::{Cut, Cutter};
use crate::model::{Architecture, Model};

/// What a piece is given and what is wanted of it.
type Between = (Vec<Cut>, Vec<Cut>);

/// A model in pieces.
pub struct Blocks {
    runtime: Runtime,
    pub(super) arch: Architecture,
    cutter: Cutter,
    pieces: Mutex<HashMap<Between, Arc<Piece>>>,
    trials: Mutex<Trials>,
    pub(super) channels: Vec<OnceLock<Vec<Vec<Channel>>>>,
    causal: bool,
    trial: Trial,
    device: Option<Arc<Device>>,
}

/// What was seen of every tensor in the two trial runs: its shape, and its values `[rows × tokens, width]`.
#[derive(Default)]
struct Trials {
    shapes: HashMap<String, Shape>,
    values: [HashMap<String, Array2<f32>>; 2],
}

/// What enters an attention while each token stands for itself: one array `[rows, seq, width]` for each tensor.
#[derive(Debug, Clone)]
pub struct Qkv(pub Vec<Array3<f32>>);

impl Blocks {
    /// Cuts a model and loads its pieces along the stream; what lies between them in [`Piece::run_held`] lies where it suits the
    /// provider.
    ///
    /// # Errors
    /// Usage: the graph cannot be cut there; the message says why. Failed: a piece does not run on more than one row.
    pub fn open(runtime: &Runtime, model: &Model, arch: &Architecture) -> Result<Self> {
        Self::open_in(runtime, model, arch, Memory::of(runtime.provider()))
    }

    /// As [`Blocks::open`], with what lies between the pieces in that memory.
    ///
    /// # Errors
    /// As [`Blocks::open`].
    pub fn open_in(
        runtime: &Runtime,
        model: &Model,
        arch: &Architecture,
        memory: Memory,
    ) -> Result<Self> {
        let device = match memory {
            Memory::Host => None,
            Memory::Device => Some(Arc::new(Device::new(runtime)?)),
        };
        let tried_by = |trial| Self::tried_by(runtime, model, arch, trial, device.clone());
        tried_by(MANY).or_else(|fault| {
            // Some exports take one row at a time; others cannot be cut, and the first reason says why.
            tried_by(ONE).map_err(|_| fault)
        })
    }

    /// What was handed to the device and back by [`Piece::run_held`] and on what it made; `None` where nothing lies there.
    #[must_use]
    pub fn traffic(&self) -> Option<Traffic> {
        self.device.as_ref().map(|device| device.traffic())
    }

    fn tried_by(
        runtime: &Runtime,
        model: &Model,
        arch: &Architecture,
        trial: Trial,
        device: Option<Arc<Device>>,
    ) -> Result<Self> {
        let mut blocks = Self {
            runtime: runtime.clone(),
            cutter: Cutter::new(model, arch)?,
            arch: arch.clone(),
            pieces: Mutex::default(),
            trials: Mutex::default(),
            channels: (0..arch.n_layers).map(|_| OnceLock::new()).collect(),
            causal: true,
            trial,
            device,
        };
        blocks.piece(&[], &[Cut::Stream(0)])?;
        for layer in 0..arch.n_layers {
            blocks.piece(&[Cut::Stream(layer)], &[Cut::Crossing(layer)])?;
            blocks.piece(&[Cut::Crossing(layer)], &[Cut::Gathered(layer)])?;
            blocks.piece(&blocks.before_branches(layer), &[Cut::Stream(layer + 1)])?;
        }
        blocks.causal = blocks.is_causal()?;
        Ok(blocks)
    }

    /// The architecture that the model was opened with.
    #[must_use]
    pub fn arch(&self) -> &Architecture {
        &self.arch
    }

    /// Whether no token hangs on a later one.
    #[must_use]
    pub fn causal(&self) -> bool {
        self.causal
    }

    /// The names of the tensors at a cut.
    ///
    /// # Errors
    /// Usage: the model does not show that place.
    pub fn tensors(&self, cut: Cut) -> Result<&[String]> {
        self.cutter.tensors(cut)
    }

    /// What the rest of a block is computed from.
    #[must_use]
    pub fn before_branches(&self, layer: usize) -> [Cut; 2] {
        [Cut::Gathered(layer), Cut::Stream(layer)]
    }

    /// The piece between two sets of cuts.
    ///
    /// # Errors
    /// Usage: the graph cannot be cut there. Failed: the piece does not run, or a tensor lies in no known way.
    pub fn piece(&self, given: &[Cut], wanted: &[Cut]) -> Result<Arc<Piece>> {
        let key = (given.to_vec(), wanted.to_vec());
        let known = |pieces: &HashMap<_, Arc<Piece>>| pieces.get(&key).cloned();
        if let Some(piece) = known(&self.pieces.lock().unwrap_or_else(PoisonError::into_inner)) {
            return Ok(piece);
        }
        let cut = self.cutter.piece(given, wanted)?;
        let session = PieceSession::open(&self.runtime, &cut, &self.arch)?;
        drop(cut);
        let piece = Arc::new(self.tried(session)?);
        let mut pieces = self.pieces.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(pieces.entry(key).or_insert(piece).clone())
    }

    /// Runs a piece on the trials: their values are what later pieces are tried with.
    fn tried(&self, session: PieceSession) -> Result<Piece> {
        let mut trials = self.trials.lock().unwrap_or_else(PoisonError::into_inner);
        let mut shapes: HashMap<String, Shape> = HashMap::new();
        for name in &session.given {
            let shape = trials.shapes.get(name).ok_or_else(|| {
                Fault::failed(
                    "cutting the model",
                    format!("`{name}` was not computed before it was given"),
                )
            })?;
            shapes.insert(name.clone(), shape.clone());
        }
        let mut piece = Piece {
            session,
            shapes,
            device: self.device.clone(),
            packs: false,
            together: false,
        };
        let mut seen: Vec<Vec<ArrayD<f32>>> = Vec::new();
        for (values, (rows, tokens)) in trials.values.iter().zip(self.trial) {
            let mut outputs = Vec::new();
            let ids = self.trial_ids(rows, tokens);
            piece.session.visit(
                &ids,
                &piece.given(values, rows, tokens),
                &TRIED,
                |_, view| {
                    outputs.push(view.to_owned());
                    Ok(())
                },
            )?;
            seen.push(outputs);
        }
        let [a, b] = seen.as_slice() else {
            return Err(Fault::failed("cutting the model", "no trial runs"));
        };
        for ((name, a), b) in piece.session.wanted.iter().zip(a).zip(b) {
            let shape = Shape::of(name, self.trial, [a.shape(), b.shape()], a == b)?;
            piece.shapes.insert(name.clone(), shape.clone());
            trials.shapes.insert(name.clone(), shape);
            let outputs = trials.values.iter_mut().zip([a, b]).zip(self.trial);
            for ((values, output), (rows, tokens)) in outputs {
                let shape = piece.shapes.get(name);
                let width = piece.width(name);
                let constant = shape.is_some_and(Shape::is_constant);
                let flat = output
                    .to_shape((output.len() / width.max(1), width))
                    .map_err(|error| {
                        Fault::failed(format!("cutting the model at `{name}`"), error.to_string())
                    })?;
                let all = if constant {
                    flat.broadcast((rows * tokens, width))
                        .map(|all| all.to_owned())
                } else {
                    Some(flat.into_owned())
                };
                values.extend(all.map(|all| (name.clone(), all)));
            }
        }
        let [(rows, tokens), _] = self.trial;
        piece.together =
            self.trial == MANY && piece.same(&self.trial_ids(rows, tokens), &trials.values[0], 1);
        piece.packs =
            piece.together && piece.same(&self.trial_ids(rows, tokens), &trials.values[0], tokens);
        Ok(piece)
    }

    /// Token ids spread over the vocabulary.
    pub(super) fn trial_ids(&self, rows: usize, tokens: usize) -> Array2<i64> {
        let vocab = self.arch.vocab_size.max(1);
        Array2::from_shape_fn((rows, tokens), |(row, token)| {
            let place = (row * 31 + token * 7 + 1) * vocab / 97;
            i64::try_from(place % vocab).unwrap_or(0)
        })
    }

    /// Whether a change of the last token leaves all that the others became, through every block.
    ///
    /// # Errors
    /// Failed: what stands before a token has no part in what it becomes, or a run fails.
    fn is_causal(&self) -> Result<bool> {
        // As long as the longest trial, of its tokens: the graph is known to take both.
        const LAST: usize = 4;
        let both = self.trial_ids(2, LAST + 1);
        let row = |row: usize| both.slice(s![row..=row, ..]).to_owned();
        // The first text with the last token of the second, and the second with that of the first.
        let [mut later, mut earlier] = [row(0), row(1)];
        std::mem::swap(&mut later[(0, LAST)], &mut earlier[(0, LAST)]);
        let [plain, later, earlier] =
            [&row(0), &later, &earlier].map(|ids| self.stream(self.arch.n_layers, ids.view()));
        let (plain, later, earlier) = (plain?, later?, earlier?);
        let at_last = |stream: &Array3<f32>| stream.slice(s![0, LAST, ..]).to_owned();
        // Where a token itself changes nothing, nothing is told by those before it.
        if at_last(&earlier) == at_last(&plain) && at_last(&later) != at_last(&plain) {
            return Err(reads_nothing());
        }
        let others = s![.., ..LAST, ..];
        Ok(same(
            plain.slice(others).iter().copied(),
            later.slice(others).iter().copied(),
        ))
    }
}
