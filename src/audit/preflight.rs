//! Opens everything that an audit names and checks that it fits together, before any work.

use super::config::{AuditConfig, ModelConfig};
use super::judging::Judging;
use crate::causal::equal_length;
use crate::detect::{Detector, Foreign};
use crate::fault::{Fault, Result};
use crate::lab::{Subject, detector_folders};
use crate::tokens::{Purpose, StoredItems, Suite};

/// What is needed to audit, opened and checked.
pub struct Prepared {
    /// The suites, in the order they were named.
    pub suites: Vec<Suite<StoredItems>>,
    /// Rules, waivers and the approved report.
    pub judging: Judging,
    /// One bench for each model.
    pub benches: Vec<Bench>,
}

impl Prepared {
    /// Lets go of models, detectors and suites.
    pub fn into_judging(self) -> Judging {
        self.judging
    }
}

/// One model with its detectors.
pub struct Bench {
    /// The model under audit.
    pub subject: Subject,
    /// Its detectors.
    pub detectors: Vec<Detector>,
    /// What was let pass in admitting them.
    pub caveats: Vec<String>,
}

/// Opens and checks models, tokenizers, suites, detectors, rules, waivers and the baseline.
///
/// # Errors
/// Anything is missing, malformed or does not fit.
pub fn open(config: &AuditConfig) -> Result<Prepared> {
    let _span = tracing::info_span!("preflight").entered();
    let suites = suites(config)?;
    let judging = judging(config, &suites)?;
    Ok(Prepared {
        benches: benches(config, &suites)?,
        suites,
        judging,
    })
}

/// Opens and checks suites.
///
/// # Errors
/// One is missing or malformed, or is for calibration, or two have one id.
pub fn suites(config: &AuditConfig) -> Result<Vec<Suite<StoredItems>>> {
    let suites = config.suites.iter().map(|path| Suite::open_on_disk(path));
    let suites = suites.collect::<Result<Vec<_>>>()?;
    check_suites(&suites)?;
    Ok(suites)
}

/// Opens and checks models with their tokenizers and detectors.
///
/// # Errors
/// A file is missing or malformed, or does not fit the others.
pub fn benches(config: &AuditConfig, suites: &[Suite<StoredItems>]) -> Result<Vec<Bench>> {
    let models = config.models.iter();
    models
        .map(|model| bench(model, suites, config.foreign))
        .collect()
}

fn judging(config: &AuditConfig, suites: &[Suite<StoredItems>]) -> Result<Judging> {
    let models: Vec<&str> = config.models.iter().map(|m| m.name.as_str()).collect();
    let suites: Vec<&str> = suites.iter().map(|suite| suite.id.as_str()).collect();
    let judging = Judging::open(config)?;
    judging.fits(&models, &suites)?;
    Ok(judging)
}

fn check_suites(suites: &[Suite<StoredItems>]) -> Result<()> {
    for (index, suite) in suites.iter().enumerate() {
        let doing = || format!("reading the suite `{}`", suite.path.display());
        if suite.purpose == Purpose::Calibration {
            return Err(Fault::usage(doing(), "purpose `calibration`")
                .expected("suites of purpose `contrast` or `control`")
                .hint("detectors were trained on calibration items: auditing on them would flatter the detectors"));
        }
        if suites[..index].iter().any(|other| other.id == suite.id) {
            return Err(
                Fault::usage(doing(), format!("two suites with the id `{}`", suite.id))
                    .expected("an id for each suite"),
            );
        }
    }
    Ok(())
}

fn bench(config: &ModelConfig, suites: &[Suite<StoredItems>], foreign: Foreign) -> Result<Bench> {
    let subject = Subject::open(&config.name, &config.model, config.tokenizer.as_deref())?;
    for suite in suites {
        check_items(&subject, suite)?;
    }
    let mut detectors: Vec<Detector> = Vec::new();
    let mut caveats = Vec::new();
    for folder in detector_folders(&config.detectors)? {
        let detector = Detector::open(&folder)?;
        caveats.extend(detector.admit(&subject.arch, subject.sha256(), foreign)?);
        let id = &detector.card.id;
        if detectors.iter().any(|other| other.card.id == *id) {
            return Err(Fault::usage(
                format!("opening the detector `{}`", folder.display()),
                format!("a second detector with the id `{id}`"),
            )
            .expected("an id for each detector"));
        }
        detectors.push(detector);
    }
    Ok(Bench {
        subject,
        detectors,
        caveats,
    })
}

/// Every prompt must be readable, every pair of equal length, and what contrast items are answered has to be the model's own words: an answer
/// that the suite states would be judged as behaviour of a model that was never asked.
fn check_items(subject: &Subject, suite: &Suite<StoredItems>) -> Result<()> {
    for (place, item) in suite.items.iter().enumerate() {
        let item = item?;
        if suite.purpose == Purpose::Contrast && item.response.is_some() {
            return Err(Fault::usage(
                format!("reading the suite `{}`", suite.path.display()),
                format!("a `response` in the item `{}`", item.id),
            )
            .expected("contrast items without one: the model's own responses are judged")
            .hint("drop the key; for statements to read use a suite of purpose `calibration` and `candor detectors`"));
        }
        let encoded = subject.tokenizer.encode(&item.prompt)?;
        if let Some(pair) = suite.items.pair_of(place) {
            let pair = suite.items.get(pair)?;
            let counterpart = subject.tokenizer.encode(&pair.prompt)?;
            equal_length((&pair.id, &counterpart), (&item.id, &encoded)).map_err(|fault| {
                Fault {
                    doing: format!("{}, in the suite `{}`", fault.doing, suite.path.display()),
                    ..fault
                }
            })?;
        }
    }
    Ok(())
}
