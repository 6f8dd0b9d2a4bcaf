//! `candor keygen`

use std::path::{Path, PathBuf};

use clap::Args;

use super::terminal;
use crate::fault::{Fault, Result};
use crate::seal::Key;

/// `candor keygen`
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// A folder for candor.key and candor.pub, or the private key's file, such as release.key.
    #[arg(long, value_name = "DIR|FILE", default_value = ".")]
    pub out: PathBuf,
    /// Replace keys that are there: what they signed can then be signed again by nobody.
    #[arg(long)]
    pub force: bool,
}

pub fn run(args: &KeygenArgs) -> Result<()> {
    let (private, public) = places(&args.out)?;
    let key = Key::generate()?;
    key.write(&private, &public, args.force)?;
    terminal::say(&format!(
        "private key → {} (keep it secret; only you may read it)\n public key → {} (give it to whoever verifies)\n     key id   {}",
        private.display(),
        public.display(),
        key.public().id()
    ));
    Ok(())
}

/// What has an extension is the private key's file; anything else is a folder.
fn places(out: &Path) -> Result<(PathBuf, PathBuf)> {
    if out.is_dir() || out.extension().is_none() {
        return Ok((out.join("candor.key"), out.join("candor.pub")));
    }
    let public = out.with_extension("pub");
    if public == out {
        return Err(Fault::usage(
            "choosing where the key lies",
            format!("`{}`, the name of a public key", out.display()),
        )
        .expected("a folder, or the private key's file, such as release.key"));
    }
    Ok((out.to_owned(), public))
}
