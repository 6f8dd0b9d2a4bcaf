//! `report.html`: a probe's report on one page, self-contained and offline. Beside every plot stand its numbers.

use askama::Template;

use super::report::{Cell, EstimateLine, ProbeReport, SweepLine};
use crate::fault::{Fault, Result};

#[derive(Template)]
#[template(path = "probe.html")]
struct Page<'a> {
    report: &'a ProbeReport,
    auroc: String,
    recall: String,
    value: String,
    brier: String,
    bars: Vec<BarView>,
    chance: String,
    permutation: Option<String>,
    bins: Vec<BinView>,
    sweeps: Vec<SweepView>,
    transfer: Option<TransferView>,
}

/// A share of something, as people read it.
#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "templates hand their values over by reference"
)]
fn percent(share: &f64) -> String {
    let text = format!("{:.1}", 100.0 * share);
    format!("{} %", text.strip_suffix(".0").unwrap_or(&text))
}

fn bounds(estimate: &EstimateLine) -> String {
    format!("{:.3} to {:.3}", estimate.low, estimate.high)
}

/// An AUROC with its interval on an axis from 0 to 1, in percent of its width.
struct BarView {
    name: &'static str,
    own: bool,
    point: String,
    interval: String,
    difference: Option<String>,
    why: Option<String>,
    at: String,
    from: String,
    to: String,
}

/// One bin of the reliability table; places in a square of 200.
struct BinView {
    range: String,
    n: usize,
    told: String,
    found: String,
    interval: String,
    x: String,
    y: String,
    low: String,
    high: String,
    radius: String,
}

/// Kinds by layers at one hook.
struct SweepView {
    hook: String,
    layers: Vec<String>,
    rows: Vec<(&'static str, Vec<CellView>)>,
}

struct TransferView {
    columns: Vec<String>,
    rows: Vec<(String, Vec<CellView>)>,
}

/// A coloured cell.
struct CellView {
    text: String,
    readout: String,
    /// `up` above 0.5, `down` below.
    class: &'static str,
    /// 0 at 0.5, 1 at 0 and 1.
    strength: String,
    chosen: bool,
    /// Whether the interval holds 0.5.
    unsure: bool,
}

/// The page.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn probe_page(report: &ProbeReport) -> Result<String> {
    let value = &report.value;
    let page = Page {
        auroc: bounds(&report.auroc),
        recall: bounds(&value.recall_clustered),
        value: format!(
            "{} to {}",
            percent(&value.predictive_interval[0]),
            percent(&value.predictive_interval[1])
        ),
        brier: bounds(&report.reliability.brier),
        bars: bars(report),
        chance: axis(0.5),
        permutation: report.permutation.map(|permutation| axis(permutation.high)),
        bins: bins(report),
        sweeps: sweeps(&report.sweep),
        transfer: transfer(report),
        report,
    };
    page.render()
        .map_err(|error| Fault::failed("laying out the probe's page", error.to_string()))
}

fn axis(value: f64) -> String {
    format!("{:.2}%", 2.0 + 96.0 * value.clamp(0.0, 1.0))
}

fn bars(report: &ProbeReport) -> Vec<BarView> {
    let bar = |name, auroc: Option<EstimateLine>, difference: Option<EstimateLine>, why| BarView {
        name,
        own: difference.is_none() && auroc.is_some(),
        point: auroc.map_or("–".to_owned(), |auroc| format!("{:.3}", auroc.point)),
        interval: auroc.as_ref().map(bounds).unwrap_or_default(),
        difference: difference.map(|difference| {
            format!(
                "{:+.3} ({:+.3} to {:+.3})",
                difference.point, difference.low, difference.high
            )
        }),
        why,
        at: auroc.map(|auroc| axis(auroc.point)).unwrap_or_default(),
        from: auroc.map(|auroc| axis(auroc.low)).unwrap_or_default(),
        to: auroc.map(|auroc| axis(auroc.high)).unwrap_or_default(),
    };
    let own = bar("this probe", Some(report.auroc), None, None);
    let others = report
        .baselines
        .iter()
        .map(|line| bar(line.name, line.auroc, line.difference, line.why.clone()));
    std::iter::once(own).chain(others).collect()
}

#[allow(clippy::cast_precision_loss, reason = "counts of items")]
fn bins(report: &ProbeReport) -> Vec<BinView> {
    let place = |share: f64| format!("{:.1}", 10.0 + 180.0 * share);
    let upwards = |share: f64| place(1.0 - share);
    report
        .reliability
        .bins
        .iter()
        .map(|bin| BinView {
            range: format!("{:.1} to {:.1}", bin.from, bin.to),
            n: bin.n,
            told: format!("{:.3}", bin.told),
            found: format!("{:.3}", bin.found.point),
            interval: bounds(&bin.found),
            x: place(bin.told),
            y: upwards(bin.found.point),
            low: upwards(bin.found.low),
            high: upwards(bin.found.high),
            radius: format!(
                "{:.1}",
                2.5 + 5.0 * (bin.n as f64 / report.auroc.n as f64).sqrt()
            ),
        })
        .collect()
}

fn cell(auroc: Option<&EstimateLine>, why: Option<&str>, chosen: bool) -> CellView {
    let Some(auroc) = auroc else {
        return CellView {
            text: "–".to_owned(),
            readout: why.unwrap_or_default().to_owned(),
            class: "up",
            strength: "0".to_owned(),
            chosen,
            unsure: false,
        };
    };
    CellView {
        text: format!("{:.2}", auroc.point),
        readout: format!(
            "AUROC {:.3}, 95 % interval {} over {} items in {} groups",
            auroc.point,
            bounds(auroc),
            auroc.n,
            auroc.clusters
        ),
        class: if auroc.point < 0.5 { "down" } else { "up" },
        strength: format!("{:.3}", (2.0 * (auroc.point - 0.5)).abs().min(1.0)),
        chosen,
        unsure: auroc.low <= 0.5 && auroc.high >= 0.5,
    }
}

fn sweeps(sweep: &[SweepLine]) -> Vec<SweepView> {
    let mut views: Vec<SweepView> = Vec::new();
    let mut hooks: Vec<&str> = sweep.iter().map(|line| line.hook.as_str()).collect();
    hooks.sort_unstable();
    hooks.dedup();
    for hook in hooks {
        let of_hook = || sweep.iter().filter(|line| line.hook == hook);
        let mut layers: Vec<Option<usize>> = of_hook().map(|line| line.layer).collect();
        layers.dedup();
        let mut rows: Vec<(&'static str, Vec<CellView>)> = Vec::new();
        for line in of_hook() {
            let view = cell(line.auroc.as_ref(), line.why.as_deref(), line.chosen);
            match rows.iter_mut().find(|(kind, _)| *kind == line.kind) {
                Some((_, cells)) => cells.push(view),
                None => rows.push((line.kind, vec![view])),
            }
        }
        views.push(SweepView {
            hook: hook.to_owned(),
            layers: layers
                .iter()
                .map(|layer| layer.map_or_else(String::new, |layer| format!("L{layer}")))
                .collect(),
            rows,
        });
    }
    views
}

fn transfer(report: &ProbeReport) -> Option<TransferView> {
    let table = report.transfer.as_ref()?;
    let row = |cells: &[Cell]| {
        let of = |one: &Cell| cell(one.auroc.as_ref(), one.why.as_deref(), false);
        cells.iter().map(of).collect::<Vec<_>>()
    };
    let mut rows: Vec<(String, Vec<CellView>)> = table
        .datasets
        .iter()
        .zip(&table.alone)
        .map(|(dataset, cells)| (format!("{} ({})", dataset.name, dataset.train), row(cells)))
        .collect();
    rows.push(("all but the column".to_owned(), row(&table.all_but_one)));
    rows.push(("all".to_owned(), row(&table.all)));
    Some(TransferView {
        columns: table
            .datasets
            .iter()
            // Long names may break behind an underscore, in no other place.
            .map(|dataset| {
                let name = dataset.name.replace('_', "_\u{200b}");
                format!("{name} ({})", dataset.held_out)
            })
            .collect(),
        rows,
    })
}
