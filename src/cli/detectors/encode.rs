//! `candor detectors encode`

use std::path::PathBuf;

use clap::Args;

use crate::cli::terminal;
use crate::detect::Sae;
use crate::fault::Result;
use crate::files;
use crate::lab::encode_file;

/// `candor detectors encode`
#[derive(Debug, Args)]
pub struct EncodeArgs {
    /// The SAE's folder.
    pub dir: PathBuf,
    /// float32 `.npy` file.
    #[arg(long, value_name = "FILE")]
    pub input: PathBuf,
    /// Safetensors file with `feature_acts`, `decoded`, `error`.
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

pub fn run(args: &EncodeArgs) -> Result<()> {
    files::writable(&args.out)?;
    let sae = Sae::open(&args.dir)?;
    let rows = encode_file(&sae, &args.input, &args.out)?;
    terminal::say(&format!(
        "{rows} rows, {} features → {}",
        sae.d_sae(),
        args.out.display()
    ));
    Ok(())
}
