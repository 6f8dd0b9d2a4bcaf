//! One run of a session's graph: what is fed, and what is checked before anything of it is shown.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::PoisonError;

use ndarray::{Array2, ArrayD, ArrayViewD};
use ort::session::{OutputSelector, RunOptions, SessionInputValue};
use ort::value::TensorElementType;

use super::cache::Cache;
use super::feed::{self, Feed, Tensor};
use super::layout;
use super::session::Session;
use super::values::{self, Allowed};
use crate::fault::{Fault, Result};
use crate::model::InputRole;

impl Session {
    /// Runs the graph, continuing `cache` if there is one, and shows the wanted outputs.
    pub(super) fn execute(
        &self,
        feed: &Feed,
        mut cache: Option<&mut Cache>,
        wanted: &[&str],
        mut see: impl FnMut(&str, ArrayViewD<'_, f32>) -> Result<()>,
    ) -> Result<()> {
        self.check_names(feed, wanted)?;
        self.know_layout(feed, wanted)?;
        let failed = |error: ort::Error| {
            Fault::failed("running the model", error.message().trim())
                .expected("a graph that ONNX Runtime runs on these token ids")
                .hint("run the file in ONNX Runtime alone: if it fails there too, export it again")
        };
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
                layout::check(name, view.shape(), feed.ids.dim(), name == self.logits)?;
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

    /// The size that the export gives to an axis of the token ids once and for all.
    #[must_use]
    pub fn fixed(&self, axis: usize) -> Option<usize> {
        let mut ports = self.ports.iter();
        let tokens = ports.find(|port| port.role == InputRole::TokenIds)?;
        let input = self.inputs.iter().find(|input| input.name == tokens.name)?;
        usize::try_from(*input.dims.get(axis)?).ok()
    }

    /// Where a batch has as many rows as tokens, the shape of an output does not tell which axis counts what; a small run
    /// does, once for each output.
    fn know_layout(&self, feed: &Feed, wanted: &[&str]) -> Result<()> {
        let (batch, seq) = feed.ids.dim();
        let misfits = |axis, size| self.fixed(axis).is_some_and(|fixed| fixed != size);
        // The runtime refuses a batch of another size than a fixed one.
        if batch != seq || batch == 1 || misfits(0, batch) || misfits(1, seq) {
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
        let batch = self.fixed(0).unwrap_or(1);
        let seq = self.fixed(1).unwrap_or(batch + 1);
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

    pub(super) fn check_names(&self, feed: &Feed, wanted: &[&str]) -> Result<()> {
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

pub(super) fn unfillable(name: &str, found: &str) -> Fault {
    Fault::usage(
        format!("finding a value for the model's input `{name}`"),
        found,
    )
    .expected("token ids, an attention mask, positions, a cache, or an input of the plan")
    .hint("export the model as a text decoder whose only inputs are these")
}
