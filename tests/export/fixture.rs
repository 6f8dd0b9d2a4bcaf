//! The reference models beside the repository and in `CANDOR_FORMS`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ndarray::{Array2, ArrayD};
use ndarray_npy::NpzReader;
use serde::Deserialize;

/// What a form's values are held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compare {
    /// `PyTorch`, absolute.
    Fp32,
    /// `PyTorch`, relative to the tensor's largest value.
    Fp16,
    /// Likewise.
    Bf16,
    /// The same graph in the runtime with that tensor as an output; `PyTorch` only coarsely, since weights were rounded.
    Exact,
    /// Nothing: the runtime itself does not run the file, for want of a kernel or since the exporter erred. Its sites are found all the same.
    Unrunnable,
    /// Nothing: the model is to be refused.
    Refused,
}

/// `form.json` beside a model.
#[derive(Debug, Clone, Deserialize)]
struct About {
    group: String,
    /// The graph takes one prompt at a time.
    #[serde(default)]
    one_row: bool,
    architecture: String,
    form: String,
    compare: Compare,
}

/// One exported model with the activations that `PyTorch` recorded.
pub struct Fixture {
    /// `ARCHITECTURE.FORM`, the folder's name.
    pub name: String,
    pub folder: PathBuf,
    /// The part of the page that it belongs to.
    pub group: String,
    pub architecture: String,
    pub form: String,
    pub compare: Compare,
    /// Whether the graph takes one prompt at a time.
    pub one_row: bool,
    /// Whether it lies in the repository.
    pub committed: bool,
    /// By site name, float32.
    pub reference: BTreeMap<String, ArrayD<f32>>,
    /// `[batch, seq]`.
    pub ids: Array2<i64>,
}

/// All fixtures at hand, by name; a committed one wins over a regenerated one.
pub fn fixtures() -> Vec<Fixture> {
    let committed = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/export/models");
    let mut found = read(&committed, true);
    if let Some(folder) = std::env::var_os("CANDOR_FORMS") {
        for (name, fixture) in read(Path::new(&folder), false) {
            found.entry(name).or_insert(fixture);
        }
    } else {
        eprintln!("skipped: CANDOR_FORMS is not set; the committed models alone are measured");
    }
    let only = std::env::var("CANDOR_ONLY").unwrap_or_default();
    found
        .into_values()
        .filter(|fixture| fixture.name.contains(&only))
        .collect()
}

fn read(root: &Path, committed: bool) -> BTreeMap<String, Fixture> {
    let Ok(entries) = fs::read_dir(root) else {
        return BTreeMap::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .filter_map(|folder| {
            let about = fs::read(folder.join("form.json")).ok()?;
            let about: About = serde_json::from_slice(&about).unwrap();
            let name = folder.file_name()?.to_str()?.to_owned();
            let (reference, ids) = recorded(root, &name);
            let fixture = Fixture {
                name: name.clone(),
                folder,
                group: about.group,
                architecture: about.architecture,
                form: about.form,
                compare: about.compare,
                one_row: about.one_row,
                committed,
                reference,
                ids,
            };
            Some((name, fixture))
        })
        .collect()
}

/// Forms of one `PyTorch` model share its record.
fn recorded(root: &Path, name: &str) -> (BTreeMap<String, ArrayD<f32>>, Array2<i64>) {
    let model = name.split('.').next().unwrap();
    let path = root.join("references").join(format!("{model}.npz"));
    let Ok(file) = File::open(path) else {
        return (BTreeMap::new(), Array2::zeros((0, 0)));
    };
    let mut file = NpzReader::new(file).unwrap();
    let ids = file.by_name("input_ids").unwrap();
    let names = file.names().unwrap();
    let arrays = names
        .iter()
        .map(|name| name.trim_end_matches(".npy"))
        .filter_map(|name| Some((name.to_owned(), file.by_name(name).ok()?)))
        .collect();
    (arrays, ids)
}
