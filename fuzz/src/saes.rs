//! Folders of SAEs made of bytes: which format's names, how long the config is, the config, the weights.

use std::fs;
use std::path::{Path, PathBuf};

use ndarray::Array2;

use crate::detect::Sae;

/// Names of config and weights in each format.
pub const NAMES: [(&str, &str); 8] = [
    ("cfg.json", "sae_weights.safetensors"),
    ("", "params.npz"),
    ("config.json", "params.safetensors"),
    ("cfg.json", "sae.safetensors"),
    ("config.json", "ae.safetensors"),
    ("config.json", "autoencoder.safetensors"),
    ("hyperparams.json", "final.safetensors"),
    ("config.yaml", "layer_1.safetensors"),
];

/// Widths whose activations are encoded.
const WIDEST: usize = 4096;

/// Whatever is wrong with the bytes must be a fault, and what is opened must encode.
pub fn open(bytes: &[u8]) {
    let [kind, low, high, rest @ ..] = bytes else {
        return;
    };
    let (config_name, weights_name) = NAMES[usize::from(*kind) % NAMES.len()];
    let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
    let (config, weights) = rest.split_at(length);
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder in memory");
    if !config_name.is_empty() {
        fs::write(folder.path().join(config_name), config).expect("room for a config");
    }
    fs::write(folder.path().join(weights_name), weights).expect("room for weights");
    let Ok(sae) = Sae::open(folder.path()) else {
        return;
    };
    if sae.d_in() > WIDEST {
        return;
    }
    let x = Array2::from_elem((1, sae.d_in()), 0.5);
    if let Ok(forward) = sae.forward(x.view()) {
        assert_eq!(forward.feature_acts.dim(), (1, sae.d_sae()));
        assert_eq!(forward.decoded.dim(), (1, sae.d_out()));
    }
}

/// The bytes of a folder of the fixtures, for a corpus.
pub fn pack(folder: &Path) -> Option<Vec<u8>> {
    let find = |name: &str| -> Option<PathBuf> {
        let within = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path());
        let folders = within.filter(|path| path.is_dir());
        let mut places = folders.chain([folder.to_owned()]).map(|place| place.join(name));
        places.find(|path| path.is_file())
    };
    NAMES.iter().enumerate().find_map(|(kind, (config, weights))| {
        let weights = fs::read(find(weights)?).ok()?;
        let config = match *config {
            "" => Vec::new(),
            name => fs::read(find(name)?).ok()?,
        };
        let length = u16::try_from(config.len()).ok()?.to_le_bytes();
        Some([&[u8::try_from(kind).ok()?], &length[..], &config, &weights].concat())
    })
}
