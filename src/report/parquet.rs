//! Evidence tables as Parquet, one file for each kind of evidence. The only file that names `polars`.
//!
//! Every row carries the model's name and the digest of the plan that it was made by; scores and patched cells are
//! long tables (a row for each token or cell), so that a query needs no nested columns.

use std::path::Path;

use polars::prelude::{Column, DataFrame, ParquetWriter};

use super::{ModelEvidence, Source};
use crate::evidence::{AblationKind, Outcome, PatchMode};
use crate::fault::{Fault, Result};
use crate::files::Staged;

pub(super) fn stage(source: &Source, place: &Path) -> Result<Vec<Staged>> {
    if source.evidence.is_empty() {
        return Err(Fault::usage(
            format!("writing evidence tables to `{}`", place.display()),
            "a stored report, which holds findings but not the evidence behind them",
        )
        .expected("the evidence of an audit")
        .hint("write Parquet when auditing: `candor audit … --output parquet=FOLDER`"));
    }
    stage_tables(source.evidence, place)
}

type Table = fn(&[ModelEvidence]) -> Result<DataFrame>;

const TABLES: [(&str, Table); 4] = [
    ("responses.parquet", responses),
    ("scores.parquet", scores),
    ("patches.parquet", patches),
    ("ablations.parquet", ablations),
];

fn stage_tables(evidence: &[ModelEvidence], folder: &Path) -> Result<Vec<Staged>> {
    TABLES
        .iter()
        .map(|(file, table)| {
            let place = folder.join(file);
            let mut frame = table(evidence)?;
            Staged::write(&place, |out| {
                ParquetWriter::new(out)
                    .finish(&mut frame)
                    .map(drop)
                    .map_err(|error| {
                        Fault::failed(format!("writing `{}`", place.display()), error.to_string())
                    })
            })
        })
        .collect()
}

/// Rows of every model: a list of rows from each, one column made from each getter.
macro_rules! frame {
    ($rows:expr; $($name:literal: $get:expr),* $(,)?) => {{
        let rows = $rows;
        let columns = vec![
            $(Column::new($name.into(), rows.iter().map($get).collect::<Vec<_>>()),)*
        ];
        DataFrame::new(rows.len(), columns)
            .map_err(|error| Fault::failed("laying out evidence tables", error.to_string()))
    }};
}

fn responses(evidence: &[ModelEvidence]) -> Result<DataFrame> {
    let rows: Vec<_> = evidence
        .iter()
        .flat_map(|m| m.evidence.responses.iter().map(move |r| (m, r)))
        .collect();
    frame!(rows;
        "model": |(m, _)| m.model,
        "plan": |(m, _)| m.plan_digest,
        "suite": |(_, r)| r.suite.as_str(),
        "item": |(_, r)| r.item.as_str(),
        "group": |(_, r)| r.group.as_str(),
        "condition": |(_, r)| r.condition.as_str(),
        "pair": |(_, r)| r.pair.as_deref(),
        "prompt": |(_, r)| r.prompt.as_str(),
        "said": |(_, r)| r.text.as_str(),
        "answer": |(_, r)| r.answer.as_deref(),
        "outcome": |(_, r)| outcome(r.outcome),
    )
}

fn scores(evidence: &[ModelEvidence]) -> Result<DataFrame> {
    let mut rows = Vec::new();
    for m in evidence {
        for s in &m.evidence.scores {
            for (at, (token, score)) in s.tokens.iter().zip(&s.token_scores).enumerate() {
                rows.push((m, s, at, token, *score));
            }
        }
    }
    frame!(rows;
        "model": |(m, ..)| m.model,
        "plan": |(m, ..)| m.plan_digest,
        "suite": |(_, s, ..)| s.suite.as_str(),
        "item": |(_, s, ..)| s.item.as_str(),
        "group": |(_, s, ..)| s.group.as_str(),
        "condition": |(_, s, ..)| s.condition.as_str(),
        "detector": |(_, s, ..)| s.detector.as_str(),
        "feature": |(_, s, ..)| s.feature.map(wide),
        "value": |(_, s, ..)| s.value,
        "position": |(_, _, at, ..)| wide(*at),
        "token": |(_, _, _, token, _)| token.as_str(),
        "in_span": |(_, s, at, ..)| s.span.contains(at),
        "score": |(.., score)| *score,
    )
}

fn patches(evidence: &[ModelEvidence]) -> Result<DataFrame> {
    let mut rows = Vec::new();
    for m in evidence {
        for map in &m.evidence.maps {
            for pair in &map.pairs {
                for ((row, position), metric) in pair.metric.indexed_iter() {
                    let site = map.sites.get(row).map(ToString::to_string);
                    let recovery = pair.recovery.get((row, position)).copied();
                    let cell = (position, None, *metric, recovery);
                    rows.push((m, map, pair, site, cell));
                }
                let Some((row, position)) = pair.random_cell else {
                    continue;
                };
                for (direction, recovery) in pair.random.iter().enumerate() {
                    let site = map.sites.get(row).map(ToString::to_string);
                    let metric = pair.corrupt + recovery * (pair.clean - pair.corrupt);
                    let cell = (position, Some(direction), metric, Some(*recovery));
                    rows.push((m, map, pair, site, cell));
                }
            }
        }
    }
    frame!(rows;
        "model": |(m, ..)| m.model,
        "plan": |(m, ..)| m.plan_digest,
        "suite": |(_, map, ..)| map.suite.as_str(),
        "mode": |(_, map, ..)| mode(map.mode),
        "item": |(_, _, pair, ..)| pair.item.as_str(),
        "counterpart": |(_, _, pair, ..)| pair.counterpart.as_str(),
        "group": |(_, _, pair, ..)| pair.group.as_str(),
        "site": |(_, _, _, site, ..)| site.as_deref(),
        "position": |(.., (position, ..))| wide(*position),
        "differs": |(_, _, pair, _, (position, ..))| pair.differing.contains(position),
        "last": |(_, _, pair, _, (position, ..))| pair.last == *position,
        "random_direction": |(.., (_, direction, ..))| direction.map(wide),
        "clean": |(_, _, pair, ..)| pair.clean,
        "corrupt": |(_, _, pair, ..)| pair.corrupt,
        "metric": |(.., (_, _, metric, _))| *metric,
        "recovery": |(.., (.., recovery))| *recovery,
        "self_patch": |(_, _, pair, ..)| pair.self_patch,
    )
}

fn ablations(evidence: &[ModelEvidence]) -> Result<DataFrame> {
    let mut rows = Vec::new();
    for m in evidence {
        for ablation in &m.evidence.ablations {
            let features: Vec<_> = ablation.features.iter().map(ToString::to_string).collect();
            let (site, features) = (ablation.site.to_string(), features.join(" "));
            for item in &ablation.items {
                let controls = |edit, after: &[f64]| {
                    let rows = after.iter().copied().enumerate();
                    rows.map(|(direction, after)| (edit, Some(direction), after))
                        .collect::<Vec<_>>()
                };
                let edits = std::iter::once(("real", None, item.after))
                    .chain(controls("random push", &item.random))
                    .chain(controls("random removal", &item.random_removed));
                for edit in edits {
                    let names = (site.clone(), features.clone());
                    rows.push((m, ablation, names, item, edit));
                }
            }
        }
    }
    frame!(rows;
        "model": |(m, ..)| m.model,
        "plan": |(m, ..)| m.plan_digest,
        "suite": |(_, a, ..)| a.suite.as_str(),
        "kind": |(_, a, ..)| match a.kind {
            AblationKind::Directional => "directional",
            AblationKind::Feature => "feature",
        },
        "detector": |(_, a, ..)| a.detector.as_str(),
        "features": |(_, _, (_, features), ..)| features.as_str(),
        "site": |(_, _, (site, _), ..)| site.as_str(),
        "item": |(_, _, _, item, ..)| item.item.as_str(),
        "group": |(_, _, _, item, ..)| item.group.as_str(),
        "edit": |(.., (edit, ..))| *edit,
        "random_direction": |(.., (_, direction, _))| direction.map(wide),
        "clean": |(_, _, _, item, ..)| item.clean,
        "before": |(_, _, _, item, ..)| item.before,
        "after": |(.., (.., after))| *after,
        "recovery": |(_, _, _, item, (.., after))| {
            (after - item.before) / (item.clean - item.before)
        },
        "restored": |(_, _, _, item, (_, direction, _))| {
            direction.is_none().then_some(item.restored)
        },
    )
}

fn wide(number: usize) -> u64 {
    number as u64
}

fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::True => "true",
        Outcome::False => "false",
        Outcome::Unclear => "unclear",
        Outcome::Unjudged => "unjudged",
        Outcome::Failed => "failed",
    }
}

fn mode(mode: PatchMode) -> &'static str {
    match mode {
        PatchMode::Denoising => "denoising",
        PatchMode::Noising => "noising",
    }
}
