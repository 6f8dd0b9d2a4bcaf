//! `candor patch`

use super::args::{ModeArg, PatchArgs, RuntimeArgs};
use super::{obtain, prompts, terminal};
use crate::causal::Pair;
use crate::evidence::PatchMode;
use crate::fault::{Fault, Result};
use crate::files;
use crate::lab::{PatchFile, check_ids, patch, select_sites};
use crate::model::{Architecture, Model};
use crate::tokens::Tokenizer;

pub fn run(args: &PatchArgs, runtime: &RuntimeArgs) -> Result<()> {
    files::writable(&args.out)?;
    let model = Model::open(&args.model)?;
    let arch = Architecture::find(&model)?;
    let sites = select_sites(&arch, &args.sites)?;
    let pair = pair(args, &arch)?;
    check_ids(&arch, &[pair.clean.ids.clone(), pair.corrupt.ids.clone()])?;
    let mode = match args.mode {
        ModeArg::Denoising => PatchMode::Denoising,
        ModeArg::Noising => PatchMode::Noising,
    };
    crate::causal::equal_length(("clean", &pair.clean), ("corrupt", &pair.corrupt))?;
    let runtime = obtain(runtime)?;
    let map = patch(&runtime, &model, &arch, &pair, &sites, mode)?;
    let file = PatchFile::of(&map, &sites, mode);
    let json = serde_json::to_vec_pretty(&file)
        .map_err(|error| Fault::failed("writing the patching map", error.to_string()))?;
    files::write_whole(&args.out, &json)?;
    terminal::say(&format!(
        "{} × {} cells, clean {:+.4}, corrupt {:+.4} logits ({} over {}) → {}",
        file.sites.len(),
        file.positions.len(),
        map.clean,
        map.corrupt,
        map.answer,
        map.foil,
        args.out.display()
    ));
    Ok(())
}

fn pair(args: &PatchArgs, arch: &Architecture) -> Result<Pair> {
    let tokenizer = || prompts::tokenizer(args.tokenizer.as_deref(), &args.model, arch.vocab_size);
    let (clean, corrupt) = match (
        &args.clean_ids,
        &args.corrupt_ids,
        &args.clean,
        &args.corrupt,
    ) {
        (Some(clean), Some(corrupt), _, _) => (
            prompts::bare(prompts::parse_one(clean)?),
            prompts::bare(prompts::parse_one(corrupt)?),
        ),
        (_, _, Some(clean), Some(corrupt)) => {
            let tokenizer = tokenizer()?;
            (tokenizer.encode(clean)?, tokenizer.encode(corrupt)?)
        }
        _ => {
            return Err(Fault::usage("reading the pair", "no prompts")
                .expected("--clean and --corrupt, or --clean-ids and --corrupt-ids"));
        }
    };
    let (answer, foil) = match (&args.answer, &args.foil, args.answer_id, args.foil_id) {
        (_, _, Some(answer), Some(foil)) => (answer, foil),
        (Some(answer), Some(foil), _, _) => {
            let tokenizer = tokenizer()?;
            let prompt = args.clean.as_deref().unwrap_or_default();
            (
                single(&tokenizer, prompt, answer)?,
                single(&tokenizer, prompt, foil)?,
            )
        }
        _ => {
            return Err(Fault::usage("reading the metric", "no answer and foil")
                .expected("--answer and --foil, or --answer-id and --foil-id"));
        }
    };
    if answer == foil {
        return Err(Fault::usage(
            "reading the metric",
            format!("token id {answer} as answer and as foil"),
        )
        .expected("two tokens, of which the two prompts favour one each"));
    }
    for id in [answer, foil] {
        if usize::try_from(id).map_or(true, |id| id >= arch.vocab_size) {
            return Err(Fault::usage("reading the metric", format!("token id {id}"))
                .expected(format!("ids from 0 to {}", arch.vocab_size - 1)));
        }
    }
    Ok(Pair {
        item: "corrupt".to_owned(),
        counterpart: "clean".to_owned(),
        group: String::new(),
        clean,
        corrupt,
        answer,
        foil,
        answer_text: args.answer.clone().unwrap_or_else(|| answer.to_string()),
        foil_text: args.foil.clone().unwrap_or_else(|| foil.to_string()),
    })
}

/// A logit difference is read at one position, so each side is one token.
fn single(tokenizer: &Tokenizer, prompt: &str, answer: &str) -> Result<i64> {
    let prompt = if prompt.is_empty() { "x" } else { prompt };
    match tokenizer.tokens_after(prompt, answer)?.as_slice() {
        [id] => Ok(*id),
        several => Err(Fault::usage(
            format!("reading the answer {answer:?}"),
            format!("{} tokens", several.len()),
        )
        .expected("one token")
        .hint("give the first token with --answer-id and --foil-id")),
    }
}
