//! The model cut at its residual stream, each piece a session of its own over its own part of the weights.
//!
//! Pieces are loaded when they are first needed. Each is tried on two small runs then: they show how its tensors lie, and whether
//! its tokens may be run apart from one another (`[tokens, 1]` instead of `[rows, tokens]`) and its rows together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use ndarray::{Array2, Array3, ArrayD, ArrayView2, ArrayView3, Axis, concatenate, s};

use super::Runtime;
use super::channels::{self, Channel};
use super::device::{Device, Memory, Traffic};
use super::piece::{Given, MANY, ONE, PieceSession, Shape, Trial};
use crate::fault::{Fault, Result};
use crate::instrument::{Cut, Cutter};
use crate::model::{Architecture, Model};

/// What a piece is given and what is wanted of it.
type Between = (Vec<Cut>, Vec<Cut>);

/// A model in pieces.
pub struct Blocks {
    runtime: Runtime,
    arch: Architecture,
    cutter: Cutter,
    pieces: Mutex<HashMap<Between, Arc<Piece>>>,
    trials: Mutex<Trials>,
    channels: Vec<OnceLock<Vec<Vec<Channel>>>>,
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

/// What enters an attention while each token stands for itself: one array `[rows, seq, width]` for each tensor.
#[derive(Debug, Clone)]
pub struct Qkv(pub Vec<Array3<f32>>);

/// The tokens whose logits a piece is tried with that makes those of some; not as many as a trial has rows or tokens.
const TRIED: [i64; 4] = [0, 1, 0, 1];

/// How much a run may differ by the number of rows and tokens that it is made with, relative to the largest value.
const SAME: f32 = 1e-4;

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
    fn trial_ids(&self, rows: usize, tokens: usize) -> Array2<i64> {
        let vocab = self.arch.vocab_size.max(1);
        Array2::from_shape_fn((rows, tokens), |(row, token)| {
            let place = (row * 31 + token * 7 + 1) * vocab / 97;
            i64::try_from(place % vocab).unwrap_or(0)
        })
    }

    /// Whether a change of the last token leaves what the first block's heads gather at the others.
    fn is_causal(&self) -> Result<bool> {
        let ids = self.trial_ids(1, 4);
        let mut other = ids.clone();
        if let Some(last) = other.last_mut() {
            *last = (*last + 1) % i64::try_from(self.arch.vocab_size.max(1)).unwrap_or(i64::MAX);
        }
        let gathered = |ids: &Array2<i64>| {
            let stream = self.embed(ids.view())?;
            let qkv = self.qkv(0, ids.view(), stream.view())?;
            self.attend(0, ids.view(), &qkv)
        };
        let (a, b) = (gathered(&ids)?, gathered(&other)?);
        let earlier = s![.., ..-1, ..];
        Ok(same(
            a.slice(earlier).iter().copied(),
            b.slice(earlier).iter().copied(),
        ))
    }

    /// `blocks.0.hook_resid_pre` `[rows, seq, d_model]` of `ids` `[rows, seq]`.
    ///
    /// # Errors
    /// A run fails.
    pub fn embed(&self, ids: ArrayView2<'_, i64>) -> Result<Array3<f32>> {
        self.one(&[], Cut::Stream(0), ids)
    }

    /// What enters the attention of a block, from `hook_resid_pre` `[rows, seq, d_model]`.
    ///
    /// # Errors
    /// A run fails, or shapes do not fit.
    pub fn qkv(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        resid: ArrayView3<'_, f32>,
    ) -> Result<Qkv> {
        let crossing = Cut::Crossing(layer);
        self.computed(&[(Cut::Stream(layer), vec![resid])], crossing, ids)
            .map(Qkv)
    }

    /// `attn.hook_z` with its heads side by side, `[rows, seq, heads × d_head]`, from what enters the attention.
    ///
    /// # Errors
    /// A run fails, or shapes do not fit.
    pub fn attend(&self, layer: usize, ids: ArrayView2<'_, i64>, qkv: &Qkv) -> Result<Array3<f32>> {
        let given = qkv.0.iter().map(|values| values.view()).collect();
        self.one(&[(Cut::Crossing(layer), given)], Cut::Gathered(layer), ids)
    }

    /// `hook_attn_out` `[rows, seq, d_model]` from `attn.hook_z`.
    ///
    /// # Errors
    /// A run fails, shapes do not fit, or the graph does not show what the attention adds.
    pub fn attn_out(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        z: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        self.one(&[(Cut::Gathered(layer), vec![z])], Cut::AttnOut(layer), ids)
    }

    /// `hook_mlp_out` `[rows, seq, d_model]` from the stream that the MLP reads: `hook_resid_mid`, or `hook_resid_pre` in a
    /// parallel block.
    ///
    /// # Errors
    /// A run fails, shapes do not fit, or the graph does not show what the MLP adds.
    pub fn mlp_out(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        stream: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        let parallel = self
            .arch
            .blocks
            .get(layer)
            .is_some_and(|block| block.parallel);
        let from = if parallel {
            Cut::Stream(layer)
        } else {
            Cut::Mid(layer)
        };
        if !parallel {
            self.piece(&self.before_branches(layer), &[from])?;
        }
        self.one(&[(from, vec![stream])], Cut::MlpOut(layer), ids)
    }

    /// `hook_resid_post` `[rows, seq, d_model]` from `attn.hook_z` and `hook_resid_pre`, the block not taken apart further.
    ///
    /// # Errors
    /// A run fails, or shapes do not fit.
    pub fn resid_post(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        z: ArrayView3<'_, f32>,
        resid_pre: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        let given = [
            (Cut::Gathered(layer), vec![z]),
            (Cut::Stream(layer), vec![resid_pre]),
        ];
        self.one(&given, Cut::Stream(layer + 1), ids)
    }

    /// Logits `[rows, seq, vocab]` from the last `hook_resid_post`; `[rows, 1, vocab]` where the model puts out those of the last
    /// token alone and its tokens cannot be run apart.
    ///
    /// # Errors
    /// A run fails, or shapes do not fit.
    pub fn logits(
        &self,
        ids: ArrayView2<'_, i64>,
        resid: ArrayView3<'_, f32>,
    ) -> Result<Array3<f32>> {
        let (rows, seq) = ids.dim();
        let last = Cut::Stream(self.arch.n_layers);
        let piece = self.piece(&[last], &[Cut::Logits])?;
        if !piece.packs {
            return self.one(&[(last, vec![resid])], Cut::Logits, ids);
        }
        let apart =
            |error: ndarray::ShapeError| Fault::failed("computing logits", error.to_string());
        let by_token = ids.to_shape((rows * seq, 1)).map_err(apart)?;
        let resid = resid
            .to_shape((rows * seq, 1, resid.dim().2))
            .map_err(apart)?;
        let logits = self.one(&[(last, vec![resid.view()])], Cut::Logits, by_token.view())?;
        let vocab = logits.dim().2;
        logits
            .into_shape_with_order((rows, seq, vocab))
            .map_err(apart)
    }

    /// For each tensor of a [`Qkv`] and each of its channels, whose it is. Measured when it is first asked for.
    ///
    /// # Errors
    /// A run fails.
    pub fn channels(&self, layer: usize) -> Result<&[Vec<Channel>]> {
        let slot = self.channels.get(layer).ok_or_else(|| {
            Fault::usage("looking into an attention", format!("block {layer}"))
                .expected(format!("a block below {}", self.arch.n_layers))
        })?;
        if let Some(known) = slot.get() {
            return Ok(known);
        }
        let ids = self.trial_ids(1, channels::TOKENS);
        let mut stream = self.embed(ids.view())?;
        for earlier in 0..layer {
            let qkv = self.qkv(earlier, ids.view(), stream.view())?;
            let z = self.attend(earlier, ids.view(), &qkv)?;
            let given = [
                (Cut::Gathered(earlier), vec![z.view()]),
                (Cut::Stream(earlier), vec![stream.view()]),
            ];
            stream = self.one(&given, Cut::Stream(earlier + 1), ids.view())?;
        }
        let qkv = self.qkv(layer, ids.view(), stream.view())?;
        let found = channels::measure(self, layer, &ids, &qkv)?;
        Ok(slot.get_or_init(|| found))
    }

    /// The sum of what is held at a cut, `[rows, seq, width]`.
    fn one(
        &self,
        given: &[(Cut, Vec<ArrayView3<'_, f32>>)],
        wanted: Cut,
        ids: ArrayView2<'_, i64>,
    ) -> Result<Array3<f32>> {
        let parts = self.computed(given, wanted, ids)?.into_iter();
        parts
            .reduce(|sum, part| sum + part)
            .ok_or_else(|| Fault::failed("running a piece of the model", "nothing is held there"))
    }

    /// What is held at a cut, computed from what is given, for rows of equal length.
    fn computed(
        &self,
        given: &[(Cut, Vec<ArrayView3<'_, f32>>)],
        wanted: Cut,
        ids: ArrayView2<'_, i64>,
    ) -> Result<Vec<Array3<f32>>> {
        let (rows, seq) = ids.dim();
        let cuts: Vec<Cut> = given.iter().map(|(cut, _)| *cut).collect();
        let piece = self.piece(&cuts, &[wanted])?;
        let mut named: Vec<(&str, ArrayView3<'_, f32>)> = Vec::new();
        for (cut, values) in given {
            let names = self.tensors(*cut)?;
            if names.len() != values.len()
                || values
                    .iter()
                    .any(|value| (value.dim().0, value.dim().1) != (rows, seq))
            {
                return Err(Fault::failed(
                    "running a piece of the model",
                    format!(
                        "{} arrays for {} tensors, or not of {rows} rows and {seq} tokens",
                        values.len(),
                        names.len()
                    ),
                ));
            }
            named.extend(names.iter().map(String::as_str).zip(values.iter().copied()));
        }
        let batches: Vec<std::ops::Range<usize>> = if piece.together {
            std::iter::once(0..rows).collect()
        } else {
            (0..rows).map(|row| row..row + 1).collect()
        };
        let names = self.tensors(wanted)?;
        let mut parts: Vec<Vec<Array3<f32>>> = vec![Vec::new(); names.len()];
        for batch in batches {
            let own = ids.slice(s![batch.clone(), ..]).to_owned();
            let flat = named
                .iter()
                .map(|(name, values)| {
                    let values = values.slice(s![batch.clone(), .., ..]);
                    let shape = (batch.len() * seq, values.dim().2);
                    let values = values.to_shape(shape).map(ndarray::ArrayBase::into_owned);
                    Ok((
                        *name,
                        values.map_err(|error| {
                            Fault::failed("running a piece of the model", error.to_string())
                        })?,
                    ))
                })
                .collect::<Result<Vec<_>>>()?;
            let views: Vec<(&str, ArrayView2<'_, f32>)> = flat
                .iter()
                .map(|(name, values)| (*name, values.view()))
                .collect();
            let mut made: HashMap<&str, Array2<f32>> = HashMap::new();
            piece.run(&own, &views, |name, values| {
                let name = names
                    .iter()
                    .find(|own| *own == name)
                    .map_or("", String::as_str);
                made.insert(name, values.to_owned());
                Ok(())
            })?;
            for (name, parts) in names.iter().zip(&mut parts) {
                let values = made.remove(name.as_str()).or_else(|| {
                    let given = flat.iter().find(|(own, _)| own == name);
                    given.map(|(_, values)| values.clone())
                });
                let values = values.ok_or_else(|| {
                    Fault::failed("running a piece of the model", format!("no `{name}`"))
                })?;
                let (tokens, width) = values.dim();
                let shape = (batch.len(), tokens / batch.len().max(1), width);
                parts.push(values.into_shape_with_order(shape).map_err(|error| {
                    Fault::failed("running a piece of the model", error.to_string())
                })?);
            }
        }
        parts
            .iter()
            .map(|parts| {
                let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
                concatenate(Axis(0), &views).map_err(|error| {
                    Fault::failed("running a piece of the model", error.to_string())
                })
            })
            .collect()
    }
}

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

    fn given<'a>(
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
    fn same(&self, ids: &Array2<i64>, values: &HashMap<String, Array2<f32>>, apart: usize) -> bool {
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
fn same(found: impl Iterator<Item = f32>, expected: impl Iterator<Item = f32>) -> bool {
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
