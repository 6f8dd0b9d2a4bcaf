//! One graph, ready to run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use ndarray::{ArrayD, ArrayViewD};
use ort::ErrorCode;
use ort::session::builder::SessionBuilder;
use ort::session::{OutputSelector, RunOptions};
use ort::value::{TensorElementType, ValueType};

use super::feed::{self, Feed, Tensor};
use super::placement::{self, Placed};
use super::values::{self, Allowed};
use super::{Provider, Runtime};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, InputPort};

/// A graph that is loaded and can be run. Runs of one session follow one another; each uses the whole pool of threads.
#[derive(Debug)]
pub struct Session {
    // ONNX Runtime's `Run` is not safe to call twice at once on one session.
    inner: Mutex<ort::session::Session>,
    inputs: Vec<(String, TensorElementType)>,
    outputs: Vec<String>,
    ports: Vec<InputPort>,
    logits: String,
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
                ValueType::Tensor { ty, .. } => Ok((input.name().to_owned(), *ty)),
                other => Err(unfillable(input.name(), &other.to_string())),
            })
            .collect::<Result<_>>()?;
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
            logits: arch.logits.clone(),
        })
    }

    /// Runs the graph once and returns the outputs named in `wanted` as float32; the other outputs are not computed where
    /// the graph allows.
    ///
    /// # Errors
    /// Usage, if the feed does not fit together. Failed, if an output is not declared, an input is missing, the run fails,
    /// or an output holds NaN or, other than in the logits, an infinity at a real token.
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
        mut see: impl FnMut(&str, ArrayViewD<'_, f32>) -> Result<()>,
    ) -> Result<()> {
        feed.check()?;
        self.check_names(feed, wanted)?;
        if wanted.is_empty() {
            return Ok(());
        }
        let failed = |error: ort::Error| Fault::failed("running the model", error.message().trim());
        let distinct: BTreeSet<_> = wanted.iter().collect();
        let selected = distinct
            .iter()
            .fold(OutputSelector::no_default(), |all, name| all.with(**name));
        let options = RunOptions::new().map_err(failed)?.with_outputs(selected);
        let own = self.own_inputs(feed)?;
        let inputs = self
            .inputs
            .iter()
            .zip(&own)
            .map(|((name, element), own)| {
                let value = own.as_ref().or_else(|| extra(feed, name)).ok_or_else(|| {
                    unfillable(name, "neither the model's own inputs nor the feed has it")
                })?;
                Ok((name.as_str(), feed::encode(name, value, *element)?))
            })
            .collect::<Result<Vec<_>>>()?;

        let mut session = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let outputs = session.run_with_options(inputs, &options).map_err(failed)?;
        for (name, value) in &outputs {
            let allowed = if name == self.logits {
                Allowed::Infinite
            } else {
                Allowed::Finite
            };
            values::read(name, &value, |view| {
                values::check(name, &view, &feed.mask, allowed)?;
                see(name, view)
            })?;
        }
        Ok(())
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
    fn own_inputs(&self, feed: &Feed) -> Result<Vec<Option<Tensor>>> {
        self.inputs
            .iter()
            .map(|(name, _)| {
                if extra(feed, name).is_some() {
                    return Ok(None);
                }
                let port = self.ports.iter().find(|port| port.name == *name);
                Ok(port.map(|port| feed.value(&port.role)))
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
            .find(|(name, _)| !self.inputs.iter().any(|(input, _)| input == name));
        if let Some((name, _)) = unknown {
            return Err(Fault::failed(
                "feeding the model",
                format!("the graph has no input `{name}`"),
            )
            .expected(listed(self.inputs.iter().map(|(input, _)| input))));
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
    .expected("token ids, an attention mask, positions, an empty cache, or an input of the plan")
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
