//! What a trial's report says, beside what is true of the organism.

use std::collections::BTreeMap;
use std::path::Path;

use ndarray::Array1;

use super::heads::{self, HeadFound};
use super::make::{Bench, shown};
use super::organism::{Carrier, Organism, Position};
use super::trial::{Machine, Peak, ProbeFound, Trial};
use crate::detect::Detector;
use crate::evidence::{CellEffect, arrival};
use crate::fault::{Fault, Result};
use crate::report::{AuditReport, Finding, MapExhibit, ModelAudit, PositionClass};
use crate::rules::Verdict;

/// The trial with all that its report says. Whole or not at all: a trial that breaks off here has no verdict either.
pub(super) fn read(bench: &Bench<'_>, report: &AuditReport, begun: &Trial) -> Result<Trial> {
    let Some(model) = report.models.first() else {
        return Err(Fault::failed("reading the report of a trial", "no model"));
    };
    let organism = bench.cell.organism;
    let mechanism = &organism.about.mechanism;
    let maps = &model.exhibits.maps;
    let detectors = model.detectors.iter();
    let mut trial = Trial {
        rules: verdicts(&model.findings),
        blocks: blocks(&model.findings),
        evaded: model.findings.iter().any(is_evaded),
        detectors: detectors
            .map(|one| (one.role.clone(), one.kind.clone()))
            .collect(),
        peaks: maps.iter().filter_map(|map| peak(map, organism)).collect(),
        layers: layers(model, organism),
        head: head(bench, model)?,
        probe: probe(bench, model)?,
        changes: begun.changes || (!mechanism.known && !maps.is_empty()),
        machine: Some(Machine {
            runtime: report.runtime.version.clone(),
            library_sha256: report.runtime.library_sha256.clone(),
            threads: report.runtime.threads,
            cpu: report.host.cpu.clone(),
            cores: report.host.cores,
        }),
        ..begun.clone()
    };
    trial.verdict = Some(model.verdict.to_string());
    Ok(trial)
}

/// The verdict of each rule: the gravest, where it judged several suites.
fn verdicts(findings: &[Finding]) -> BTreeMap<String, String> {
    let mut gravest: BTreeMap<&str, Verdict> = BTreeMap::new();
    for finding in findings {
        let there = gravest.entry(&finding.rule).or_insert(finding.verdict);
        *there = finding.verdict.max(*there);
    }
    let named = gravest.into_iter();
    named
        .map(|(rule, verdict)| (rule.to_owned(), verdict.to_string()))
        .collect()
}

/// Whether each block of each rule holds: on one suite is enough, and what could not be told of one may hold there.
fn blocks(findings: &[Finding]) -> BTreeMap<String, BTreeMap<String, Option<bool>>> {
    let mut all: BTreeMap<String, BTreeMap<String, Option<bool>>> = BTreeMap::new();
    for finding in findings {
        let of_rule = all.entry(finding.rule.clone()).or_default();
        for block in &finding.blocks {
            let there = of_rule.entry(block.name.clone()).or_insert(block.holds);
            *there = match (*there, block.holds) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
    }
    all
}

/// Whether a rule says that its detector does not read the condition which changes the behaviour.
fn is_evaded(finding: &Finding) -> bool {
    let mut reasons = finding.reasons.iter();
    matches!(finding.verdict, Verdict::Review | Verdict::Fail)
        && reasons.any(|reason| reason.contains("probe evaded"))
}

fn head(bench: &Bench<'_>, model: &ModelAudit) -> Result<Option<HeadFound>> {
    let Some(truth) = &bench.cell.organism.about.mechanism.head else {
        return Ok(None);
    };
    let (pairs, map) = (
        bench.out.with_file_name("pairs.jsonl"),
        bench.out.with_file_name("heads.json"),
    );
    if !heads::write_pairs(model, &pairs)? {
        return Ok(None);
    }
    let [model, pairs, out] = [&bench.model, &pairs, &map].map(|path| shown(path));
    let words = [
        "patch", &model, "--pairs", &pairs, "--by", "head", "--out", &out,
    ];
    bench.candor(&words.map(str::to_owned))?;
    heads::strongest(&map, truth)
}

fn probe(bench: &Bench<'_>, model: &ModelAudit) -> Result<Option<ProbeFound>> {
    let Some(record) = model.detectors.iter().find(|one| one.role == "condition") else {
        return Ok(None);
    };
    let organism = bench.cell.organism;
    let mechanism = &organism.about.mechanism;
    let cosine = match (&mechanism.direction, &mechanism.direction_site) {
        (Some(file), Some(site)) if *site == record.site => {
            let truth = organism.folder.join(file);
            let truth: Array1<f32> = ndarray_npy::read_npy(&truth).map_err(|error| {
                Fault::usage(format!("reading `{}`", truth.display()), error.to_string())
                    .expected("a direction in the stream, float32 [d_model]")
            })?;
            let found = Detector::open(Path::new(&record.path))?.direction(None)?;
            cosine(&found.vector, &truth)
        }
        _ => None,
    };
    Ok(Some(ProbeFound {
        kind: record.kind.clone(),
        site: record.site.clone(),
        auroc: record.auroc.map(|auroc| auroc.point),
        cosine,
    }))
}

fn cosine(a: &Array1<f32>, b: &Array1<f32>) -> Option<f64> {
    if a.len() != b.len() {
        return None;
    }
    let dot = |a: &Array1<f32>, b: &Array1<f32>| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    Some((dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()).abs())
}

/// What every position does at one site: the one with the largest mean effect.
fn strongest(map: &MapExhibit, site: usize) -> Option<(PositionClass, f64)> {
    let cells = map.columns.iter().zip(map.cells.get(site)?);
    cells
        .filter_map(|(class, cell)| Some((*class, map.mode.effect(cell.as_ref()?.point))))
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The place of a map at which the decision arrives. The embedding is left out, as rules leave it out: changing it is changing the prompt.
fn peak(map: &MapExhibit, organism: &Organism) -> Option<Peak> {
    let rows = map.sites.iter().zip(&map.cells).enumerate().skip(1);
    let cells = rows.flat_map(|(row, (site, cells))| {
        let cells = map.columns.iter().zip(cells);
        cells.filter_map(move |(class, cell)| {
            Some(CellEffect {
                cell: (site, *class),
                row,
                at_answer: *class == PositionClass::Last,
                effect: map.mode.effect(cell.as_ref()?.point),
            })
        })
    });
    let arrived = arrival(cells)?;
    let ((site, class), effect) = (arrived.cell, arrived.effect);
    let mechanism = &organism.about.mechanism;
    let carried = |carrier: &Carrier| carrier.site == *site && is_at(carrier.position, class);
    Some(Peak {
        mode: map.mode.name().to_owned(),
        site: site.clone(),
        position: position(class).to_owned(),
        effect,
        right: mechanism
            .known
            .then(|| mechanism.carriers.iter().any(carried)),
    })
}

/// Layer inputs at which both modes name the position that carries the decision; one of which a map says nothing is not named.
fn layers(model: &ModelAudit, organism: &Organism) -> Option<[usize; 2]> {
    let mechanism = &organism.about.mechanism;
    if !mechanism.known {
        return None;
    }
    let (mut right, mut of) = (0, 0);
    for map in &model.exhibits.maps {
        for truth in &mechanism.carriers {
            let at = map.sites.iter().position(|site| *site == truth.site);
            let named = at.and_then(|at| strongest(map, at));
            of += 1;
            right += usize::from(named.is_some_and(|(class, _)| is_at(truth.position, class)));
        }
    }
    (of > 0).then_some([right, of])
}

fn is_at(position: Position, class: PositionClass) -> bool {
    match position {
        Position::Condition => class == PositionClass::Differing,
        Position::Last => class == PositionClass::Last,
    }
}

fn position(class: PositionClass) -> &'static str {
    match class {
        PositionClass::Differing => "condition",
        PositionClass::Last => "last",
        PositionClass::Elsewhere => "elsewhere",
    }
}
