//! A training as bytes: all that the next step depends on, so that a training that was cut off ends as one that was not.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};

use super::parameters::Parameters;
use super::settings::Settings;
use super::trainer::Trainer;
use crate::fault::{Fault, Result};

/// A checkpoint: a safetensors file with the weights, Adam's moments and the steps since each feature was active; its metadata
/// holds the settings, the step, what the architecture has learnt besides, and a note of whoever wrote it.
#[derive(Debug)]
pub struct Checkpoint {
    /// The training, as it was.
    pub trainer: Trainer,
    /// What was written along.
    pub note: String,
}

const SETTINGS: &str = "settings";
const STEP: &str = "step";
const STATE: &str = "state";
const NOTE: &str = "note";
const SILENT: &str = "silent";

impl Checkpoint {
    /// The bytes of a training with a note.
    ///
    /// # Errors
    /// The library's own failures only.
    pub fn write(trainer: &Trainer, note: &str) -> Result<Vec<u8>> {
        let failed = |error: safetensors::SafeTensorError| {
            Fault::failed("writing a checkpoint", error.to_string())
        };
        let mut raw: Vec<(String, Dtype, usize, Vec<u8>)> = Vec::new();
        for (of, parameters) in [
            ("parameters", &trainer.parameters),
            ("adam_first", &trainer.adam.first),
            ("adam_second", &trainer.adam.second),
        ] {
            for (name, values) in parameters.tensors() {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                let name = format!("{of}.{name}");
                raw.push((name, Dtype::F32, values.len(), bytes.collect()));
            }
        }
        let silent = trainer.silent.iter().flat_map(|steps| steps.to_le_bytes());
        let silent: Vec<u8> = silent.collect();
        raw.push((SILENT.into(), Dtype::U64, trainer.silent.len(), silent));
        let views = raw
            .iter()
            .map(|(name, dtype, length, bytes)| {
                let view = TensorView::new(*dtype, vec![*length], bytes).map_err(failed)?;
                Ok((name.as_str(), view))
            })
            .collect::<Result<Vec<_>>>()?;
        let metadata = HashMap::from([
            (SETTINGS.to_owned(), identity(&trainer.settings)),
            (STEP.to_owned(), trainer.step.to_string()),
            (STATE.to_owned(), trainer.rule.state().to_bits().to_string()),
            (NOTE.to_owned(), note.to_owned()),
        ]);
        serialize(views, Some(metadata)).map_err(failed)
    }

    /// Takes a training up again. `path` is only named in messages.
    ///
    /// # Errors
    /// Usage: no checkpoint, a damaged one, or one of a training with other settings.
    pub fn read(bytes: &[u8], path: &Path, settings: Settings, d_in: usize) -> Result<Self> {
        let doing = || format!("reading the checkpoint `{}`", path.display());
        let damaged = |found: String| {
            Fault::usage(doing(), found)
                .expected("a whole checkpoint of this training")
                .hint("leave out --resume to train from the beginning")
        };
        let file = SafeTensors::deserialize(bytes).map_err(|error| damaged(error.to_string()))?;
        let (_, header) =
            SafeTensors::read_metadata(bytes).map_err(|error| damaged(error.to_string()))?;
        let metadata = header.metadata().clone().unwrap_or_default();
        let said = |key: &str| {
            let said = metadata.get(key).cloned();
            said.ok_or_else(|| damaged(format!("no `{key}` in its metadata")))
        };
        let (found, expected) = (said(SETTINGS)?, identity(&settings));
        if found != expected {
            return Err(Fault::usage(doing(), format!("a training with {found}"))
                .expected(expected)
                .hint("give the same options, or leave out --resume to train from the beginning"));
        }
        let number = |key: &str| -> Result<u64> {
            let said = said(key)?;
            let parsed = said.parse();
            parsed.map_err(|_| damaged(format!("`{key}`: `{said}`")))
        };
        let data = |name: &str, dtype: Dtype, length: usize| {
            file.tensor(name)
                .ok()
                .filter(|tensor| tensor.dtype() == dtype && tensor.shape() == [length])
                .map(|tensor| tensor.data().to_vec())
                .ok_or_else(|| damaged(format!("no tensor `{name}` of {length} values")))
        };
        let parameters = |of: &str| -> Result<Parameters> {
            let mut parameters = Parameters::zeros(d_in, settings.d_sae);
            for (name, values) in parameters.tensors_mut() {
                let data = data(&format!("{of}.{name}"), Dtype::F32, values.len())?;
                let (quads, _) = data.as_chunks::<4>();
                for (value, bytes) in values.iter_mut().zip(quads) {
                    *value = f32::from_le_bytes(*bytes);
                }
            }
            Ok(parameters)
        };
        let (first, second) = (parameters("adam_first")?, parameters("adam_second")?);
        let (step, state, note) = (number(STEP)?, number(STATE)?, said(NOTE)?);
        let silent = data(SILENT, Dtype::U64, settings.d_sae)?;
        let mut trainer = Trainer::from_parameters(settings.clone(), parameters("parameters")?)?;
        trainer.adam.first = first;
        trainer.adam.second = second;
        let (words, _) = silent.as_chunks::<8>();
        trainer.silent = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        trainer.rule.restore(f64::from_bits(state));
        trainer.step = step;
        Ok(Self { trainer, note })
    }
}

/// The settings in words: Rust writes numbers so that they are read back exactly.
fn identity(settings: &Settings) -> String {
    format!("{settings:?}")
}
