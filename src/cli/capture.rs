//! `candor capture`

use super::args::{CaptureArgs, RuntimeArgs};
use super::{obtain, prompts, terminal};
use crate::fault::Result;
use crate::files;
use crate::lab::{capture, check_ids, select_sites};
use crate::model::{Architecture, Model};
use crate::report::counted;

pub fn run(args: &CaptureArgs, runtime: &RuntimeArgs) -> Result<()> {
    files::writable(&args.out)?;
    let model = Model::open(&args.model)?;
    let arch = Architecture::find(&model)?;
    let sites = select_sites(&arch, &args.sites)?;
    let ids = match (&args.ids, &args.prompts) {
        (Some(text), _) => prompts::parse_ids(text)?,
        (None, Some(file)) => {
            let tokenizer =
                prompts::tokenizer(args.tokenizer.as_deref(), &args.model, arch.vocab_size)?;
            prompts::read(file, &tokenizer)?
                .into_iter()
                .map(|prompt| prompt.ids)
                .collect()
        }
        (None, None) => Vec::new(),
    };
    check_ids(&arch, &ids)?;
    let runtime = obtain(runtime)?;
    let captured = capture(&runtime, &model, &arch, &ids, &sites)?;
    captured.write(&args.out)?;
    let (batch, seq) = captured.mask.dim();
    terminal::say(&format!(
        "{} and the logits of {batch} × {seq} tokens → {}",
        counted(sites.len(), "site", "sites"),
        args.out.display()
    ));
    Ok(())
}
