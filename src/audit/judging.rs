//! What decides what evidence means: rules, waivers, the approved report, the severity that gates. Kept with the report, so that its verdicts can be
//! reached again from it alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::conclude::conclude;
use super::config::{AuditConfig, BaselineConfig};
use super::plan::Plan;
use super::record::{self, digest};
use super::rescore::Again;
use crate::archive::Archive;
use crate::digest::sha256_of;
use crate::evidence::Unmeasured;
use crate::fault::{Fault, Result};
use crate::files::write_whole;
use crate::report::{Approved, AuditReport, FileDigest, Terms, WaiverRecord};
use crate::rules::{RulePack, Severity, Waivers};

const SCHEMA: &str = "candor/judging/v1";
const INDEX: &str = "judging.json";

/// Rules and what people have said before the audit, opened and checked.
pub struct Judging {
    /// Every rule.
    pub rules: RulePack,
    rule_files: Vec<FileDigest>,
    waivers: Waivers,
    waiver_files: Vec<FileDigest>,
    approved: Option<(Approved, Terms)>,
    fail_on: Severity,
    /// Where the copies of files lie, by the paths that reports name.
    kept: BTreeMap<String, PathBuf>,
}

/// When an audit ran, and by which command.
#[derive(Debug, Clone, Copy)]
pub struct Times<'a> {
    /// When it began (RFC 3339).
    pub started: &'a str,
    /// When it ended.
    pub finished: &'a str,
    /// The command line that makes the report again.
    pub command: &'a str,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    schema: String,
    fail_on: String,
    rules: Vec<Kept>,
    waivers: Vec<Kept>,
    baseline: Option<KeptBaseline>,
}

/// A copy and the path of what it was copied from.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    file: String,
    path: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptBaseline {
    file: String,
    path: String,
    margin: f64,
    pairs: Vec<(String, String)>,
}

impl Judging {
    /// Opens what an audit names.
    ///
    /// # Errors
    /// A file is missing or malformed.
    pub fn open(config: &AuditConfig) -> Result<Self> {
        let baseline = config.baseline.as_ref();
        Self::read(&config.rules, &config.waivers, baseline, config.fail_on)
    }

    /// Whether an audit of these models and suites can be held against the approved report.
    ///
    /// # Errors
    /// The reports share no model or no suite.
    pub fn fits(&self, models: &[&str], suites: &[&str]) -> Result<()> {
        match &self.approved {
            Some((approved, terms)) => approved.check(models, suites, terms),
            None => Ok(()),
        }
    }

    fn read(
        rules: &[PathBuf],
        waivers: &[PathBuf],
        baseline: Option<&BaselineConfig>,
        fail_on: Severity,
    ) -> Result<Self> {
        let mut judging = Self {
            rules: RulePack::default(),
            rule_files: Vec::new(),
            waivers: Waivers::default(),
            waiver_files: Vec::new(),
            approved: None,
            fail_on,
            kept: BTreeMap::new(),
        };
        judging.set_rules(rules)?;
        judging.set_waivers(waivers)?;
        if let Some(baseline) = baseline {
            judging.set_baseline(baseline)?;
        }
        Ok(judging)
    }

    fn set_rules(&mut self, paths: &[PathBuf]) -> Result<()> {
        self.rules = RulePack::open(paths)?;
        let files = self.rules.files.iter().map(|file| digest(&file.path));
        self.rule_files = files.collect::<Result<_>>()?;
        Ok(())
    }

    fn set_waivers(&mut self, paths: &[PathBuf]) -> Result<()> {
        self.waivers = Waivers::open(paths)?;
        let files = self.waivers.files.iter().map(|file| digest(file));
        self.waiver_files = files.collect::<Result<_>>()?;
        Ok(())
    }

    fn set_baseline(&mut self, baseline: &BaselineConfig) -> Result<()> {
        let approved = Approved::open(&baseline.report)?;
        self.approved = Some((approved, baseline.terms.clone()));
        Ok(())
    }

    /// The same, but for what is given.
    ///
    /// # Errors
    /// A file is missing or malformed.
    pub fn by(mut self, again: &Again) -> Result<Self> {
        if !again.rules.is_empty() {
            self.set_rules(&again.rules)?;
        }
        if !again.waivers.is_empty() {
            self.set_waivers(&again.waivers)?;
        }
        if let Some(baseline) = &again.baseline {
            self.set_baseline(baseline)?;
        }
        self.fail_on = again.fail_on.unwrap_or(self.fail_on);
        Ok(self)
    }

    /// The report that evidence gives.
    ///
    /// # Errors
    /// A part of the evidence cannot be read or was changed, or an interval cannot be computed.
    pub fn report(&self, evidence: &Archive, plan: &Plan, times: Times<'_>) -> Result<AuditReport> {
        let mut models = conclude(evidence, plan, &self.rules)?;
        let lacking = plan.lacks(&self.rules);
        for model in &mut models {
            model.unmeasured.extend(lacking.iter().map(|demand| {
                Unmeasured {
                what: demand.clone(),
                why: "a rule demands it, and the audit that made this evidence was not asked for it"
                    .to_owned(),
            }
            }));
        }
        let mut report = record::report(plan, &self.rules, models, self.fail_on, times);
        report.rule_files.clone_from(&self.rule_files);
        let waivers = self.waivers.waivers.iter();
        report.waivers = waivers.map(WaiverRecord::from).collect();
        report.waiver_files.clone_from(&self.waiver_files);
        report.apply_waivers();
        if let Some((approved, terms)) = &self.approved {
            report.compare(approved, terms)?;
        }
        Ok(report)
    }

    /// Copies every file that it was read from into a folder, for [`Judging::kept`].
    ///
    /// # Errors
    /// A file was changed since, or the folder cannot be written.
    pub fn keep(&self, folder: &Path) -> Result<()> {
        // Copies of an earlier judgement only: another folder of that name is not ours to remove.
        if folder.join(INDEX).exists() {
            fs::remove_dir_all(folder).map_err(|error| {
                Fault::failed(
                    format!("replacing `{}`", folder.display()),
                    error.to_string(),
                )
            })?;
        }
        let keep = |kind: &str, files: &[FileDigest]| -> Result<Vec<Kept>> {
            let copies = files.iter().zip(1..).map(|(original, number)| {
                let path = Path::new(&original.path);
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                let file = format!("{kind}/{number:03}-{name}");
                self.copy(&original.path, &original.sha256, &folder.join(&file))?;
                Ok(Kept {
                    file,
                    path: original.path.clone(),
                })
            });
            copies.collect()
        };
        let baseline = match &self.approved {
            None => None,
            Some((approved, terms)) => {
                let file = "baseline.json".to_owned();
                self.copy(&approved.path, &approved.sha256, &folder.join(&file))?;
                Some(KeptBaseline {
                    file,
                    path: approved.path.clone(),
                    margin: terms.margin,
                    pairs: terms.pairs.clone(),
                })
            }
        };
        let index = Index {
            schema: SCHEMA.to_owned(),
            fail_on: self.fail_on.name().to_owned(),
            rules: keep("rules", &self.rule_files)?,
            waivers: keep("waivers", &self.waiver_files)?,
            baseline,
        };
        let text = serde_json::to_string_pretty(&index).map_err(|error| {
            Fault::failed("writing what judged the evidence", error.to_string())
        })?;
        write_whole(&folder.join(INDEX), (text + "\n").as_bytes())
    }

    fn copy(&self, path: &str, sha256: &str, to: &Path) -> Result<()> {
        let from = self
            .kept
            .get(path)
            .map_or(Path::new(path), PathBuf::as_path);
        let doing = || format!("keeping a copy of `{path}`");
        let bytes = fs::read(from).map_err(|error| Fault::failed(doing(), error.to_string()))?;
        if sha256_of(&bytes) != sha256 {
            return Err(
                Fault::failed(doing(), "other bytes than at the start of the audit")
                    .expected("files that stay as they are while an audit runs")
                    .hint("audit again"),
            );
        }
        write_whole(to, &bytes)
    }

    /// Opens the copies that [`Judging::keep`] made; the files are called what they were called then.
    ///
    /// # Errors
    /// A copy is missing or was changed so that it cannot be read.
    pub fn kept(folder: &Path) -> Result<Self> {
        let place = folder.join(INDEX);
        let doing = format!("reading what judged the evidence, `{}`", place.display());
        let wrong = |found: String| {
            Fault::usage(&doing, found).expected("the folder that `candor audit --out` wrote")
        };
        let text = fs::read_to_string(&place).map_err(|error| wrong(error.to_string()))?;
        let index: Index = serde_json::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        if index.schema != SCHEMA {
            return Err(wrong(format!("the schema `{}`", index.schema)));
        }
        let within = |file: &str| {
            let inside = Path::new(file)
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            if inside {
                Ok(folder.join(file))
            } else {
                Err(wrong(format!(
                    "the path `{file}`, which leads out of the folder"
                )))
            }
        };
        let copies = |kept: &[Kept]| -> Result<Vec<PathBuf>> {
            kept.iter().map(|one| within(&one.file)).collect()
        };
        let (rules, waivers) = (copies(&index.rules)?, copies(&index.waivers)?);
        let baseline = match &index.baseline {
            None => None,
            Some(kept) => Some(BaselineConfig {
                report: within(&kept.file)?,
                terms: Terms {
                    margin: kept.margin,
                    pairs: kept.pairs.clone(),
                },
            }),
        };
        let fail_on = index.fail_on.parse()?;
        let mut judging = Self::read(&rules, &waivers, baseline.as_ref(), fail_on)?;
        let named = |copies: &[PathBuf], kept: &[Kept]| -> BTreeMap<PathBuf, String> {
            let kept = kept.iter().map(|one| one.path.clone());
            copies.iter().cloned().zip(kept).collect()
        };
        judging.call(
            &named(&rules, &index.rules),
            &named(&waivers, &index.waivers),
        );
        if let (Some((approved, _)), Some(kept)) = (&mut judging.approved, &index.baseline) {
            judging
                .kept
                .insert(kept.path.clone(), PathBuf::from(&approved.path));
            approved.path.clone_from(&kept.path);
        }
        Ok(judging)
    }

    /// Gives files the names that they had where they were copied from.
    fn call(&mut self, rules: &BTreeMap<PathBuf, String>, waivers: &BTreeMap<PathBuf, String>) {
        for (copy, path) in rules.iter().chain(waivers) {
            self.kept.insert(path.clone(), copy.clone());
        }
        for rule in &mut self.rules.rules {
            rename(&mut rule.file, rules);
        }
        for file in &mut self.rules.files {
            rename(&mut file.path, rules);
        }
        for certificate in &mut self.rules.certificates {
            rename(&mut certificate.file, rules);
        }
        for waiver in &mut self.waivers.waivers {
            rename(&mut waiver.file, waivers);
        }
        for file in &mut self.waivers.files {
            rename(file, waivers);
        }
        let files = self.rule_files.iter_mut().map(|file| (file, rules));
        for (file, names) in files.chain(self.waiver_files.iter_mut().map(|file| (file, waivers))) {
            if let Some(name) = names.get(Path::new(&file.path)) {
                file.path.clone_from(name);
            }
        }
    }
}

fn rename(path: &mut PathBuf, names: &BTreeMap<PathBuf, String>) {
    if let Some(name) = names.get(path.as_path()) {
        *path = PathBuf::from(name);
    }
}
