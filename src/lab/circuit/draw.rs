//! Where the nodes of a circuit stand and how its edges run: layers upwards, only what is kept.

use std::collections::{BTreeMap, HashMap};

use super::file::{CircuitFile, EdgeLine};

/// Room for one node, and the sizes of its box.
const CELL: f64 = 92.0;
const BOX: (f64, f64) = (70.0, 38.0);
/// From one row to the next.
const ROW: f64 = 108.0;
/// Around the drawing; labels of layers stand at the left.
const MARGIN: (f64, f64) = (70.0, 26.0);
/// The distance between a head's three inputs.
const PORT: f64 = 20.0;
/// Rounds in which each row is put in the order of its neighbours.
const ROUNDS: usize = 6;

/// A drawing in pixels.
pub(super) struct Drawing {
    pub width: String,
    pub height: String,
    pub rows: Vec<RowLabel>,
    pub edges: Vec<Curve>,
    pub nodes: Vec<Place>,
}

/// The name of a row.
pub(super) struct RowLabel {
    pub y: String,
    pub label: String,
}

/// One edge.
pub(super) struct Curve {
    pub path: String,
    pub width: String,
    /// `for` the answer or `against` it.
    pub class: &'static str,
    pub title: String,
}

/// One node.
pub(super) struct Place {
    pub x: String,
    pub y: String,
    pub left: String,
    pub top: String,
    pub label: String,
    pub class: &'static str,
    /// Letters of the inputs that an edge enters, and where they stand.
    pub ports: Vec<(String, String, char)>,
}

struct Node {
    name: String,
    row: usize,
    x: f64,
    label: String,
    class: &'static str,
    ports: Vec<char>,
}

/// One arrow: several for an edge into the keys of a group.
struct Arrow<'a> {
    from: usize,
    to: usize,
    port: Option<char>,
    edge: &'a EdgeLine,
}

/// Draws a circuit.
pub(super) fn draw(file: &CircuitFile) -> Drawing {
    let (mut nodes, labels) = placed(file);
    let at: HashMap<String, usize> = (nodes.iter().enumerate())
        .map(|(index, node)| (node.name.clone(), index))
        .collect();
    let arrows = arrows(file, &at);
    for arrow in &arrows {
        if let (Some(port), Some(node)) = (arrow.port, nodes.get_mut(arrow.to))
            && !node.ports.contains(&port)
        {
            node.ports.push(port);
        }
    }
    let widest = order(&mut nodes, &arrows, labels.len());
    let (margin, rows) = (MARGIN, labels.len().max(1));
    #[allow(clippy::cast_precision_loss, reason = "counts of rows")]
    let y = |row: usize| margin.1 + BOX.1 / 2.0 + (rows - 1 - row.min(rows - 1)) as f64 * ROW;
    let largest = (file.edges.iter())
        .map(|edge| edge.absolute)
        .fold(0.0, f64::max);
    Drawing {
        width: pixels(2.0 * margin.0 + widest * CELL),
        height: pixels(y(0) + BOX.1 / 2.0 + margin.1),
        rows: labels
            .into_iter()
            .enumerate()
            .map(|(row, label)| RowLabel {
                y: pixels(y(row)),
                label,
            })
            .collect(),
        edges: arrows
            .iter()
            .filter_map(|arrow| curve(arrow, &nodes, &y, largest))
            .collect(),
        nodes: nodes.iter().map(|node| place(node, &y)).collect(),
    }
}

/// The nodes by row, from the embedding up to the logits, and the rows' names.
fn placed(file: &CircuitFile) -> (Vec<Node>, Vec<String>) {
    // Within a block the MLP stands above the heads.
    let mut rows: BTreeMap<(usize, bool), Vec<Node>> = BTreeMap::new();
    let node = |name: &str, label: String, class: &'static str| Node {
        name: name.to_owned(),
        row: 0,
        x: 0.0,
        label,
        class,
        ports: Vec::new(),
    };
    for line in &file.nodes {
        match (line.layer, line.head) {
            (Some(layer), Some(head)) => rows.entry((layer + 1, false)).or_default().push(node(
                &line.name,
                format!("{layer}.{head}"),
                "head",
            )),
            (Some(layer), None) => rows.entry((layer + 1, true)).or_default().push(node(
                &line.name,
                format!("MLP {layer}"),
                "mlp",
            )),
            (None, _) => {
                let input = node(&line.name, "input".to_owned(), "end");
                rows.entry((0, false)).or_default().push(input);
            }
        }
    }
    let logits = node("logits", "logits".to_owned(), "end");
    rows.insert((usize::MAX, true), vec![logits]);
    let (mut all, mut labels) = (Vec::new(), Vec::new());
    for (row, ((layer, _), nodes)) in rows.into_iter().enumerate() {
        labels.push(match layer {
            0 | usize::MAX => String::new(),
            layer => format!("layer {}", layer - 1),
        });
        all.extend(nodes.into_iter().map(|node| Node { row, ..node }));
    }
    (all, labels)
}

fn arrows<'a>(file: &'a CircuitFile, at: &HashMap<String, usize>) -> Vec<Arrow<'a>> {
    let mut arrows = Vec::new();
    for edge in &file.edges {
        let Some(&from) = at.get(&edge.sender) else {
            continue;
        };
        for (name, port) in readers(&edge.receiver) {
            if let Some(&to) = at.get(&name) {
                arrows.push(Arrow {
                    from,
                    to,
                    port,
                    edge,
                });
            }
        }
    }
    arrows
}

/// The nodes that a receiver belongs to, and by which input: `L3.H4+5.k` is read by two heads.
fn readers(receiver: &str) -> Vec<(String, Option<char>)> {
    let parts: Vec<&str> = receiver.split('.').collect();
    match parts.as_slice() {
        [layer, heads, part] => {
            let heads = heads.trim_start_matches('H').split('+');
            heads
                .map(|head| (format!("{layer}.H{head}"), part.chars().next()))
                .collect()
        }
        _ => vec![(receiver.to_owned(), None)],
    }
}

/// Gives nodes their x, each row in the order of the mean of its neighbours (Sugiyama's barycentres); the width in cells.
#[allow(clippy::cast_precision_loss, reason = "counts of nodes")]
fn order(nodes: &mut [Node], arrows: &[Arrow<'_>], rows: usize) -> f64 {
    let in_row = |nodes: &[Node], row: usize| -> Vec<usize> {
        let mut own: Vec<usize> = (0..nodes.len())
            .filter(|&at| nodes[at].row == row)
            .collect();
        own.sort_by(|&a, &b| nodes[a].x.total_cmp(&nodes[b].x));
        own
    };
    let counts = (0..rows).map(|row| nodes.iter().filter(|node| node.row == row).count());
    // Wide enough that a single column of nodes leaves room for edges that pass it.
    let widest = counts.max().unwrap_or(1).max(4) as f64;
    let spread = |nodes: &mut [Node], own: &[usize]| {
        let step = (widest / own.len() as f64).min(2.0);
        let first = (widest - step * own.len() as f64) / 2.0;
        for (place, &at) in own.iter().enumerate() {
            nodes[at].x = MARGIN.0 + CELL * (first + step * (place as f64 + 0.5));
        }
    };
    for row in 0..rows {
        let own = in_row(nodes, row);
        spread(nodes, &own);
    }
    for round in 0..ROUNDS {
        for step in 0..rows {
            let row = if round % 2 == 0 {
                step
            } else {
                rows - 1 - step
            };
            let own = in_row(nodes, row);
            let centre = |at: usize| {
                let beside = arrows.iter().filter_map(|arrow| match arrow {
                    Arrow { from, to, .. } if *from == at => Some(nodes[*to].x),
                    Arrow { from, to, .. } if *to == at => Some(nodes[*from].x),
                    Arrow { .. } => None,
                });
                let beside: Vec<f64> = beside.collect();
                crate::stats::mean(&beside).unwrap_or(nodes[at].x)
            };
            let mut sorted: Vec<(f64, usize)> = own.iter().map(|&at| (centre(at), at)).collect();
            sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
            let sorted: Vec<usize> = sorted.into_iter().map(|(_, at)| at).collect();
            spread(nodes, &sorted);
        }
    }
    widest
}

fn curve(
    arrow: &Arrow<'_>,
    nodes: &[Node],
    y: &impl Fn(usize) -> f64,
    largest: f64,
) -> Option<Curve> {
    let (from, to) = (nodes.get(arrow.from)?, nodes.get(arrow.to)?);
    let (x0, y0) = (from.x, y(from.row) - BOX.1 / 2.0);
    let (x1, y1) = (
        to.x + arrow.port.map_or(0.0, offset),
        y(to.row) + BOX.1 / 2.0,
    );
    // Edges that pass rows bow out, so that they do not hide behind the nodes between.
    let rows = to.row.abs_diff(from.row);
    let bow = if rows > 1 && (x0 - x1).abs() < CELL / 2.0 {
        let side = if arrow.port == Some('q') { -1.0 } else { 1.0 };
        side * CELL * 0.75
    } else {
        0.0
    };
    let half = (y0 - y1) * if rows > 1 { 0.35 } else { 0.5 };
    let edge = arrow.edge;
    let strength = if largest > 0.0 {
        (edge.absolute / largest).sqrt()
    } else {
        0.0
    };
    let kept = edge.kept.map_or_else(String::new, |kept| {
        format!(", in {:.0} % of samples", kept * 100.0)
    });
    Some(Curve {
        path: format!(
            "M{x0:.1},{y0:.1}C{:.1},{:.1} {:.1},{:.1} {x1:.1},{y1:.1}",
            x0 + bow,
            y0 - half,
            x1 + bow,
            y1 + half
        ),
        width: format!("{:.2}", 1.2 + 5.0 * strength),
        class: if edge.cost.point < 0.0 {
            "against"
        } else {
            "for"
        },
        title: format!(
            "{} → {}: costs {}{kept}",
            edge.sender,
            edge.receiver,
            edge.cost.shown()
        ),
    })
}

fn offset(port: char) -> f64 {
    match port {
        'q' => -PORT,
        'v' => PORT,
        _ => 0.0,
    }
}

fn place(node: &Node, y: &impl Fn(usize) -> f64) -> Place {
    let at = y(node.row);
    let ports = node.ports.iter().map(|&port| {
        let x = node.x + offset(port);
        (pixels(x), pixels(at + BOX.1 / 2.0 - 4.0), port)
    });
    Place {
        x: pixels(node.x),
        y: pixels(if node.ports.is_empty() {
            at + 5.0
        } else {
            at - 2.0
        }),
        left: pixels(node.x - BOX.0 / 2.0),
        top: pixels(at - BOX.1 / 2.0),
        label: node.label.clone(),
        class: node.class,
        ports: ports.collect(),
    }
}

fn pixels(value: f64) -> String {
    format!("{value:.1}")
}
