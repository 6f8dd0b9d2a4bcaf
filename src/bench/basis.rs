//! What a trial hangs on beside its model: where any of it has changed, the trial is made again.

use std::fs;
use std::path::Path;

use super::organism::{FILE, Organism};
use super::{Recipe, Request};
use crate::digest::{CODE, Running, sha256_of};
use crate::fault::{Fault, Result};
use crate::model::Model;
use crate::tokens::Suite;

/// What lies beside a model and says how its prompts are written and where its responses end.
const BESIDE: [&str; 6] = [
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "generation_config.json",
    "genai_config.json",
    "config.json",
];

/// The code that makes and reads a trial, beside the code that decides.
const OWN: [&[u8]; 7] = [
    include_bytes!("cut.rs"),
    include_bytes!("heads.rs"),
    include_bytes!("make.rs"),
    include_bytes!("reading.rs"),
    include_bytes!("split.rs"),
    include_bytes!("subset.rs"),
    include_bytes!("words.rs"),
];

/// SHA-256 over what all trials of a benchmark have in common: the code that decides, the code that makes a trial, and the recipe with its rules.
pub(super) fn method(recipe: &Recipe) -> String {
    let mut pieces = vec![CODE.to_owned(), recipe.digest()];
    pieces.extend(OWN.map(sha256_of));
    digest_of(&pieces)
}

/// SHA-256 over the method, the runtime's arguments, what is known of the organism, its suites, and, of each of its models, the weights that lie in
/// other files, its tokenizer and its configuration.
pub(super) fn basis(request: &Request, organism: &Organism) -> Result<String> {
    let mut pieces = vec![method(&request.recipe)];
    pieces.extend(
        request
            .runtime
            .iter()
            .map(|word| sha256_of(word.as_bytes())),
    );
    let (folder, about) = (&organism.folder, &organism.about);
    pieces.push(digest(&folder.join(FILE))?);
    if let Some(file) = &about.mechanism.direction {
        pieces.push(digest(&folder.join(file))?);
    }
    for suite in about.suites.iter().chain(about.calibration.values()) {
        pieces.push(Suite::open(&folder.join(suite))?.digest);
    }
    for form in about.forms.values() {
        let model = folder.join(&form.file);
        let beside = BESIDE.map(|name| model.with_file_name(name));
        for file in beside.iter().filter(|file| file.is_file()) {
            pieces.push(digest(file)?);
        }
        // A file that is no model breaks off in its trial, which says why.
        if let Ok(model) = Model::open(&model) {
            let data = model.digests()?.into_iter().skip(1);
            pieces.extend(data.map(|file| file.sha256));
        }
    }
    Ok(digest_of(&pieces))
}

fn digest_of(pieces: &[String]) -> String {
    let mut all = Running::default();
    for piece in pieces {
        all.add(piece.as_bytes());
        all.add(b"\n");
    }
    all.finish()
}

fn digest(file: &Path) -> Result<String> {
    let bytes = fs::read(file).map_err(|error| {
        Fault::failed(format!("reading `{}`", file.display()), error.to_string())
    })?;
    Ok(sha256_of(&bytes))
}
