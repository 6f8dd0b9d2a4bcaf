//! Evidence on disk, written as it is made: a folder of Parquet parts that is only ever added to, chained by digests.
//!
//! `plan.json` says what was to be measured and with what; `chain.jsonl` has a line for each part. A part is whole before it is chained, and
//! what is chained is never made again, so that an audit that was killed goes on where it stopped.

mod ablations;
mod answers;
mod chain;
mod load;
mod lock;
mod patches;
mod responses;
mod scores;
mod shelf;
mod table;

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

pub use answers::Answers;
pub use chain::{Chain, Link};
pub use shelf::{MapPart, Shelf};

use self::lock::Lock;
use self::table::Table;
use crate::digest::sha256_of;
use crate::fault::{Fault, Result};
use crate::files::{Staged, write_whole};

/// The file that says what was to be measured.
pub const PLAN: &str = "plan.json";
/// The file that chains the parts.
pub const CHAIN: &str = "chain.jsonl";
const LOCK: &str = "lock";

/// A folder of evidence.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    plan: Vec<u8>,
    chain: Chain,
    names: HashSet<String>,
    /// Length of the chain's file.
    written: u64,
    /// Held while parts are added.
    _lock: Option<Lock>,
}

impl Archive {
    /// Begins a folder of evidence.
    ///
    /// # Errors
    /// The folder holds evidence already, another audit is writing there, or it cannot be written.
    pub fn begin(folder: &Path, plan: &[u8]) -> Result<Self> {
        let doing = format!("beginning the evidence in `{}`", folder.display());
        fs::create_dir_all(folder).map_err(|error| unwritable(&doing, &error))?;
        let lock = Lock::take(&folder.join(LOCK), &doing)?;
        if folder.join(PLAN).exists() || folder.join(CHAIN).exists() {
            return Err(
                Fault::usage(doing, "the evidence of another audit")
                    .expected("a folder without evidence")
                    .hint("`--resume` goes on with that audit if it is the same one; otherwise name another `--out`, or remove the folder"),
            );
        }
        write_whole(&folder.join(PLAN), plan)?;
        write_whole(&folder.join(CHAIN), b"")?;
        Ok(Self {
            folder: folder.to_owned(),
            plan: plan.to_vec(),
            chain: Chain::new(sha256_of(plan)),
            names: HashSet::new(),
            written: 0,
            _lock: Some(lock),
        })
    }

    /// Goes on with evidence that was begun with the same plan; begins where there is none. A line that an interruption
    /// has torn is dropped, and so are files that no line names.
    ///
    /// # Errors
    /// The evidence was made by another plan or was changed, another audit is writing there, or it cannot be read or written.
    pub fn resume(folder: &Path, plan: &[u8]) -> Result<Self> {
        let doing = format!("going on with the evidence in `{}`", folder.display());
        if !folder.join(PLAN).exists() {
            return Self::begin(folder, plan);
        }
        let lock = Lock::take(&folder.join(LOCK), &doing)?;
        let there = read(&folder.join(PLAN), &doing)?;
        if there != plan {
            return Err(Fault::usage(doing, differing(&there, plan))
                .expected("the same models, suites, detectors, interventions, seed, runtime and Candor as when it was begun")
                .hint("undo that change, or audit into another folder"));
        }
        let text = match fs::read_to_string(folder.join(CHAIN)) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Fault::usage(doing, error.to_string())),
        };
        let whole = text.rfind('\n').map_or("", |end| &text[..=end]);
        let mut archive = Self {
            _lock: Some(lock),
            ..Self::of(folder, there, whole, &doing)?
        };
        if whole.len() < text.len() {
            write_whole(&folder.join(CHAIN), whole.as_bytes())?;
        }
        archive.written = whole.len() as u64;
        for link in archive.chain.links() {
            archive.read(&link.file)?;
        }
        archive.drop_unchained(folder)?;
        Ok(archive)
    }

    /// Opens evidence to read it. Whether files are what the chain says is checked when they are read.
    ///
    /// # Errors
    /// It is not there, or its chain is broken.
    pub fn open(folder: &Path) -> Result<Self> {
        let doing = format!("opening the evidence in `{}`", folder.display());
        let plan = read(&folder.join(PLAN), &doing)?;
        let chain = read(&folder.join(CHAIN), &doing)?;
        let text = String::from_utf8(chain)
            .map_err(|error| changed(&folder.join(CHAIN), &error.to_string()))?;
        if !text.is_empty() && !text.ends_with('\n') {
            return Err(changed(&folder.join(CHAIN), "its last line is torn"));
        }
        Self::of(folder, plan, &text, &doing)
    }

    fn of(folder: &Path, plan: Vec<u8>, lines: &str, doing: &str) -> Result<Self> {
        let mut chain = Chain::new(sha256_of(&plan));
        for (number, line) in lines.lines().enumerate() {
            chain.accept(line).map_err(|found| {
                let doing = format!("{doing}: line {} of `{CHAIN}`", number + 1);
                Fault::usage(doing, found)
                    .expected("the chain that the audit wrote")
                    .hint("the evidence was changed after it was written: audit again")
            })?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            plan,
            names: chain.links().iter().map(|link| link.file.clone()).collect(),
            chain,
            written: lines.len() as u64,
            _lock: None,
        })
    }

    /// The same evidence in another folder, every part checked on its way.
    ///
    /// # Errors
    /// A part was changed, or the other folder holds evidence or cannot be written.
    pub fn copy_to(&self, folder: &Path) -> Result<Self> {
        let mut copy = Self::begin(folder, &self.plan)?;
        for link in self.chain.links() {
            copy.put(&[(link.file.clone(), self.read(&link.file)?)])?;
        }
        Ok(copy)
    }

    /// What to say of a failure in the middle of the work: with parts there is something to go on with, without any what was begun is removed,
    /// and the folder with it if nothing else is in it.
    #[must_use]
    pub fn given_up(self, fault: Fault) -> Fault {
        if self.chain.links().is_empty() {
            for file in [PLAN, CHAIN, LOCK] {
                let _gone = fs::remove_file(self.folder.join(file));
            }
            let _gone = fs::remove_dir(&self.folder);
            return fault;
        }
        let kept = "what was measured is kept: `--resume` goes on with it";
        let hint = match fault.hint.as_str() {
            "" => kept.to_owned(),
            hint if hint.contains("--resume") => hint.to_owned(),
            hint => format!("{hint}; {kept}"),
        };
        Fault { hint, ..fault }
    }

    /// The plan's bytes.
    #[must_use]
    pub fn plan(&self) -> &[u8] {
        &self.plan
    }

    /// The chain of its parts.
    #[must_use]
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The parts of one model, counted from 1 in the order of the audit.
    pub fn shelf(&mut self, number: usize, model: &str) -> Shelf<'_> {
        Shelf::new(self, number, model)
    }

    fn holds(&self, file: &str) -> bool {
        self.names.contains(file)
    }

    /// Writes files and then chains them. What is chained already is left alone.
    fn put(&mut self, files: &[(String, Vec<u8>)]) -> Result<()> {
        let doing = format!("adding evidence to `{}`", self.folder.display());
        let there = fs::metadata(self.folder.join(CHAIN)).map(|about| about.len());
        if there.as_ref().ok() != Some(&self.written) {
            let found = match there {
                Ok(length) => format!("a `{CHAIN}` of {length} bytes instead of {}", self.written),
                Err(error) => format!("`{CHAIN}`: {error}"),
            };
            return Err(Fault::failed(doing, found)
                .expected("the folder as this audit left it")
                .hint("the folder was removed or changed while the audit ran; nothing was added to it"));
        }
        let files: Vec<_> = files.iter().filter(|(file, _)| !self.holds(file)).collect();
        for (file, bytes) in &files {
            Staged::bytes(&self.folder.join(file), bytes)?.put_in_place()?;
        }
        let mut lines = String::new();
        let mut chain = self.chain.clone();
        for (file, bytes) in &files {
            let line = chain.add(file, bytes);
            lines += &line.map_err(|error| Fault::failed(&doing, error.to_string()))?;
        }
        let add = || -> std::io::Result<()> {
            let mut out = fs::OpenOptions::new()
                .append(true)
                .open(self.folder.join(CHAIN))?;
            out.write_all(lines.as_bytes())?;
            out.sync_data()
        };
        add().map_err(|error| unwritable(&doing, &error))?;
        self.written += lines.len() as u64;
        self.names
            .extend(files.iter().map(|(file, _)| file.clone()));
        self.chain = chain;
        Ok(())
    }

    /// What a model said. `number` counts the audit's models from 1.
    #[must_use]
    pub fn answers(&self, number: usize) -> Answers<'_> {
        Answers::new(self, format!("model-{number}"))
    }

    /// The kinds of tables that there are, each with its parts.
    #[must_use]
    pub fn tables(&self) -> Vec<(&str, Vec<&str>)> {
        let mut kinds: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for link in self.chain.links() {
            let name = link.file.rsplit('/').next().unwrap_or_default();
            if let (Some((kind, _)), true) = (name.split_once('-'), name.ends_with(".parquet")) {
                kinds.entry(kind).or_default().push(&link.file);
            }
        }
        kinds.into_iter().collect()
    }

    /// Writes parts of one kind as one table.
    ///
    /// # Errors
    /// A part was changed, or the file cannot be written.
    pub fn join(&self, parts: &[&str], out: &mut fs::File) -> Result<()> {
        table::join(&mut parts.iter().map(|part| self.read(part)), out)
    }

    /// The bytes of a part, if they are what the chain says.
    ///
    /// # Errors
    /// The part cannot be read or was changed.
    pub fn read(&self, file: &str) -> Result<Vec<u8>> {
        let path = self.folder.join(file);
        let bytes = read(&path, &format!("reading the evidence `{}`", path.display()))?;
        let mut links = self.chain.links().iter();
        let said = links.find(|link| link.file == file);
        let digest = sha256_of(&bytes);
        match said {
            Some(link) if link.sha256 == digest => Ok(bytes),
            Some(link) => Err(changed(
                &path,
                &format!("SHA-256 {digest}, where `{CHAIN}` says {}", link.sha256),
            )),
            None => Err(changed(
                &path,
                &format!("a file that `{CHAIN}` does not name"),
            )),
        }
    }

    /// Removes what an interruption has left between writing a part and chaining it.
    fn drop_unchained(&self, folder: &Path) -> Result<()> {
        let doing = "removing what an interrupted audit has left";
        let entries = fs::read_dir(folder).map_err(|error| unwritable(doing, &error))?;
        for entry in entries {
            let path = entry.map_err(|error| unwritable(doing, &error))?.path();
            if path.is_dir() {
                self.drop_unchained(&path)?;
                continue;
            }
            let file = path.strip_prefix(&self.folder).unwrap_or(&path);
            let file = file.to_string_lossy().replace('\\', "/");
            // Files of somebody else's beside the models' folders are let be.
            let ours = file.starts_with("model-") || file.starts_with(".candor-");
            if ours && !self.holds(&file) {
                fs::remove_file(&path).map_err(|error| unwritable(doing, &error))?;
            }
        }
        Ok(())
    }
}

/// What every table says in each row: the model, and the digest of the plan.
#[derive(Debug, Clone)]
struct Stamp {
    model: String,
    plan: String,
}

impl Stamp {
    fn table(&self, rows: usize) -> Table {
        Table::new(rows)
            .text("model", std::iter::repeat_n(self.model.as_str(), rows))
            .text("plan", std::iter::repeat_n(self.plan.as_str(), rows))
    }
}

fn read(path: &Path, doing: &str) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| {
        Fault::usage(doing, format!("`{}`: {error}", path.display()))
            .expected("the folder that `candor audit --out` wrote")
    })
}

fn changed(path: &Path, found: &str) -> Fault {
    Fault::usage(format!("reading the evidence `{}`", path.display()), found)
        .expected("the bytes that the audit wrote")
        .hint("the file was changed after it was written: audit again")
}

fn unwritable(doing: &str, error: &std::io::Error) -> Fault {
    Fault::failed(doing, error.to_string())
        .expected("a folder that can be written and has room")
        .hint("what is there stays as it was; free space and go on with `--resume`")
}

/// The first place at which two plans differ, for a person.
fn differing(there: &[u8], plan: &[u8]) -> String {
    let [there, plan] = [there, plan].map(String::from_utf8_lossy);
    let pair = there.lines().zip(plan.lines()).find(|(a, b)| a != b);
    match pair {
        Some((there, now)) => format!(
            "evidence of another audit: it was begun with `{}`, and this one has `{}`",
            there.trim(),
            now.trim()
        ),
        None => "evidence of another audit".to_owned(),
    }
}
