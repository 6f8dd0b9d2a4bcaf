//! `candor detectors check`

use std::path::PathBuf;

use clap::Args;

use super::describe;
use crate::cli::terminal;
use crate::detect::Detector;
use crate::fault::Result;
use crate::lab::detector_folders;
use crate::model::{Architecture, Model};

/// `candor detectors check`
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Detector folders, or folders of detector folders.
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// The model they are to be used on.
    #[arg(long, value_name = "ONNX")]
    pub model: Option<PathBuf>,
}

pub fn run(args: &CheckArgs) -> Result<()> {
    let model = match &args.model {
        Some(path) => {
            let model = Model::open(path)?;
            let sha256 = model
                .digests()?
                .into_iter()
                .next()
                .map(|file| file.sha256)
                .unwrap_or_default();
            Some((Architecture::find(&model)?, sha256))
        }
        None => None,
    };
    for folder in detector_folders(&args.paths)? {
        let detector = Detector::open(&folder)?;
        if let Some((arch, sha256)) = &model {
            detector.fits(arch, sha256)?;
        }
        terminal::say(&describe(&detector));
    }
    Ok(())
}
