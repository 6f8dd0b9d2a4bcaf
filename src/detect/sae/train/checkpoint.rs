//! A training as bytes: all that the next step depends on, so that a training that was cut off ends as one that was not.

use std::collections::HashMap;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use serde::{Deserialize, Serialize};

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

/// What is not a tensor.
#[derive(Serialize, Deserialize)]
struct Said {
    settings: String,
    step: u64,
    state: u64,
    note: String,
}

const SAID: &str = "candor";
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
        let said = Said {
            settings: identity(&trainer.settings),
            step: trainer.step,
            state: trainer.rule.state().to_bits(),
            note: note.to_owned(),
        };
        let said = serde_json::to_string(&said)
            .map_err(|error| Fault::failed("writing a checkpoint", error.to_string()))?;
        // One entry: several would be written in any order.
        let metadata = HashMap::from([(SAID.to_owned(), said)]);
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
        let said = metadata.get(SAID).map_or("", String::as_str);
        let said: Said = serde_json::from_str(said)
            .map_err(|error| damaged(format!("`{SAID}` in its metadata: {error}")))?;
        let expected = identity(&settings);
        if said.settings != expected {
            return Err(
                Fault::usage(doing(), format!("a training with {}", said.settings))
                    .expected(expected)
                    .hint(
                        "give the same options, or leave out --resume to train from the beginning",
                    ),
            );
        }
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
        let silent = data(SILENT, Dtype::U64, settings.d_sae)?;
        let mut trainer = Trainer::from_parameters(settings.clone(), parameters("parameters")?)?;
        trainer.adam.first = first;
        trainer.adam.second = second;
        let (words, _) = silent.as_chunks::<8>();
        trainer.silent = words.iter().map(|word| u64::from_le_bytes(*word)).collect();
        trainer.rule.restore(f64::from_bits(said.state));
        trainer.step = said.step;
        Ok(Self {
            trainer,
            note: said.note,
        })
    }
}

/// The settings in words: Rust writes numbers so that they are read back exactly.
fn identity(settings: &Settings) -> String {
    format!("{settings:?}")
}
