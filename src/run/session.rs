//! One graph, ready to run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use ndarray::{Array2, ArrayD, ArrayViewD};
use ort::ErrorCode;
use ort::session::builder::SessionBuilder;
use ort::session::{OutputSelector, RunOptions, SessionInputValue};
use ort::value::{TensorElementType, ValueType};

use super::abilities::{Batching, Caching};
use super::cache::Cache;
use super::feed::{self, Feed, Tensor};
use super::layout;
use super::placement::{self, Placed};
use super::precision::Precision;
use super::values::{self, Allowed};
use super::{Provider, Runtime};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, InputPort, InputRole};

/// A graph that is loaded and can be run. Runs of one session follow one another; each uses the whole pool of threads.
#[derive(Debug)]
pub struct Session {
    // ONNX Runtime's `Run` is not safe to call twice at once on one session.
    inner: Mutex<ort::session::Session>,
    inputs: Vec<Input>,
    outputs: Vec<String>,
    ports: Vec<InputPort>,
    size: Size,
    precision: Precision,
    pub(super) logits: String,
    /// Outputs that were seen with `[batch, seq]` in front where the two differ.
    laid_out: Mutex<BTreeSet<String>>,
    pub(super) batching: OnceLock<Batching>,
    pub(super) caching: OnceLock<Caching>,
}

/// An input as the runtime states it; sizes that vary are −1.
#[derive(Debug)]
struct Input {
    name: String,
    element: TensorElementType,
    dims: Vec<i64>,
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
        let folder = external_folder_name(external_folder)?;
        let configure = || {
            Ok::<_, ort::Error>(
                SessionBuilder::new(runtime.environment())?
                    .with_deterministic_compute(true)?
                    .with_config_entry(
                        "session.model_external_initializers_file_folder_path",
                        &folder,
                    )?
                    .with_config_entry("session.record_ep_graph_assignment_info", "1")?,
            )
        };
        let mut builder = configure().map_err(|error| refused(&error))?;
        runtime.register(&mut builder)?;
        let inner = builder
            .commit_from_memory(bytes)
            .map_err(|error| refused(&error))?;
        if runtime.provider() == Provider::Cuda {
            placement::check(&placement::read(&inner)?)?;
        }
        let inputs = inner
            .inputs()
            .iter()
            .map(|input| match input.dtype() {
                ValueType::Tensor { ty, shape, .. } => Ok(Input {
                    name: input.name().to_owned(),
                    element: *ty,
                    dims: shape.to_vec(),
                }),
                other => Err(unfillable(input.name(), &other.to_string())),
            })
            .collect::<Result<_>>()?;
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
    /// and often only a few positions of them are of interest.
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
        if cache.len() > 0 && cache.rows() != feed.ids.nrows() {
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

    fn execute(
        &self,
        feed: &Feed,
        mut cache: Option<&mut Cache>,
        wanted: &[&str],
        mut see: impl FnMut(&str, ArrayViewD<'_, f32>) -> Result<()>,
    ) -> Result<()> {
        self.check_names(feed, wanted)?;
        self.know_layout(feed, wanted)?;
        let failed = |error: ort::Error| Fault::failed("running the model", error.message().trim());
        let grown = self.ports.iter().filter(|_| cache.is_some());
        let grown: Vec<(&str, &str)> = grown
            .filter_map(|port| Some((port.name.as_str(), port.grown.as_deref()?)))
            .collect();
        let distinct: BTreeSet<&str> = wanted
            .iter()
            .copied()
            .chain(grown.iter().map(|(_, output)| *output))
            .collect();
        let selected = distinct
            .iter()
            .fold(OutputSelector::no_default(), |all, name| all.with(*name));
        let options = RunOptions::new().map_err(failed)?.with_outputs(selected);

        let seen = cache
            .as_ref()
            .map_or_else(|| Array2::zeros((0, 0)), |cache| cache.seen().clone());
        let seen = if seen.is_empty() {
            Array2::zeros((feed.ids.nrows(), 0))
        } else {
            seen
        };
        let own = self.own_inputs(feed, &seen)?;
        let held = cache.as_deref();
        let inputs = self
            .inputs
            .iter()
            .zip(&own)
            .map(|(input, own)| {
                let name = input.name.as_str();
                if let Some(value) = held.and_then(|cache| cache.value(name)) {
                    return Ok((name, SessionInputValue::from(value)));
                }
                let value = own.as_ref().or_else(|| extra(feed, name)).ok_or_else(|| {
                    unfillable(name, "neither the model's own inputs nor the feed has it")
                })?;
                Ok((name, feed::encode(name, value, input.element)?))
            })
            .collect::<Result<Vec<_>>>()?;

        let mut session = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut outputs = session.run_with_options(inputs, &options).map_err(failed)?;
        let is_wanted = |name: &str| wanted.contains(&name);
        // Nothing is shown of a run that is not sound as a whole.
        for (name, value) in outputs.iter().filter(|(name, _)| is_wanted(name)) {
            let allowed = if name == self.logits {
                Allowed::Infinite
            } else {
                Allowed::Finite
            };
            values::read(name, &value, |view| {
                layout::check(name, view.shape(), feed.ids.dim())?;
                values::check(name, &view, &feed.mask, allowed)
            })?;
        }
        for (name, value) in outputs.iter().filter(|(name, _)| is_wanted(name)) {
            values::read(name, &value, |view| see(name, view))?;
        }
        if let Some(cache) = &mut cache {
            let mut values = BTreeMap::new();
            for (input, output) in grown {
                let value = outputs.remove(output).ok_or_else(|| {
                    Fault::failed("running the model", format!("no output `{output}`"))
                })?;
                values.insert(input.to_owned(), value);
            }
            cache.grow(&feed.mask, values);
        }
        if feed.ids.nrows() != feed.ids.ncols() {
            let mut laid_out = self.laid_out.lock().unwrap_or_else(PoisonError::into_inner);
            laid_out.extend(wanted.iter().map(|name| (*name).to_owned()));
        }
        Ok(())
    }

    /// Where a batch has as many rows as tokens, the shape of an output does not tell which axis counts what; a small run
    /// does, once for each output.
    fn know_layout(&self, feed: &Feed, wanted: &[&str]) -> Result<()> {
        let (batch, seq) = feed.ids.dim();
        if batch != seq || batch == 1 {
            return Ok(());
        }
        let unknown: Vec<&str> = {
            let laid_out = self.laid_out.lock().unwrap_or_else(PoisonError::into_inner);
            let unknown = wanted.iter().filter(|name| !laid_out.contains(**name));
            unknown.copied().collect()
        };
        if unknown.is_empty() {
            return Ok(());
        }
        let fixed = |axis: usize| {
            let tokens = self
                .ports
                .iter()
                .find(|port| port.role == InputRole::TokenIds)?;
            let input = self.inputs.iter().find(|input| input.name == tokens.name)?;
            usize::try_from(*input.dims.get(axis)?).ok()
        };
        let batch = fixed(0).unwrap_or(1);
        let seq = fixed(1).unwrap_or(batch + 1);
        if batch == seq {
            return Err(layout::untold(&unknown, batch));
        }
        self.execute(
            &self.neutral(Array2::zeros((batch, seq))),
            None,
            &unknown,
            |_, _| Ok(()),
        )
    }

    /// A feed that brings the graph's further inputs so that nothing is edited.
    pub(super) fn neutral(&self, ids: Array2<i64>) -> Feed {
        let (batch, seq) = ids.dim();
        let mut feed = Feed::unpadded(ids);
        let foreign = self
            .inputs
            .iter()
            .filter(|input| self.ports.iter().all(|port| port.name != input.name));
        for input in foreign {
            let dims: Vec<usize> = input
                .dims
                .iter()
                .zip([batch, seq].into_iter().chain(std::iter::repeat(1)))
                .map(|(stated, otherwise)| usize::try_from(*stated).unwrap_or(otherwise))
                .collect();
            let value = match input.element {
                TensorElementType::Bool => Tensor::Bool(ArrayD::from_elem(dims, false)),
                TensorElementType::Float32 => Tensor::F32(ArrayD::zeros(dims)),
                _ => continue,
            };
            feed = feed.with(&input.name, value);
        }
        feed
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

    /// For each input, the value that follows from its role; `None` where the feed has to bring it.
    fn own_inputs(&self, feed: &Feed, seen: &Array2<i64>) -> Result<Vec<Option<Tensor>>> {
        self.inputs
            .iter()
            .map(|input| {
                if extra(feed, &input.name).is_some() {
                    return Ok(None);
                }
                let port = self.ports.iter().find(|port| port.name == input.name);
                Ok(port.map(|port| feed.value(&port.role, input.dims.len(), seen)))
            })
            .collect()
    }

    fn check_names(&self, feed: &Feed, wanted: &[&str]) -> Result<()> {
        let undeclared = wanted
            .iter()
            .find(|name| !self.outputs.iter().any(|output| output == *name));
        if let Some(name) = undeclared {
            return Err(Fault::failed(
                "choosing the outputs of a run",
                format!("the graph does not declare an output `{name}`"),
            )
            .expected(listed(&self.outputs)));
        }
        let unknown = feed
            .extra
            .iter()
            .find(|(name, _)| !self.inputs.iter().any(|input| input.name == *name));
        if let Some((name, _)) = unknown {
            return Err(Fault::failed(
                "feeding the model",
                format!("the graph has no input `{name}`"),
            )
            .expected(listed(self.inputs.iter().map(|input| &input.name))));
        }
        Ok(())
    }
}

fn extra<'a>(feed: &'a Feed, name: &str) -> Option<&'a Tensor> {
    feed.extra
        .iter()
        .find(|(extra, _)| extra == name)
        .map(|(_, value)| value)
}

fn listed(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<_> = names
        .into_iter()
        .map(|name| format!("`{}`", name.as_ref()))
        .collect();
    format!("one of {}", names.join(", "))
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

fn unfillable(name: &str, found: &str) -> Fault {
    Fault::usage(
        format!("finding a value for the model's input `{name}`"),
        found,
    )
    .expected("token ids, an attention mask, positions, a cache, or an input of the plan")
    .hint("export the model as a text decoder whose only inputs are these")
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
