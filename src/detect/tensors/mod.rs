//! Weights from a safetensors or an npz file, each checked for name, shape, element type and finite values as it is taken.

mod element;
mod memory;
mod npz;
mod write;

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use ndarray::{Array1, Array2, ShapeBuilder};
use safetensors::SafeTensors;

use crate::fault::{Fault, Result};
use crate::model;
use element::Element;
pub(super) use write::{Named, to_bytes, write};

/// What a file holds, told by its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Safetensors, whole or not.
    Safetensors,
    /// NumPy arrays.
    Npz,
    /// A pickle, bare or in PyTorch's zip archive.
    Pickle,
    /// Something else.
    Other,
}

impl Content {
    pub(super) fn of(bytes: &[u8]) -> Self {
        let header = bytes.first_chunk::<8>().copied().map(u64::from_le_bytes);
        let whole = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if bytes.get(8) == Some(&b'{') && header.is_some_and(|header| header < whole) {
            return Self::Safetensors;
        }
        if npz::is_npz(bytes) {
            return Self::Npz;
        }
        // PyTorch writes a zip archive, or in old versions the bare pickle of protocol 2 to 5.
        if bytes.starts_with(b"PK\x03\x04") || matches!(bytes, [0x80, 2..=5, ..]) {
            return Self::Pickle;
        }
        Self::Other
    }
}

/// How a pickle of any origin becomes a safetensors file.
const CONVERSION: &str = "safetensors.torch.save_file(torch.load(\"weights.pt\", weights_only=True), \"weights.safetensors\")";

/// Maps a file.
///
/// # Errors
/// An unreadable one.
pub(super) fn map(path: &Path) -> Result<Bytes> {
    model::map(path, &doing(path))
}

/// Maps a weights file: nothing of it is in memory before it is taken.
///
/// # Errors
/// An unreadable or empty file, or a pickle, which is never loaded: it would run code.
pub(super) fn open(path: &Path) -> Result<Bytes> {
    let bytes = map(path)?;
    if bytes.is_empty() {
        return Err(Fault::usage(doing(path), "0 bytes").expected("a safetensors file"));
    }
    if Content::of(&bytes) == Content::Pickle {
        return Err(pickle(path, CONVERSION));
    }
    Ok(bytes)
}

/// The refusal of a pickle, with the command that converts it.
pub(super) fn pickle(path: &Path, conversion: &str) -> Fault {
    Fault::usage(doing(path), "a Python pickle")
        .expected("a safetensors file: loading a pickle runs the code in it")
        .hint(format!("convert it where you trust it: `{conversion}`"))
}

fn doing(path: &Path) -> String {
    format!("reading the weights `{}`", path.display())
}

/// The tensors of a file that have not been taken yet.
pub(super) struct Tensors<'a> {
    path: &'a Path,
    left: BTreeMap<String, Stored<'a>>,
    archive: Option<npz::Archive<'a>>,
    weighed: bool,
}

struct Stored<'a> {
    shape: Vec<usize>,
    /// `None` for one that is not read, with its name.
    element: Option<Element>,
    type_name: String,
    place: Place<'a>,
}

enum Place<'a> {
    /// Its bytes, row-major.
    Plain(&'a [u8]),
    /// An array of the archive.
    Zipped(npz::Array),
}

impl<'a> Tensors<'a> {
    /// # Errors
    /// Not a whole safetensors or npz file, or arrays of objects.
    pub(super) fn of(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        // A zip archive is no safetensors file; what is a pickle was refused before.
        if bytes.starts_with(b"PK") {
            return Self::of_npz(path, bytes);
        }
        let file = SafeTensors::deserialize(bytes).map_err(|error| {
            Fault::usage(doing(path), error.to_string())
                .expected("a whole safetensors file")
                .hint("the file may be truncated: copy or export it again")
        })?;
        let stored = file.tensors().into_iter().map(|(name, tensor)| {
            let stored = Stored {
                shape: tensor.shape().to_vec(),
                element: Element::of_safetensors(tensor.dtype()),
                type_name: format!("{:?}", tensor.dtype()),
                place: Place::Plain(tensor.data()),
            };
            (name, stored)
        });
        Ok(Self {
            path,
            left: stored.collect(),
            archive: None,
            weighed: false,
        })
    }

    fn of_npz(path: &'a Path, bytes: &'a [u8]) -> Result<Self> {
        let (archive, arrays) = npz::open(bytes).map_err(|found| {
            Fault::usage(doing(path), found).expected("a whole npz file of plain arrays")
        })?;
        let stored = arrays.into_iter().map(|array| {
            let stored = Stored {
                shape: array.shape.clone(),
                element: Element::of_numpy(&array.descr),
                type_name: array.descr.clone(),
                place: Place::Zipped(array.clone()),
            };
            (array.name, stored)
        });
        Ok(Self {
            path,
            left: stored.collect(),
            archive: Some(archive),
            weighed: false,
        })
    }

    /// Names and shapes of what is left.
    pub(super) fn shapes(&self) -> impl Iterator<Item = (&str, &[usize])> {
        let left = self.left.iter();
        left.map(|(name, stored)| (name.as_str(), stored.shape.as_slice()))
    }

    /// The shape of a tensor that is left.
    pub(super) fn shape(&self, name: &str) -> Option<&[usize]> {
        self.left.get(name).map(|stored| stored.shape.as_slice())
    }

    /// The last length of a tensor's shape; 1 where there is none.
    pub(super) fn columns(&self, name: &str) -> usize {
        let last = |tensor: &Stored<'_>| tensor.shape.last().copied();
        self.left.get(name).and_then(last).unwrap_or(1)
    }

    /// Whether the file holds a tensor of that name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.left.contains_key(name)
    }

    /// Takes whichever spelling of a tensor's name the file has; the first where it has none, for the message.
    pub(super) fn spelled<'n>(&self, names: &[&'n str]) -> &'n str {
        let here = names.iter().find(|name| self.has(name));
        here.or(names.first()).copied().unwrap_or_default()
    }

    /// # Errors
    /// As for [`Self::take`].
    pub(super) fn vector(&mut self, name: &str, length: usize) -> Result<Array1<f32>> {
        Ok(Array1::from_vec(self.take(name, &[length])?.0))
    }

    /// # Errors
    /// As for [`Self::take`].
    pub(super) fn matrix(&mut self, name: &str, shape: [usize; 2]) -> Result<Array2<f32>> {
        let (values, fortran) = self.take(name, &shape)?;
        Array2::from_shape_vec(shape.set_f(fortran), values)
            .map_err(|error| Fault::failed(doing(self.path), format!("`{name}`: {error}")))
    }

    /// A matrix that the file holds transposed, `[columns, rows]`, as `[rows, columns]`.
    ///
    /// # Errors
    /// As for [`Self::take`].
    pub(super) fn transposed(
        &mut self,
        name: &str,
        [rows, columns]: [usize; 2],
    ) -> Result<Array2<f32>> {
        Ok(self.matrix(name, [columns, rows])?.reversed_axes())
    }

    /// A single number, of no dimension or of one element.
    ///
    /// # Errors
    /// As for [`Self::take`].
    pub(super) fn number(&mut self, name: &str) -> Result<f32> {
        let shape: &[usize] = if self.shape(name) == Some(&[1]) {
            &[1]
        } else {
            &[]
        };
        let (values, _) = self.take_any(name, shape)?;
        Ok(values.first().copied().unwrap_or_default())
    }

    /// Whole numbers of any type.
    ///
    /// # Errors
    /// As for [`Self::take`].
    pub(super) fn numbers(&mut self, name: &str) -> Result<Vec<f32>> {
        let shape = self.shape(name).unwrap_or_default().to_vec();
        Ok(self.take_any(name, &shape)?.0)
    }

    /// Leaves tensors unread that say nothing of the arithmetic.
    pub(super) fn ignore(&mut self, names: &[&str]) {
        self.left.retain(|name, _| !names.contains(&name.as_str()));
    }

    /// # Errors
    /// A tensor that is missing, has another shape, is not of floats, or holds a NaN or an infinity; weights that do not fit
    /// into memory.
    fn take(&mut self, name: &str, shape: &[usize]) -> Result<(Vec<f32>, bool)> {
        if let Some(stored) = self.left.get(name)
            && stored.element.is_some_and(|element| !element.is_float())
        {
            return Err(self.of_type(name, &stored.type_name));
        }
        self.take_any(name, shape)
    }

    /// As [`Self::take`], of any type. The flag says that columns lie together, not rows.
    fn take_any(&mut self, name: &str, shape: &[usize]) -> Result<(Vec<f32>, bool)> {
        self.weigh()?;
        let Some(stored) = self.left.remove(name) else {
            let others: Vec<String> = self.left.keys().map(|name| format!("`{name}`")).collect();
            let found = if others.is_empty() {
                format!("no tensor `{name}`")
            } else {
                format!("no tensor `{name}` beside {}", others.join(", "))
            };
            return Err(Fault::usage(doing(self.path), found)
                .expected(format!("`{name}` of shape {shape:?}")));
        };
        if stored.shape != shape {
            return Err(Fault::usage(
                doing(self.path),
                format!("`{name}` of shape {:?}", stored.shape),
            )
            .expected(format!("shape {shape:?}")));
        }
        let Some(element) = stored.element else {
            return Err(self.of_type(name, &stored.type_name));
        };
        let length = shape.iter().product();
        let mut values: Vec<f32> = Vec::new();
        values.try_reserve_exact(length).map_err(|error| {
            Fault::failed(doing(self.path), format!("`{name}`: {error}"))
                .expected("memory for the weights in single precision")
        })?;
        let fortran = match (&stored.place, &mut self.archive) {
            (Place::Zipped(array), Some(archive)) => {
                npz::values(archive, array, element, &mut values).map_err(|found| {
                    Fault::usage(doing(self.path), found)
                        .expected("an undamaged npz file")
                        .hint("the file may be truncated: copy it again")
                })?;
                array.fortran
            }
            (Place::Plain(bytes), _) => {
                element.append(bytes, &mut values);
                false
            }
            (Place::Zipped(_), None) => false,
        };
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok((values, fortran)),
            Some(index) => Err(Fault::usage(
                doing(self.path),
                format!("{} in `{name}` at element {index}", values[index]),
            )
            .expected("finite weights")
            .hint("the training diverged or the file is damaged")),
        }
    }

    /// Whether all that the file holds fits into memory, asked once.
    fn weigh(&mut self) -> Result<()> {
        if !self.weighed {
            let elements = |stored: &Stored<'_>| {
                let sides = stored.shape.iter().map(|side| *side as u128);
                sides.fold(1_u128, u128::saturating_mul)
            };
            let all = self.left.values().map(elements);
            let needed = all.fold(0_u128, u128::saturating_add).saturating_mul(4);
            memory::fits(needed, || doing(self.path))?;
            self.weighed = true;
        }
        Ok(())
    }

    fn of_type(&self, name: &str, type_name: &str) -> Fault {
        Fault::usage(
            doing(self.path),
            format!("`{name}` of element type {type_name}"),
        )
        .expected("floats of 16, 32 or 64 bits")
    }

    /// # Errors
    /// Tensors that nobody asked for: the file is not what its description says.
    pub(super) fn finish(self) -> Result<()> {
        if self.left.is_empty() {
            return Ok(());
        }
        let extra: Vec<String> = self
            .shapes()
            .map(|(name, shape)| format!("`{name}` {shape:?}"))
            .collect();
        Err(Fault::usage(
            doing(self.path),
            format!("more tensors: {}", extra.join(", ")),
        )
        .expected("no tensor besides those that the kind of detector needs"))
    }
}
