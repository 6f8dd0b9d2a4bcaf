//! Activations of another run of the same tokens, in the file that `candor capture` writes.

use std::path::{Path, PathBuf};

use ndarray::Array2;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, View as _};

use crate::digest::sha256_of;
use crate::fault::{Fault, Result};
use crate::lab::check_ids;
use crate::model::{Architecture, SiteName};

/// A reference run. Padding, wherever it lies, is left out.
#[derive(Debug)]
pub struct Reference {
    path: PathBuf,
    bytes: Vec<u8>,
    sha256: String,
    /// Token ids of each text.
    ids: Vec<Vec<i64>>,
    /// The columns of the file that they stand in.
    columns: Vec<Vec<usize>>,
    /// Columns of the file.
    seq: usize,
}

impl Reference {
    /// Opens a safetensors file with `input_ids` `[batch, seq]` int64, `attention_mask` of the same shape where something is padded, and
    /// one float32 tensor `[batch, seq, …]` for each site, named after it.
    ///
    /// # Errors
    /// A file that cannot be read, or whose ids and mask are missing, of another shape or type, or not of this model.
    pub fn open(path: &Path, arch: &Architecture) -> Result<Self> {
        let bytes = std::fs::read(path).map_err(|error| {
            fault(path, error.to_string()).expected("a file that `candor capture` writes")
        })?;
        let tensors = deserialized(path, &bytes)?;
        let ids = integers(path, &tensors, "input_ids")?
            .ok_or_else(|| missing(path, &tensors, "input_ids"))?;
        let mask = integers(path, &tensors, "attention_mask")?
            .unwrap_or_else(|| Array2::ones(ids.raw_dim()));
        if mask.dim() != ids.dim() {
            return Err(fault(
                path,
                format!("`attention_mask` of shape {:?}", mask.shape()),
            )
            .expected(format!("{:?}, as `input_ids`", ids.shape())));
        }
        let columns: Vec<Vec<usize>> = mask
            .rows()
            .into_iter()
            .map(|row| (0..row.len()).filter(|&column| row[column] != 0).collect())
            .collect();
        let of_text = |(row, columns): (usize, &Vec<usize>)| {
            columns.iter().map(|&column| ids[[row, column]]).collect()
        };
        let texts: Vec<Vec<i64>> = columns.iter().enumerate().map(of_text).collect();
        check_ids(arch, &texts)?;
        Ok(Self {
            path: path.to_owned(),
            sha256: sha256_of(&bytes),
            seq: ids.ncols(),
            ids: texts,
            columns,
            bytes,
        })
    }

    /// SHA-256 of the file.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Number of texts.
    #[must_use]
    pub fn texts(&self) -> usize {
        self.ids.len()
    }

    /// The ids of each text.
    pub(super) fn ids(&self) -> &[Vec<i64>] {
        &self.ids
    }

    /// What the reference has at a site.
    ///
    /// # Errors
    /// It was not captured there, or not in float32 and that shape.
    pub(super) fn at(&self, site: SiteName, width: usize) -> Result<Recorded<'_>> {
        let tensors = deserialized(&self.path, &self.bytes)?;
        let name = site.to_string();
        let view = tensors
            .tensor(&name)
            .map_err(|_| missing(&self.path, &tensors, &name))?;
        let shape = view.shape().to_vec();
        let expected = [self.ids.len(), self.seq];
        let per_token: usize = shape.iter().skip(2).product();
        if view.dtype() != Dtype::F32 || shape.get(..2) != Some(&expected) || per_token != width {
            return Err(fault(
                &self.path,
                format!("`{name}` of shape {shape:?} and type {:?}", view.dtype()),
            )
            .expected(format!(
                "float32 of shape [{}, {}, {width}]",
                self.ids.len(),
                self.seq
            )));
        }
        let start = view.data().as_ptr().addr() - self.bytes.as_ptr().addr();
        let data = self.bytes.get(start..start + view.data_len());
        Ok(Recorded {
            reference: self,
            data: data.unwrap_or_default(),
            width,
            site,
        })
    }
}

/// A site of a reference.
pub(super) struct Recorded<'a> {
    reference: &'a Reference,
    data: &'a [u8],
    width: usize,
    site: SiteName,
}

impl Recorded<'_> {
    /// Activations `[seq, width]` of one text.
    ///
    /// # Errors
    /// A value that is not finite.
    pub fn text(&self, text: usize) -> Result<Array2<f32>> {
        let columns = self.reference.columns.get(text);
        let columns = columns.map_or(&[][..], Vec::as_slice);
        let row = self.width * size_of::<f32>();
        let mut values = Vec::with_capacity(columns.len() * self.width);
        for column in columns {
            let start = (text * self.reference.seq + column) * row;
            let (words, _) = self
                .data
                .get(start..start + row)
                .unwrap_or_default()
                .as_chunks::<4>();
            values.extend(words.iter().map(|word| f32::from_le_bytes(*word)));
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(fault(
                &self.reference.path,
                format!("the activation {value} of `{}` in text {text}", self.site),
            )
            .expected("finite activations"));
        }
        Array2::from_shape_vec((columns.len(), self.width), values)
            .map_err(|error| fault(&self.reference.path, error.to_string()))
    }
}

fn fault(path: &Path, found: impl Into<String>) -> Fault {
    Fault::usage(format!("reading the reference `{}`", path.display()), found)
}

fn missing(path: &Path, tensors: &SafeTensors<'_>, name: &str) -> Fault {
    let mut names = tensors.names();
    names.sort_unstable();
    fault(path, format!("no `{name}` beside {}", names.join(", "))).expected("`input_ids` and a tensor for each site that a detector reads").hint(
        "write it with `candor capture MODEL --prompts FILE --sites SITE --out FILE`, or from PyTorch with \
         `safetensors.torch.save_file`",
    )
}

fn deserialized<'b>(path: &Path, bytes: &'b [u8]) -> Result<SafeTensors<'b>> {
    SafeTensors::deserialize(bytes)
        .map_err(|error| fault(path, error.to_string()).expected("a whole safetensors file"))
}

/// A matrix of int64 values.
fn integers(path: &Path, tensors: &SafeTensors<'_>, name: &str) -> Result<Option<Array2<i64>>> {
    let Ok(view) = tensors.tensor(name) else {
        return Ok(None);
    };
    let wrong = |view: &TensorView<'_>| {
        fault(
            path,
            format!(
                "`{name}` of shape {:?} and type {:?}",
                view.shape(),
                view.dtype()
            ),
        )
        .expected("int64 of shape [batch, seq]")
    };
    let (&[batch, seq], Dtype::I64) = (view.shape(), view.dtype()) else {
        return Err(wrong(&view));
    };
    let (words, _) = view.data().as_chunks::<8>();
    let values = words.iter().map(|word| i64::from_le_bytes(*word)).collect();
    Array2::from_shape_vec((batch, seq), values)
        .map(Some)
        .map_err(|_| wrong(&view))
}
