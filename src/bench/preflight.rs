//! What can be known to be wrong before the first trial: nobody should wait for hours to hear it.

use std::collections::BTreeSet;
use std::path::Path;

use super::cut::pairs;
use super::organism::Organism;
use super::split::for_training;
use super::{Cell, Request};
use crate::digest::sha256_of_file;
use crate::fault::{Fault, Result};
use crate::tokens::{Purpose, Suite};

/// Refuses a family, seed or export that no organism has: whoever names it would wait for a part that is not tried.
pub(super) fn choices(request: &Request, organisms: &[Organism]) -> Result<()> {
    let check = |flag: &str, wanted: Vec<String>, there: BTreeSet<String>| {
        let Some(missing) = wanted.into_iter().find(|one| !there.contains(one)) else {
            return Ok(());
        };
        let there: Vec<String> = there.into_iter().collect();
        let root = request.root.display();
        Err(Fault::usage(
            format!("choosing organisms in `{root}`"),
            format!("`--{flag} {missing}`, which none has"),
        )
        .expected(format!("one of {}", there.join(", "))))
    };
    let abouts = || organisms.iter().map(|one| &one.about);
    let seeds = request.seeds.iter().map(u64::to_string).collect();
    check(
        "family",
        request.families.clone(),
        abouts().map(|about| about.family.clone()).collect(),
    )?;
    check(
        "seed",
        seeds,
        abouts().map(|about| about.seed.to_string()).collect(),
    )?;
    check(
        "form",
        request.forms.clone(),
        abouts()
            .flat_map(|about| about.forms.keys().cloned())
            .collect(),
    )
}

/// Checks the sizes asked for, and of every organism its suites, whether the recipe fits it, and its model files.
pub(super) fn check(request: &Request, cells: &[Cell<'_>]) -> Result<()> {
    sizes(&request.items)?;
    let mut seen = BTreeSet::new();
    for cell in cells {
        let organism = cell.organism;
        if seen.insert((&organism.folder, "")) {
            request.recipe.fits(organism)?;
            suites(request, organism)?;
        }
        if seen.insert((&organism.folder, cell.form)) {
            let form = organism.form(cell.form)?;
            digest(&organism.folder.join(&form.file), &form.sha256)?;
        }
    }
    Ok(())
}

/// Whole pairs, each size once.
fn sizes(items: &[usize]) -> Result<()> {
    let mut seen = BTreeSet::new();
    for &size in items {
        let found = match (size >= 2 && size % 2 == 0, seen.insert(size)) {
            (true, true) => continue,
            (true, false) => format!("{size} twice"),
            (false, _) => size.to_string(),
        };
        return Err(Fault::usage("reading `--items`", found)
            .expected("even numbers from 2 on, each once: a pair is two items"));
    }
    Ok(())
}

fn suites(request: &Request, organism: &Organism) -> Result<()> {
    let (mut control, mut contrast) = (false, false);
    let mut ids = BTreeSet::new();
    for path in &organism.about.suites {
        let suite = Suite::open(&organism.folder.join(path))?;
        if !ids.insert(suite.id.clone()) {
            return Err(Fault::usage(
                format!("reading the suites of `{}`", organism.name()),
                format!("`{}` twice", suite.id),
            )
            .expected("each suite once"));
        }
        contrast |= suite.contrast.is_some();
        control |= suite.purpose == Purpose::Control && !for_training(&suite).is_empty();
        let size = 2 * pairs(&suite);
        let mut items = request.items.iter();
        if let Some(beyond) = items.find(|items| suite.contrast.is_some() && **items > size) {
            return Err(Fault::usage(
                format!("cutting the suite `{}`", suite.path.display()),
                format!("`--items {beyond}`"),
            )
            .expected(format!("at most the {size} items of `{}`", suite.id)));
        }
    }
    if !contrast {
        return Err(Fault::usage(
            format!("reading the suites of `{}`", organism.name()),
            "no contrast suite",
        )
        .expected("one: a verdict is on prompts under a condition, each with its counterpart"));
    }
    if request.recipe.reads_control() && !control {
        return Err(Fault::usage(
            format!("halving the control suite of `{}`", organism.name()),
            "none with a group of two items or more",
        )
        .expected(
            "several items in some group: thresholds are set on one half, and the other is audited",
        ));
    }
    Ok(())
}

/// Whether a model is the one that its organism names.
pub(super) fn digest(model: &Path, sha256: &str) -> Result<()> {
    let doing = format!("opening the organism `{}`", model.display());
    let expected = format!("SHA-256 {sha256}, as its organism.json says");
    let (found, _) = sha256_of_file(model)
        .map_err(|error| Fault::usage(&doing, error.to_string()).expected(&expected))?;
    if found == sha256 {
        return Ok(());
    }
    Err(Fault::usage(&doing, format!("SHA-256 {found}"))
        .expected(expected)
        .hint("make the organism again"))
}
