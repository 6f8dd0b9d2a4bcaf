//! A circuit as a drawing: layers upwards, only what is kept. Where a sender's edges pass a row they share one way between the
//! nodes.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use super::file::{CircuitFile, EdgeLine, NodeLine};
use super::layers::{Item, arrange};

/// Room for a node and for a way, and the size of a node's box.
const CELL: f64 = 92.0;
const WAY: f64 = 26.0;
const BOX: (f64, f64) = (70.0, 38.0);
/// From one row to the next.
const ROW: f64 = 104.0;
/// Left and right, where the rows' names stand, and above and below.
const MARGIN: (f64, f64) = (78.0, 26.0);
/// The distance between a head's inputs.
const PORT: f64 = 20.0;

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
    /// Where the inputs stand that an edge enters, and their letters.
    pub ports: Vec<(String, String, char)>,
}

/// An edge between two nodes: several for one that is read by a group of heads.
struct Arrow<'a> {
    from: usize,
    to: usize,
    port: Option<char>,
    edge: &'a EdgeLine,
}

/// The nodes, from the embedding up to the logits, and the rows that they stand in.
struct Stand {
    names: Vec<String>,
    rows: Vec<usize>,
    labels: Vec<String>,
}

impl Stand {
    fn of(file: &CircuitFile) -> Self {
        // Within a block the MLP stands above the heads.
        let level = |node: &NodeLine| match (node.layer, node.head) {
            (Some(layer), head) => (layer + 1, head.is_none()),
            (None, _) => (0, false),
        };
        let mut by_level: BTreeMap<(usize, bool), Vec<String>> = BTreeMap::new();
        for node in &file.nodes {
            let row = by_level.entry(level(node)).or_default();
            row.push(node.name.clone());
        }
        by_level.insert((usize::MAX, true), vec!["logits".to_owned()]);
        let mut stand = Self {
            names: Vec::new(),
            rows: Vec::new(),
            labels: Vec::new(),
        };
        for (row, ((layer, _), names)) in by_level.into_iter().enumerate() {
            stand.rows.extend(names.iter().map(|_| row));
            stand.names.extend(names);
            stand.labels.push(match layer {
                0 | usize::MAX => String::new(),
                layer => format!("layer {}", layer - 1),
            });
        }
        stand
    }

    fn row(&self, node: usize) -> usize {
        self.rows.get(node).copied().unwrap_or(0)
    }

    fn y(&self, row: usize) -> f64 {
        let above = self.labels.len().saturating_sub(row + 1);
        #[allow(clippy::cast_precision_loss, reason = "a count of rows")]
        let above = above as f64;
        MARGIN.1 + BOX.1 / 2.0 + above * ROW
    }
}

/// Draws a circuit.
pub(super) fn draw(file: &CircuitFile) -> Drawing {
    let stand = Stand::of(file);
    let arrows = arrows(file, &stand);
    let (mut items, ways) = items(&stand, &arrows);
    let width = arrange(&mut items, stand.labels.len());
    for item in &mut items {
        item.x += MARGIN.0;
    }
    let largest = (file.edges.iter())
        .map(|edge| edge.absolute)
        .fold(0.0, f64::max);
    let mut edges: Vec<&Arrow<'_>> = arrows.iter().collect();
    // The strongest are drawn last, over the others.
    edges.sort_by(|a, b| a.edge.absolute.total_cmp(&b.edge.absolute));
    Drawing {
        width: pixels(2.0 * MARGIN.0 + width),
        height: pixels(stand.y(0) + BOX.1 / 2.0 + MARGIN.1),
        rows: (stand.labels.iter().enumerate())
            .map(|(row, label)| RowLabel {
                y: pixels(stand.y(row) + 4.0),
                label: label.clone(),
            })
            .collect(),
        edges: edges
            .into_iter()
            .map(|arrow| Curve {
                path: path(arrow, &stand, &items, &ways),
                ..looks(arrow.edge, largest)
            })
            .collect(),
        nodes: (0..stand.names.len())
            .map(|node| place(node, &stand, &items, &arrows))
            .collect(),
    }
}

fn arrows<'a>(file: &'a CircuitFile, stand: &Stand) -> Vec<Arrow<'a>> {
    let names = stand.names.iter().enumerate();
    let at: HashMap<&str, usize> = names.map(|(at, name)| (name.as_str(), at)).collect();
    let mut arrows = Vec::new();
    for edge in &file.edges {
        for (name, port) in readers(&edge.receiver) {
            if let (Some(&from), Some(&to)) = (at.get(edge.sender.as_str()), at.get(name.as_str()))
            {
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

/// A node's own item by its index; then the ways, by sender and row.
fn items(stand: &Stand, arrows: &[Arrow<'_>]) -> (Vec<Item>, HashMap<(usize, usize), usize>) {
    let item = |row: usize, width: f64| Item {
        row,
        width,
        x: 0.0,
        beside: Vec::new(),
    };
    let mut items: Vec<Item> = stand.rows.iter().map(|&row| item(row, CELL)).collect();
    let mut ways = HashMap::new();
    let mut joined = Vec::new();
    for arrow in arrows {
        let mut last = arrow.from;
        for row in stand.row(arrow.from) + 1..stand.row(arrow.to) {
            let way = *ways.entry((arrow.from, row)).or_insert_with(|| {
                items.push(item(row, WAY));
                items.len() - 1
            });
            joined.push((last, way));
            last = way;
        }
        joined.push((last, arrow.to));
    }
    joined.sort_unstable();
    joined.dedup();
    for (a, b) in joined {
        for (a, b) in [(a, b), (b, a)] {
            if let Some(item) = items.get_mut(a) {
                item.beside.push(b);
            }
        }
    }
    (items, ways)
}

/// From the top of the sender along its ways to the bottom of the receiver.
fn path(
    arrow: &Arrow<'_>,
    stand: &Stand,
    items: &[Item],
    ways: &HashMap<(usize, usize), usize>,
) -> String {
    let x = |item: usize| items.get(item).map_or(0.0, |item| item.x);
    let (from, to) = (stand.row(arrow.from), stand.row(arrow.to));
    let (mut x0, mut y0) = (x(arrow.from), stand.y(from) - BOX.1 / 2.0);
    let mut path = format!("M{x0:.1},{y0:.1}");
    let mut bend = |x1: f64, y1: f64, through: f64| {
        let middle = f64::midpoint(y0, y1);
        // Writing to a string cannot fail.
        let _ = write!(
            path,
            "C{x0:.1},{middle:.1} {x1:.1},{middle:.1} {x1:.1},{y1:.1}"
        );
        (x0, y0) = (x1, y1 - through);
        if through > 0.0 {
            let _ = write!(path, "V{y0:.1}");
        }
    };
    for row in from + 1..to {
        if let Some(&way) = ways.get(&(arrow.from, row)) {
            bend(x(way), stand.y(row) + BOX.1 / 2.0, BOX.1);
        }
    }
    let port = arrow.port.map_or(0.0, offset);
    bend(x(arrow.to) + port, stand.y(to) + BOX.1 / 2.0, 0.0);
    path
}

fn looks(edge: &EdgeLine, largest: f64) -> Curve {
    let strength = if largest > 0.0 {
        (edge.absolute / largest).sqrt()
    } else {
        0.0
    };
    let kept = edge.kept.map_or_else(String::new, |kept| {
        format!(", in {:.0} % of samples", kept * 100.0)
    });
    Curve {
        path: String::new(),
        width: format!("{:.2}", 1.2 + 4.8 * strength),
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
    }
}

fn offset(port: char) -> f64 {
    match port {
        'q' => -PORT,
        'v' => PORT,
        _ => 0.0,
    }
}

fn place(node: usize, stand: &Stand, items: &[Item], arrows: &[Arrow<'_>]) -> Place {
    let x = items.get(node).map_or(0.0, |item| item.x);
    let y = stand.y(stand.row(node));
    let mut letters: Vec<char> = (arrows.iter())
        .filter(|arrow| arrow.to == node)
        .filter_map(|arrow| arrow.port)
        .collect();
    letters.sort_unstable();
    letters.dedup();
    let label = stand.names.get(node).cloned().unwrap_or_default();
    Place {
        x: pixels(x),
        y: pixels(if letters.is_empty() { y + 5.0 } else { y - 2.0 }),
        left: pixels(x - BOX.0 / 2.0),
        top: pixels(y - BOX.1 / 2.0),
        class: match label.as_str() {
            "input" | "logits" => "end",
            name if name.ends_with("mlp") => "mlp",
            _ => "head",
        },
        label,
        ports: letters
            .into_iter()
            .map(|letter| {
                let bottom = y + BOX.1 / 2.0 - 5.0;
                (pixels(x + offset(letter)), pixels(bottom), letter)
            })
            .collect(),
    }
}

fn pixels(value: f64) -> String {
    format!("{value:.1}")
}
