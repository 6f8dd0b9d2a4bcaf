//! The model with one more output: the scores of its detectors at every token, for whoever serves it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::detect::{Detector, Flags};
use crate::digest::sha256_of_file;
use crate::fault::{Fault, Result};
use crate::files::{self, Staged};
use crate::instrument::{Plan, Scores, rewrite};
use crate::model::onnx::{ModelProto, StringStringEntryProto};
use crate::model::{Architecture, DataCopy, FileDigest, Model, SiteName, encode};

/// The name of the added output, `[batch, seq, detectors]`; a number follows it where the model has that name already.
pub const SCORES: &str = "candor.scores";

/// The largest file that the format holds.
const LARGEST: usize = i32::MAX as usize;

/// What becomes of weights that lie in files of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// The new file names those of the model.
    Shared,
    /// They are copied beside it.
    Copied,
}

/// A model with its detectors.
#[derive(Debug, Clone)]
pub struct Monitored {
    /// The graph; external data is named as the model names it.
    pub proto: ModelProto,
    /// The added output.
    pub output: String,
    /// What each column of it is.
    pub columns: Vec<Watched>,
}

/// One detector's column, or the columns side by side that it pools.
#[derive(Debug, Clone, PartialEq)]
pub struct Watched {
    /// The detector.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// The feature of an SAE.
    pub feature: Option<usize>,
    /// What the feature's activation is multiplied by; 1 for a probe.
    pub factor: f32,
    /// How many columns it has.
    pub columns: usize,
    /// Where it reads.
    pub site: SiteName,
    /// An item whose aggregated score lies strictly beyond it is flagged.
    pub threshold: Option<f64>,
    /// On which side.
    pub flags: Option<Flags>,
}

/// Adds an output with one column for each detector, or those that it pools (see [`Detector::column`]), and says in the file's `metadata_props` what
/// they are: `candor.version`, `candor.output`, `candor.model` (its files with their SHA-256) and `candor.detectors`, the last
/// two as JSON.
///
/// `files` are the model's digests, its own first.
///
/// # Errors
/// Usage: no detector, two of one name, one that does not fit the model, a model that is monitored already.
pub fn monitor(
    model: &Model,
    arch: &Architecture,
    files: &[FileDigest],
    detectors: &[Detector],
) -> Result<Monitored> {
    let doing = "adding detectors to the model";
    if model
        .proto()
        .metadata_props
        .iter()
        .any(|entry| entry.key() == "candor.detectors")
    {
        return Err(Fault::usage(doing, "a file that has its detectors already")
            .expected("the model that it was made from"));
    }
    let sha256 = files.first().map_or("", |file| &file.sha256);
    let mut heads = Vec::with_capacity(detectors.len());
    let mut factors = Vec::with_capacity(detectors.len());
    let mut columns = Vec::with_capacity(detectors.len());
    for detector in detectors {
        detector.fits(arch, sha256)?;
        let column = detector.column()?;
        let card = &detector.card;
        let calibration = card.calibration.as_ref();
        columns.push(Watched {
            id: card.id.clone(),
            kind: card.kind.to_string(),
            feature: column.feature,
            factor: column.factor,
            columns: column.head.columns(),
            site: card.site,
            threshold: calibration.map(|calibration| calibration.threshold),
            flags: calibration.map(|calibration| calibration.flags),
        });
        factors.extend(std::iter::repeat_n(column.factor, column.head.columns()));
        heads.push(column.head);
    }
    let plan = Plan {
        heads,
        scores: Some(Scores {
            output: SCORES.to_owned(),
            factors,
        }),
        ..Plan::default()
    };
    let (mut proto, manifest) = rewrite(model.proto(), arch, &plan)?;
    let output = manifest.scores.unwrap_or_default();
    let firsts = columns.iter().scan(0, |next, column| {
        let first = *next;
        *next += column.columns;
        Some(first)
    });
    let described = detectors.iter().zip(firsts.zip(&columns));
    let described: Vec<_> = described
        .map(|(detector, (first, column))| describe(first, detector, column))
        .collect();
    let own: Vec<_> = files
        .iter()
        .map(|file| json!({"path": file.path, "sha256": file.sha256, "bytes": file.bytes}))
        .collect();
    let entries = [
        ("candor.version", env!("CARGO_PKG_VERSION").to_owned()),
        ("candor.output", output.clone()),
        ("candor.model", json!(own).to_string()),
        ("candor.detectors", json!(described).to_string()),
    ];
    let entries = entries.map(|(key, value)| StringStringEntryProto {
        key: Some(key.to_owned()),
        value: Some(value),
    });
    proto.metadata_props.extend(entries);
    Ok(Monitored {
        proto,
        output,
        columns,
    })
}

fn describe(first: usize, detector: &Detector, column: &Watched) -> serde_json::Value {
    let card = &detector.card;
    let files: Vec<_> = detector
        .digests
        .iter()
        .map(|file| json!({"file": file.file, "sha256": file.sha256}))
        .collect();
    json!({
        "column": first,
        "columns": column.columns,
        "id": column.id,
        "role": card.role,
        "kind": column.kind,
        "site": column.site.to_string(),
        "feature": column.feature,
        "factor": column.factor,
        "threshold": column.threshold,
        "flags": column.flags.map(Flags::name),
        "span": card.span.to_string(),
        "aggregation": card.aggregation.to_string(),
        "positive": card.positive,
        "files": files,
    })
}

impl Monitored {
    /// The graph's bytes, its external data named as the model names it.
    ///
    /// # Errors
    /// Usage: more bytes than the format holds.
    pub fn encode(&self) -> Result<Vec<u8>> {
        encoded(&self.proto)
    }

    /// Settles where the file and its weights go, and touches nothing but the folder of `out`, which is created.
    ///
    /// # Errors
    /// Usage: `out` is a file of the model, or weights lie where the new file could not name them.
    pub fn place(&self, model: &Model, out: &Path, weights: Weights) -> Result<Placed> {
        let folder = match out.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        files::prepare(folder)?;
        let copies = match weights {
            Weights::Shared => Vec::new(),
            Weights::Copied => model.copies(folder),
        };
        let place = out.canonicalize().ok();
        let is_out = |path: &Path| place.is_some() && path.canonicalize().ok() == place;
        let mut own = model.data_places();
        if is_out(model.path()) || own.any(is_out) || copies.iter().any(|copy| copy.to == out) {
            return Err(
                Fault::usage(writing(out), "a file of the model itself").expected("another name")
            );
        }
        let mut proto = self.proto.clone();
        if weights == Weights::Shared {
            model.relocate(&mut proto, folder)?;
        }
        Ok(Placed {
            out: out.to_owned(),
            proto,
            copies,
        })
    }
}

/// A monitored model that is about to be written.
#[derive(Debug)]
pub struct Placed {
    out: PathBuf,
    proto: ModelProto,
    copies: Vec<DataCopy>,
}

impl Placed {
    /// Writes the weights that the file needs copies of, and then the file. Returns what was copied; nothing is overwritten but
    /// the file itself.
    ///
    /// # Errors
    /// Usage: another file is in the way of a copy, or the file would be larger than the format allows. Failed: the disk cannot
    /// be written.
    pub fn write(self) -> Result<Vec<DataCopy>> {
        let bytes = encoded(&self.proto)?;
        let mut copied = Vec::new();
        for copy in self.copies {
            if duplicate(&copy, &|| writing(&self.out))? {
                copied.push(copy);
            }
        }
        // Opened as any reader will open it: every reference is checked before the file has its name.
        Model::from_bytes(bytes.clone().into(), &self.out)?;
        files::write_whole(&self.out, &bytes)?;
        Ok(copied)
    }
}

fn writing(out: &Path) -> String {
    format!("writing the monitored model `{}`", out.display())
}

fn encoded(proto: &ModelProto) -> Result<Vec<u8>> {
    let bytes = encode(proto);
    if bytes.len() <= LARGEST {
        return Ok(bytes);
    }
    Err(Fault::usage("adding detectors to the model", format!("a file of {} bytes", bytes.len()))
        .expected(format!("at most {LARGEST}, which is all that the format holds"))
        .hint("save the model with its weights in an external file, or take fewer detectors with whole encoders"))
}

/// Copies a data file unless the same bytes lie there already; whether it did.
fn duplicate(copy: &DataCopy, doing: &dyn Fn() -> String) -> Result<bool> {
    let failed =
        |error: io::Error| Fault::failed(doing(), format!("`{}`: {error}", copy.to.display()));
    if copy.to.exists() {
        let same = std::fs::metadata(&copy.to).map_err(failed)?.len() == copy.bytes
            && sha256_of_file(&copy.to).map_err(failed)?.0
                == sha256_of_file(&copy.from).map_err(failed)?.0;
        return if same {
            Ok(false)
        } else {
            Err(
                Fault::usage(doing(), format!("another file at `{}`", copy.to.display()))
                    .expected("no file, or a copy of the model's own weights"),
            )
        };
    }
    let staged = Staged::write(&copy.to, |file| {
        let mut from = File::open(&copy.from).map_err(failed)?;
        io::copy(&mut from, file).map_err(failed)?;
        Ok(())
    })?;
    staged.put_in_place()?;
    Ok(true)
}
