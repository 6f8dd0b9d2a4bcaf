//! One graph, ready to run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use ndarray::{ArrayD, ArrayViewD};
use ort::ErrorCode;
use ort::session::builder::SessionBuilder;
use ort::value::{TensorElementType, ValueType};

use super::abilities::{Batching, Caching};
use super::cache::Cache;
use super::execute;
use super::feed::Feed;
use super::placement::{self, Placed};
use super::precision::Precision;
use super::settings;
use super::{Provider, Runtime};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, InputPort, InputRole};

/// A graph that is loaded and can be run. Runs of one session follow one another; each uses the whole pool of threads.
#[derive(Debug)]
pub struct Session {
    // ONNX Runtime's `Run` is not safe to call twice at once on one session.
    pub(super) inner: Mutex<ort::session::Session>,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<String>,
    pub(super) ports: Vec<InputPort>,
    size: Size,
    precision: Precision,
    pub(super) logits: String,
    /// Outputs that were seen with `[batch, seq]` in front where the two differ.
    pub(super) laid_out: Mutex<BTreeSet<String>>,
    pub(super) batching: OnceLock<Batching>,
    pub(super) caching: OnceLock<Caching>,
    pub(super) reads_context: OnceLock<bool>,
}

/// An input as the runtime states it; sizes that vary are −1.
#[derive(Debug)]
pub(super) struct Input {
    pub name: String,
    pub element: TensorElementType,
    pub dims: Vec<i64>,
}

/// What the memory of a run is estimated from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    pub vocab: usize,
    pub d_model: usize,
    pub heads: usize,
}

impl Session {
    /// Loads the model in `bytes`, whose external tensors lie in `external_folder`. `arch` says what the graph's own inputs
    /// mean; the graph may have further inputs, which every [`Feed`] then has to bring.
    ///
    /// # Errors
    /// Usage, if the bytes are no model that the runtime can load. Failed, if the provider does not run the graph.
    pub fn open(
        runtime: &Runtime,
        bytes: &[u8],
        external_folder: &Path,
        arch: &Architecture,
    ) -> Result<Self> {
        let inner = load(runtime, bytes, external_folder, Ok)?;
        let inputs = inputs_of(&inner)?;
        let precision = Precision::of(&inner)?;
        let outputs = inner
            .outputs()
            .iter()
            .map(|output| output.name().to_owned())
            .collect();
        Ok(Self {
            inner: Mutex::new(inner),
            inputs,
            outputs,
            ports: arch.inputs.clone(),
            size: Size {
                vocab: arch.vocab_size,
                d_model: arch.d_model,
                heads: arch.n_heads.unwrap_or(1),
            },
            precision,
            logits: arch.logits.clone(),
            laid_out: Mutex::default(),
            batching: OnceLock::new(),
            caching: OnceLock::new(),
            reads_context: OnceLock::new(),
        })
    }

    /// Runs the graph once and returns the outputs named in `wanted` as float32; the other outputs are not computed where
    /// the graph allows.
    ///
    /// # Errors
    /// Usage, if the feed does not fit together. Failed, if an output is not declared, an input is missing, the run fails,
    /// an output does not count the feed's rows and tokens on its first axes, or it holds NaN or, other than in the logits,
    /// an infinity at a real token.
    pub fn run(&self, feed: &Feed, wanted: &[&str]) -> Result<BTreeMap<String, ArrayD<f32>>> {
        let mut outputs = BTreeMap::new();
        self.visit(feed, wanted, |name, values| {
            outputs.insert(name.to_owned(), values.to_owned());
            Ok(())
        })?;
        Ok(outputs)
    }

    /// Like [`Session::run`], but shows each output to `see` instead of copying it: the logits of a whole batch are large,
    /// and often only a few positions of them are of interest. `see` must not run this session itself, which is held
    /// meanwhile.
    ///
    /// # Errors
    /// Those of [`Session::run`] and those of `see`.
    pub fn visit(
        &self,
        feed: &Feed,
        wanted: &[&str],
        see: impl FnMut(&str, ArrayViewD<'_, f32>) -> Result<()>,
    ) -> Result<()> {
        feed.check()?;
        if wanted.is_empty() {
            return self.check_names(feed, wanted);
        }
        self.execute(feed, None, wanted, see)
    }

    /// Like [`Session::visit`], for tokens that follow those in `cache`, which grows by them. An empty cache begins a text.
    ///
    /// # Errors
    /// Those of [`Session::visit`]. Usage, if the model does not take and return its cache, or the cache has other rows.
    pub fn extend(
        &self,
        cache: &mut Cache,
        feed: &Feed,
        wanted: &[&str],
        see: impl FnMut(&str, ArrayViewD<'_, f32>) -> Result<()>,
    ) -> Result<()> {
        let doing = "continuing a text from the model's key/value cache";
        if let Err(reason) = self.has_cache() {
            return Err(Fault::usage(doing, reason)
                .expected("a model that takes a cache and returns it grown"));
        }
        feed.check()?;
        if !cache.is_empty() && cache.rows() != feed.ids.nrows() {
            return Err(Fault::usage(
                doing,
                format!(
                    "{} rows after a cache of {}",
                    feed.ids.nrows(),
                    cache.rows()
                ),
            )
            .expected("the rows that the cache was made from"));
        }
        self.execute(feed, Some(cache), wanted, see)
    }

    /// Whether the model takes a key/value cache and returns it grown; otherwise why not.
    pub(super) fn has_cache(&self) -> std::result::Result<(), String> {
        let mut caches = self
            .ports
            .iter()
            .filter(|port| matches!(port.role, InputRole::PastKeyValue(_)))
            .peekable();
        if caches.peek().is_none() {
            return Err("the model takes no key/value cache".into());
        }
        match caches.find(|port| port.grown.is_none()) {
            None => Ok(()),
            Some(port) => Err(format!(
                "no output of the model returns the cache `{}` grown by the new tokens",
                port.name
            )),
        }
    }

    /// Whether the model is told which tokens are padding; otherwise why not.
    pub(super) fn says_padding(&self) -> std::result::Result<(), String> {
        let told = self.ports.iter().any(|port| {
            matches!(
                port.role,
                InputRole::AttentionMask | InputRole::ScoreMask(_) | InputRole::LastTokens
            )
        });
        if told {
            Ok(())
        } else {
            Err("the model takes no attention mask".into())
        }
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    pub(super) fn precision(&self) -> Precision {
        self.precision
    }

    /// Which provider each node runs on, as assigned before the runtime fuses nodes.
    ///
    /// # Errors
    /// Failed, if the runtime does not tell.
    pub fn placement(&self) -> Result<Vec<Placed>> {
        placement::read(&self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Names of the declared outputs, in the graph's order.
    #[must_use]
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }
}

/// Loads a graph into the runtime, set up as all sessions are and `further`.
pub(super) fn load(
    runtime: &Runtime,
    bytes: &[u8],
    external_folder: &Path,
    further: impl Fn(SessionBuilder) -> ort::Result<SessionBuilder>,
) -> Result<ort::session::Session> {
    let folder = external_folder_name(external_folder)?;
    let configure = || {
        SessionBuilder::new(runtime.environment())?
            .with_optimization_level(settings::OPTIMISATION.0)?
            .with_deterministic_compute(settings::DETERMINISTIC)?
            .with_config_entry(
                "session.model_external_initializers_file_folder_path",
                &folder,
            )?
            .with_config_entry("session.record_ep_graph_assignment_info", "1")
            .map_err(ort::Error::from)
    };
    let mut builder = configure()
        .and_then(further)
        .map_err(|error| refused(&error))?;
    runtime.register(&mut builder)?;
    let inner = builder
        .commit_from_memory(bytes)
        .map_err(|error| refused(&error))?;
    if runtime.provider() == Provider::Cuda {
        placement::check(&placement::read(&inner)?, bytes)?;
    }
    Ok(inner)
}

/// The inputs of a graph.
pub(super) fn inputs_of(session: &ort::session::Session) -> Result<Vec<Input>> {
    session
        .inputs()
        .iter()
        .map(|input| match input.dtype() {
            ValueType::Tensor { ty, shape, .. } => Ok(Input {
                name: input.name().to_owned(),
                element: *ty,
                dims: shape.to_vec(),
            }),
            other => Err(execute::unfillable(input.name(), &other.to_string())),
        })
        .collect()
}

fn external_folder_name(folder: &Path) -> Result<String> {
    let doing = || {
        format!(
            "opening the folder of the model's external data, `{}`",
            folder.display()
        )
    };
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    let absolute = folder
        .canonicalize()
        .map_err(|error| Fault::usage(doing(), error.to_string()))?;
    absolute
        .into_os_string()
        .into_string()
        .map_err(|_| Fault::usage(doing(), "a path that is not UTF-8"))
}

fn refused(error: &ort::Error) -> Fault {
    let doing = "loading the model into ONNX Runtime";
    let found = error.message().trim();
    match error.code() {
        ErrorCode::NoSuchFile
        | ErrorCode::NoModel
        | ErrorCode::InvalidProtobuf
        | ErrorCode::InvalidGraph
        | ErrorCode::InvalidArgument
        | ErrorCode::NotImplemented => Fault::usage(doing, found),
        _ => Fault::failed(doing, found),
    }
}
