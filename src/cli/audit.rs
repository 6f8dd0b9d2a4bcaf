//! `candor audit`

use std::path::PathBuf;

use super::args::{AuditArgs, Cli};
use super::terminal::Bar;
use super::{obtain, outputs};
use crate::audit::{
    self, Again, AuditConfig, Audited, BaselineConfig, ModelConfig, RECORD, SEAL, Start, seal,
};
use crate::detect::Foreign;
use crate::fault::{Fault, Result};
use crate::files::prepare;
use crate::report::{EVIDENCE, Exit, Mode, Output, Source, Surface, verdict_table, write_all};
use crate::rules::Severity;

pub fn run(args: &AuditArgs, cli: &Cli) -> Result<u8> {
    // Outputs first: a wrong path fails in the first second, not after the work.
    prepare(&args.out)?;
    let mut outputs = Output::usual_in(&args.out);
    let asked = outputs::parse(&args.output)?;
    outputs::prepare(&asked)?;
    outputs.extend(asked);
    let taken = [EVIDENCE, RECORD, SEAL].map(|name| args.out.join(name));
    outputs::apart(&outputs, &taken)?;
    let min_severity = super::report::shown(args.min_severity.as_deref())?;
    let key = super::sign::key(args.sign.as_deref(), &args.output)?;
    let audited = match &args.rescore {
        Some(folder) => audit::rescore(folder, &again(args)?, &super::command(), &args.out)?,
        None => audited(args, cli)?,
    };
    let source = Source {
        report: &audited.report,
        evidence: Some(&audited.evidence),
        min_severity,
        key: key.as_ref(),
    };
    write_all(&source, &outputs)?;
    audited.judging.keep(&args.out.join(RECORD))?;
    // What is printed, or appended to a file of somebody else's, is no file of this audit.
    let files = outputs.iter().filter(|o| o.mode == Mode::Replace);
    let written: Vec<PathBuf> = files.map(|output| output.path.clone()).collect();
    seal(&args.out, &audited.evidence, &written, key.as_ref())?;
    let exit = Exit::of_report(&audited.report);
    let page = args.out.join("report.html");
    let table = verdict_table(&source, Some(&page), Surface::stdout());
    outputs::say(&outputs, &table);
    if args.no_exit_codes && exit.code() != 0 {
        outputs::say(
            &outputs,
            "--no-exit-codes: this command ends with 0 all the same.",
        );
        return Ok(0);
    }
    Ok(exit.code())
}

/// Measures and judges.
fn audited(args: &AuditArgs, cli: &Cli) -> Result<Audited> {
    let config = config(args)?;
    let bar = Bar::new(cli.quiet);
    let start = if args.resume {
        Start::Resume
    } else {
        Start::Fresh
    };
    audit::run(
        &config,
        &super::command(),
        &args.out.join(EVIDENCE),
        start,
        || obtain(&cli.runtime),
        &bar,
    )
}

/// By what stored evidence is judged again.
fn again(args: &AuditArgs) -> Result<Again> {
    Ok(Again {
        rules: args.rules.clone(),
        waivers: args.waivers.clone(),
        baseline: baseline(args, None)?,
        fail_on: args.fail_on.as_deref().map(str::parse).transpose()?,
    })
}

fn config(args: &AuditArgs) -> Result<AuditConfig> {
    let mut config = match (&args.audit, &args.model) {
        (Some(path), _) => AuditConfig::open(path)?,
        (None, Some(model)) => AuditConfig {
            title: String::new(),
            seed: 0,
            fail_on: Severity::High,
            models: vec![ModelConfig {
                name: super::name_of(model),
                model: model.clone(),
                tokenizer: args.tokenizer.clone(),
                detectors: args.detectors.clone(),
            }],
            suites: args.suite.clone(),
            rules: args.rules.clone(),
            foreign: Foreign::Refused,
            waivers: Vec::new(),
            baseline: None,
        },
        (None, None) => {
            return Err(Fault::usage("reading the arguments", "no model")
                .expected("an AUDIT.yaml, or --model"));
        }
    };
    if args.allow_foreign_detector {
        config.foreign = Foreign::Allowed;
    }
    if let Some(seed) = args.seed {
        config.seed = seed;
    }
    if let Some(severity) = &args.fail_on {
        config.fail_on = severity.parse()?;
    }
    for name in &args.only {
        if !config.models.iter().any(|model| model.name == *name) {
            let names: Vec<&str> = config
                .models
                .iter()
                .map(|model| model.name.as_str())
                .collect();
            return Err(Fault::usage("choosing models", format!("--only {name}"))
                .expected(format!("one of {}", names.join(", "))));
        }
    }
    if !args.only.is_empty() {
        config
            .models
            .retain(|model| args.only.contains(&model.name));
        if let Some(baseline) = &mut config.baseline {
            let pairs = &mut baseline.terms.pairs;
            pairs.retain(|(model, _)| args.only.contains(model));
        }
    }
    config.waivers.extend(args.waivers.iter().cloned());
    config.baseline = baseline(args, config.baseline)?;
    Ok(config)
}

/// The comparison that an AUDIT.yaml asks for, as the arguments change it.
fn baseline(args: &AuditArgs, file: Option<BaselineConfig>) -> Result<Option<BaselineConfig>> {
    let doing = "reading the arguments of the baseline";
    let mut baseline = match (file, &args.baseline) {
        (Some(file), Some(report)) => BaselineConfig {
            report: report.clone(),
            ..file
        },
        (Some(file), None) => file,
        (None, Some(report)) => BaselineConfig::with(report.clone()),
        (None, None) if args.margin.is_some() || !args.baseline_model.is_empty() => {
            return Err(Fault::usage(doing, "no baseline")
                .expected("--baseline REPORT.json beside --margin and --baseline-model"));
        }
        (None, None) => return Ok(None),
    };
    if let Some(margin) = args.margin {
        baseline.terms.margin = margin;
    }
    for text in &args.baseline_model {
        let pair = text
            .split_once('=')
            .filter(|(model, approved)| !model.is_empty() && !approved.is_empty());
        let (model, approved) = pair.ok_or_else(|| {
            Fault::usage(doing, format!("--baseline-model {text}")).expected("MODEL=APPROVED")
        })?;
        let pairs = &mut baseline.terms.pairs;
        pairs.retain(|(known, _)| known != model);
        pairs.push((model.to_owned(), approved.to_owned()));
    }
    Ok(Some(baseline))
}
