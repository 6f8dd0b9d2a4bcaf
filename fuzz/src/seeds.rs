//! Writes the valid decoders that the targets start from.

use std::fs;

use candor_fuzz::{decoder, saes};
use candor_fuzz::model::{Architecture, Model, encode};

fn main() -> std::io::Result<()> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/model_reader");
    fs::create_dir_all(folder)?;
    for form in 0..decoder::FORMS {
        let bytes = encode(&decoder::valid(form));
        fs::write(format!("{folder}/{form}.onnx"), &bytes)?;
        let path = std::path::Path::new("/nowhere/model.onnx");
        let model = Model::from_bytes(bytes.clone().into(), path);
        let found = model.and_then(|model| Architecture::find(&model));
        match found {
            Ok(arch) => println!("{form}: {} bytes, {} layers", bytes.len(), arch.n_layers),
            Err(fault) => println!("{form}: {} bytes, {fault}", bytes.len()),
        }
    }
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/decoder_graph");
    fs::create_dir_all(folder)?;
    for form in 0..decoder::FORMS {
        let mut bytes = vec![form];
        bytes.extend((0..200_u8).map(|at| at.wrapping_mul(37).wrapping_add(form)));
        fs::write(format!("{folder}/{form}"), &bytes)?;
        fs::write(format!("{folder}/{form}.plain"), [form])?;
    }
    for target in ["sae_files", "sae_config"] {
        fs::create_dir_all(format!("{}/corpus/{target}", env!("CARGO_MANIFEST_DIR")))?;
    }
    for place in ["saelens", "formats"] {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/detect/");
        for entry in fs::read_dir(format!("{fixtures}{place}"))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus");
            if let Some(bytes) = saes::pack(&entry.path()) {
                fs::write(format!("{corpus}/sae_files/{name}"), bytes)?;
            }
            if let Ok(config) = fs::read(entry.path().join("cfg.json")) {
                fs::write(format!("{corpus}/sae_config/{name}"), config)?;
            }
        }
    }
    Ok(())
}
