//! `circuit.html`: the drawing, the numbers and the controls on one page, self-contained and offline.

use askama::Template;

use super::draw::{Drawing, draw};
use super::file::{CircuitFile, GoalLine, PairLine};
use crate::fault::{Fault, Result};
use crate::report::counted;

/// Edges and pairs that tables show at most; the file has all.
const SHOWN: usize = 200;

#[derive(Template)]
#[template(path = "circuit.html")]
struct Page<'a> {
    file: &'a CircuitFile,
    goal: String,
    size: String,
    drawn: String,
    faithful: Figure,
    complement: Figure,
    stability: String,
    p: String,
    random: Strip,
    edges: Vec<Row>,
    left_out: usize,
    pairs: &'a [PairLine],
    drawing: Drawing,
    passes: String,
}

/// A number and its interval.
struct Figure {
    point: String,
    interval: String,
}

/// One edge of the table.
struct Row {
    sender: String,
    receiver: String,
    cost: String,
    interval: String,
    kept: String,
}

/// Faithfulness of random circuits and of this one along one axis, in percent of its width.
struct Strip {
    dots: Vec<String>,
    own: String,
    zero: String,
    one: String,
}

/// The whole page.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn circuit_page(file: &CircuitFile) -> Result<String> {
    let figure = |interval: &super::file::Interval| Figure {
        point: format!("{:.3}", interval.point),
        interval: bounds(interval),
    };
    let mut edges: Vec<_> = file.edges.iter().collect();
    edges.sort_by(|a, b| b.absolute.total_cmp(&a.absolute));
    let rows = edges.iter().take(SHOWN).map(|edge| Row {
        sender: edge.sender.clone(),
        receiver: edge.receiver.clone(),
        cost: format!("{:+.3}", edge.cost.point),
        interval: bounds(&edge.cost),
        kept: edge
            .kept
            .map_or_else(|| "–".to_owned(), |kept| format!("{:.0} %", kept * 100.0)),
    });
    #[allow(clippy::cast_precision_loss, reason = "counts of layers and pairs")]
    let one = (file.pairs.len() * file.of.layers).max(1) as f64;
    let page = Page {
        size: format!(
            "{} of {} and {} of {}, on {}",
            counted(file.size.nodes, "node", "nodes"),
            file.of.nodes,
            counted(file.size.edges, "edge", "edges"),
            file.of.edges,
            counted(file.pairs.len(), "pair", "pairs")
        ),
        drawn: counted(file.random.faithfulness.len(), "circuit", "circuits"),
        goal: match file.goal {
            GoalLine::Threshold(threshold) => format!("threshold {threshold}"),
            GoalLine::Faithfulness(target) => {
                format!(
                    "faithfulness {target}, reached with threshold {:.2e}",
                    file.threshold
                )
            }
        },
        faithful: figure(&file.faithfulness),
        complement: figure(&file.complement),
        stability: match file.stability.mean {
            Some(mean) => format!("{mean:.3}"),
            None => "–".to_owned(),
        },
        p: format!("{:.3}", file.random.p),
        random: strip(file),
        edges: rows.collect(),
        left_out: edges.len().saturating_sub(SHOWN),
        pairs: file.pairs.get(..SHOWN.min(file.pairs.len())).unwrap_or(&[]),
        drawing: draw(file),
        passes: format!("{:.0}", file.cost.blocks / one),
        file,
    };
    page.render()
        .map_err(|error| Fault::failed("laying out the circuit's page", error.to_string()))
}

fn bounds(interval: &super::file::Interval) -> String {
    match (interval.low, interval.high) {
        (Some(low), Some(high)) => format!("{low:.3} to {high:.3}"),
        _ => "no interval: all groups alike".to_owned(),
    }
}

fn strip(file: &CircuitFile) -> Strip {
    let own = file.faithfulness.point;
    let values = || file.random.faithfulness.iter().copied();
    let low = values().chain([0.0, own]).fold(0.0, f64::min);
    let high = values().chain([1.0, own]).fold(1.0, f64::max);
    let at = |value: f64| format!("{:.2}%", 4.0 + 92.0 * (value - low) / (high - low));
    Strip {
        dots: values().map(at).collect(),
        own: at(own),
        zero: at(0.0),
        one: at(1.0),
    }
}
