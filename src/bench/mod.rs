//! Is the verdict true? Audits models whose answer is known, as a user would audit them, and counts.
//!
//! An [`Organism`] says what was planted in it. A [`Recipe`] says how detectors are trained, from each model's own calibration suites, and by which
//! rules it is judged. Each [`Trial`] trains and audits one file of one organism by the commands that a user types, a process each; what it
//! found is a line of a file, so that a benchmark that was stopped goes on where it was, and one that was divided is put together. [`Summary`] sets the found verdicts beside the true ones.

mod basis;
mod certificate;
mod count;
mod cut;
mod family;
mod heading;
mod heads;
mod ledger;
mod lock;
mod make;
mod measures;
mod organism;
mod page;
mod preflight;
mod reading;
mod recipe;
mod split;
mod subset;
mod summary;
mod table;
mod trial;
mod verdicts;
mod words;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use self::certificate::certificate;
pub use self::count::Spread;
pub use self::family::FamilyLine;
pub use self::heading::{Heading, results};
pub use self::heads::HeadFound;
pub use self::lock::Lock;
pub use self::organism::{Carrier, Head, Mechanism, Organism, Position, find};
pub use self::page::page;
pub use self::recipe::Recipe;
pub use self::summary::{EvidenceLine, PowerLine, Summary};
pub use self::table::markdown;
pub use self::trial::{Machine, Peak, ProbeFound, Trial};
pub use self::verdicts::{Verdicts, verdicts};

use self::basis::{basis, method};
use self::ledger::{Ledger, Line, other_parts};
use crate::fault::{Fault, Result};
use crate::interrupt;
use crate::lab::Progress;

/// What to try.
#[derive(Debug, Clone)]
pub struct Request {
    /// The folder of the organisms.
    pub root: PathBuf,
    /// How detectors are trained, and the rules.
    pub recipe: Recipe,
    /// Families that are tried; all if empty.
    pub families: Vec<String>,
    /// Seeds of organisms that are tried; all if empty.
    pub seeds: Vec<u64>,
    /// Exports that are tried, such as `fp32`; all if empty.
    pub forms: Vec<String>,
    /// Items that the contrast suite is cut to, one trial for each; whole if empty.
    pub items: Vec<usize>,
    /// Trials of everything, each with a seed of its own.
    pub repeats: u64,
    /// Trials at a time.
    pub jobs: usize,
    /// Ledgers of other parts of the same benchmark, whose trials count too.
    pub with: Vec<PathBuf>,
    /// Where results and unfinished work go.
    pub out: PathBuf,
    /// Candor itself.
    pub candor: PathBuf,
    /// Arguments for the runtime that every command gets.
    pub runtime: Vec<String>,
}

/// One trial to be made.
#[derive(Debug, Clone)]
struct Cell<'a> {
    organism: &'a Organism,
    form: &'a str,
    items: Option<usize>,
    seed: u64,
}

impl Cell<'_> {
    /// What it is called: a path whose parts say what is tried.
    fn name(&self) -> String {
        let items = self
            .items
            .map_or_else(|| "all".to_owned(), |items| items.to_string());
        format!(
            "{}/{}/items-{items}/run-{}",
            self.organism.name(),
            self.form,
            self.seed
        )
    }
}

/// What was tried.
#[derive(Debug, Clone)]
pub struct Tried {
    /// Every trial, in the order of their names.
    pub trials: Vec<Trial>,
    /// The days on which they were made, such as `2026-11-26`.
    pub days: BTreeSet<String>,
}

/// Makes every trial that is not made already, and gives all of them, with those of other parts.
///
/// # Errors
/// There is no organism, a file is not the one that its organism names, the recipe or a size does not fit one, another part was made in another
/// way or has a trial that is here too, or results cannot be written. What fails within a trial is a result of it.
pub fn run(request: &Request, progress: &dyn Progress) -> Result<Tried> {
    let organisms = find(&request.root)?;
    preflight::choices(request, &organisms)?;
    let cells = cells(request, &organisms)?;
    preflight::check(request, &cells)?;
    let here: BTreeSet<String> = cells.iter().map(Cell::name).collect();
    let mut lines = other_parts(&request.with, &method(&request.recipe), here)?;
    let ledger = Ledger::open(&request.out.join("trials.jsonl"))?;
    let mut bases: BTreeMap<String, String> = BTreeMap::new();
    let mut open = Vec::new();
    for cell in &cells {
        let model = cell.organism.form(cell.form)?;
        let basis = match bases.entry(cell.organism.name()) {
            Entry::Occupied(there) => there.into_mut(),
            Entry::Vacant(place) => place.insert(basis(request, cell.organism)?),
        };
        match ledger.made(&cell.name(), &model.sha256, basis) {
            Some(line) => lines.push(line.clone()),
            None => open.push((cell, basis.clone())),
        }
    }
    progress.stage("trials", open.len());
    let (next, made) = (
        AtomicUsize::new(0),
        Mutex::new((ledger, Vec::<Line>::new())),
    );
    let work_on = || -> Result<()> {
        while let Some((cell, basis)) = open.get(next.fetch_add(1, Ordering::Relaxed)) {
            interrupt::check()?;
            let trial = make::make(request, cell, basis)?;
            progress.note(&cell.name());
            let mut made = made.lock().map_err(|_| broken())?;
            let line = made.0.add(trial)?;
            made.1.push(line);
            progress.step(1);
        }
        Ok(())
    };
    // Where one worker cannot go on, the others end with what they have in hand.
    let work = || work_on().inspect_err(|_| next.store(open.len(), Ordering::Relaxed));
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..request.jobs.max(1))
            .map(|_| scope.spawn(work))
            .collect();
        workers
            .into_iter()
            .map(|worker| worker.join().map_err(|_| broken())?)
            .collect::<Result<Vec<()>>>()
    })?;
    lines.extend(made.into_inner().map_err(|_| broken())?.1);
    lines.sort_by(|a, b| a.trial.name.cmp(&b.trial.name));
    let days = lines.iter().map(|line| line.made.clone()).collect();
    let trials = lines.into_iter().map(|line| line.trial).collect();
    Ok(Tried { trials, days })
}

fn cells<'a>(request: &'a Request, organisms: &'a [Organism]) -> Result<Vec<Cell<'a>>> {
    let wanted = |organism: &&Organism| {
        (request.families.is_empty() || request.families.contains(&organism.about.family))
            && (request.seeds.is_empty() || request.seeds.contains(&organism.about.seed))
    };
    let items: Vec<Option<usize>> = match request.items.as_slice() {
        [] => vec![None],
        items => items.iter().copied().map(Some).collect(),
    };
    let mut cells = Vec::new();
    for organism in organisms.iter().filter(wanted) {
        let forms = organism.about.forms.keys().map(String::as_str);
        for form in forms.filter(|form| {
            request.forms.is_empty() || request.forms.iter().any(|wanted| wanted == form)
        }) {
            for &items in &items {
                cells.extend((0..request.repeats).map(|seed| Cell {
                    organism,
                    form,
                    items,
                    seed,
                }));
            }
        }
    }
    if cells.is_empty() {
        return Err(Fault::usage(
            format!("choosing organisms in `{}`", request.root.display()),
            "none that fits --family, --seed and --form together",
        )
        .expected("one at least"));
    }
    Ok(cells)
}

fn broken() -> Fault {
    Fault::failed("trying organisms", "a worker that broke off")
}

/// A path that a process is given: relative ones hold from here.
fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path)
        .map_err(|error| Fault::failed(format!("finding `{}`", path.display()), error.to_string()))
}
