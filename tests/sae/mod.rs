//! Cases of `fixtures/detect/{saelens,formats}` and how far Candor is from what their libraries recorded.

pub mod table;

use std::fs;
use std::path::{Path, PathBuf};

use candor::detect::sae::{Asked, Opened};
use ndarray::Array2;
use serde_json::Value;

/// Files of one SAE and what a library computed with them.
pub struct Case {
    pub folder: PathBuf,
    /// Path within the fixtures.
    pub name: String,
    pub format: String,
    pub architecture: String,
    /// Library and version.
    pub reference: String,
    pub asked: Asked,
    recorded: PathBuf,
}

/// Largest differences, as shares of the largest recorded value.
pub struct Measured {
    pub case: Case,
    pub encode: f32,
    pub decode: f32,
    pub error: f32,
}

pub fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/detect")
}

/// Every case there is, by name.
pub fn cases() -> Vec<Case> {
    let folders = |name: &str| {
        let entries = fs::read_dir(fixtures().join(name)).unwrap();
        let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        folders.sort();
        folders
    };
    let saelens = folders("saelens").into_iter().map(Case::of_saelens);
    saelens
        .chain(folders("formats").into_iter().map(Case::of_format))
        .collect()
}

fn name_of(folder: &Path) -> String {
    let within = folder.strip_prefix(fixtures()).unwrap();
    within.display().to_string()
}

impl Case {
    fn of_saelens(folder: PathBuf) -> Self {
        let config: Value =
            serde_json::from_str(&fs::read_to_string(folder.join("cfg.json")).unwrap()).unwrap();
        Self {
            name: name_of(&folder),
            format: "saelens".to_owned(),
            // An old config says it by its activation function.
            architecture: config["architecture"].as_str().unwrap_or("topk").to_owned(),
            reference: "sae-lens 6.54.12".to_owned(),
            asked: Asked::default(),
            recorded: folder.join("recorded.safetensors"),
            folder,
        }
    }

    fn of_format(folder: PathBuf) -> Self {
        let case = fs::read_to_string(folder.join("recorded/case.json")).unwrap();
        let case: Value = serde_json::from_str(&case).unwrap();
        let text = |name: &str| case[name].as_str().map(str::to_owned);
        let site = |name: &str| text(name).map(|site| site.parse().unwrap());
        Self {
            name: name_of(&folder),
            format: text("format").unwrap(),
            architecture: text("architecture").unwrap(),
            reference: text("reference").unwrap(),
            asked: Asked {
                site: site("site"),
                site_out: site("site_out"),
            },
            recorded: folder.join("recorded/recorded.safetensors"),
            folder,
        }
    }

    pub fn open(&self) -> Opened {
        Opened::open(&self.folder, &self.asked)
            .unwrap_or_else(|fault| panic!("{}: {fault}", self.name))
    }

    /// A recorded tensor; `target` is the input where nothing else is reconstructed.
    pub fn recorded(&self, name: &str) -> Array2<f32> {
        let bytes = fs::read(&self.recorded).unwrap();
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let tensor = tensors
            .tensor(name)
            .or_else(|_| tensors.tensor("input"))
            .unwrap();
        let values = tensor.data().chunks_exact(4);
        let values = values.map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap()));
        let shape = (tensor.shape()[0], tensor.shape()[1]);
        Array2::from_shape_vec(shape, values.collect()).unwrap()
    }

    pub fn measure(self) -> Measured {
        let sae = self.open().sae;
        let x = self.recorded("input");
        let forward = sae.forward(x.view()).unwrap();
        let target = self.recorded("target");
        let error = sae.error_against(x.view(), target.view()).unwrap();
        if let Some(own) = &forward.error {
            assert_eq!(own, &error, "{}", self.name);
        }
        let acts = self.recorded("feature_acts");
        assert!(
            acts.iter().any(|act| *act != 0.0),
            "{}: nothing fires",
            self.name
        );
        for (found, expected) in forward.feature_acts.iter().zip(&acts) {
            let same = (*found == 0.0) == (*expected == 0.0);
            assert!(same, "{}: {found} instead of {expected}", self.name);
        }
        Measured {
            encode: difference(&forward.feature_acts, &acts),
            decode: difference(&forward.decoded, &self.recorded("decoded")),
            error: difference(&error, &self.recorded("error")),
            case: self,
        }
    }
}

fn difference(found: &Array2<f32>, expected: &Array2<f32>) -> f32 {
    assert_eq!(found.dim(), expected.dim());
    let largest = |values: &Array2<f32>| values.iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    largest(&(found - expected)) / largest(expected)
}
