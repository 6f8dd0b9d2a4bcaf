//! Models in sessions, with what others recorded of them.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use candor::instrument::{Instrumented, Manifest, Plan, instrument, rewrite};
use candor::model::{Architecture, Model, SiteName, encode};
use candor::run::{Feed, Runtime, RuntimeOptions, Session};
use ndarray::{Array2, ArrayD};
use ndarray_npy::NpzReader;

use crate::tiny::Tiny;

pub struct Lab {
    pub name: String,
    pub arch: Architecture,
    pub ids: Array2<i64>,
    pub reference: BTreeMap<String, ArrayD<f32>>,
    source: Rc<Source>,
    plain: OnceCell<ArrayD<f32>>,
}

enum Source {
    File(Box<Model>),
    Tiny(Box<candor::model::onnx::ModelProto>),
}

pub struct Prepared {
    session: Session,
    pub manifest: Manifest,
    logits: String,
}

/// What a run put out.
pub struct Reading {
    outputs: BTreeMap<String, ArrayD<f32>>,
    manifest: Manifest,
    logits: String,
}

/// Every model of the shared material, or none where it is absent.
pub fn all_labs() -> Vec<Lab> {
    let shared = std::env::var_os("CANDOR_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    if !shared.is_dir() {
        eprintln!("skipped: ../shared is not here");
        return vec![];
    }
    let zoo = std::fs::read_dir(shared.join("zoo"))
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = zoo.chain([shared.join("data/stories260k")]).collect();
    folders.sort();
    assert!(folders.len() >= 10, "{folders:?}");
    folders
        .iter()
        .map(|folder| Lab::of_folder(folder))
        .collect()
}

/// The largest absolute difference of two arrays of one shape.
pub fn difference(one: &ArrayD<f32>, other: &ArrayD<f32>) -> f32 {
    assert_eq!(one.shape(), other.shape());
    one.iter()
        .zip(other)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

impl Lab {
    fn of_folder(folder: &Path) -> Self {
        let model = Model::open(&folder.join("model.onnx")).unwrap();
        let mut recorded =
            NpzReader::new(File::open(folder.join("reference.npz")).unwrap()).unwrap();
        let ids: Array2<i64> = recorded.by_name("input_ids").unwrap();
        let mut reference = BTreeMap::new();
        for name in recorded.names().unwrap() {
            let name = name.trim_end_matches(".npy");
            if let Ok(values) = recorded.by_name(name) {
                reference.insert(name.to_owned(), values);
            }
        }
        Self {
            name: folder.file_name().unwrap().to_string_lossy().into_owned(),
            arch: Architecture::find(&model).unwrap(),
            ids,
            reference,
            source: Source::File(Box::new(model)).into(),
            plain: OnceCell::new(),
        }
    }

    pub fn of_tiny(name: &str, tiny: Tiny, ids: Array2<i64>) -> Self {
        Self {
            name: name.into(),
            arch: tiny.arch,
            ids,
            reference: BTreeMap::new(),
            source: Source::Tiny(Box::new(tiny.model)).into(),
            plain: OnceCell::new(),
        }
    }

    /// The same model on other tokens.
    pub fn with_ids(&self, ids: Array2<i64>) -> Self {
        Self {
            name: self.name.clone(),
            arch: self.arch.clone(),
            ids,
            reference: BTreeMap::new(),
            source: self.source.clone(),
            plain: OnceCell::new(),
        }
    }

    pub fn feed(&self) -> Feed {
        Feed::unpadded(self.ids.clone())
    }

    /// The logits of the model as it is.
    pub fn plain(&self) -> &ArrayD<f32> {
        self.plain.get_or_init(|| {
            self.prepare(&Plan::default())
                .run(&self.feed())
                .logits()
                .clone()
        })
    }

    /// The model with a plan, in a session.
    pub fn prepare(&self, plan: &Plan) -> Prepared {
        let done = match self.source.as_ref() {
            Source::File(model) => instrument(model, &self.arch, plan).unwrap(),
            Source::Tiny(proto) => {
                let (proto, manifest) = rewrite(proto, &self.arch, plan).unwrap();
                Instrumented {
                    bytes: encode(&proto),
                    folder: PathBuf::from("."),
                    manifest,
                }
            }
        };
        let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap();
        let session = Session::open(&runtime, &done.bytes, &done.folder, &self.arch).unwrap();
        Prepared {
            session,
            manifest: done.manifest,
            logits: self.arch.logits.clone(),
        }
    }
}

impl Prepared {
    /// Everything that the instrumented model puts out.
    pub fn run(&self, feed: &Feed) -> Reading {
        let taps = self.manifest.taps.iter().map(|(_, name)| name.as_str());
        let heads = self.manifest.heads.iter().map(|(_, name)| name.as_str());
        let wanted: Vec<_> = [self.logits.as_str()]
            .into_iter()
            .chain(taps)
            .chain(heads)
            .collect();
        let outputs = self
            .session
            .run(feed, &wanted)
            .unwrap_or_else(|fault| panic!("{fault}"));
        Reading {
            outputs,
            manifest: self.manifest.clone(),
            logits: self.logits.clone(),
        }
    }
}

impl Reading {
    pub fn logits(&self) -> &ArrayD<f32> {
        &self.outputs[&self.logits]
    }

    pub fn tap(&self, site: SiteName) -> &ArrayD<f32> {
        let (_, name) = self
            .manifest
            .taps
            .iter()
            .find(|(tapped, _)| *tapped == site)
            .unwrap();
        &self.outputs[name]
    }

    pub fn head(&self, id: &str) -> &ArrayD<f32> {
        let (_, name) = self
            .manifest
            .heads
            .iter()
            .find(|(head, _)| head == id)
            .unwrap();
        &self.outputs[name]
    }
}
