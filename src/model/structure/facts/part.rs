//! One branch beside the stream, from where it reads the stream to where it is added.

use std::collections::HashSet;

use super::super::reach::Reach;
use super::super::value::{behind_cast, behind_transparent};
use super::super::{linear, shape, unembed};
use super::scalar;

/// How many operators that only change type or layout may stand between a sum and the tensor that counts as the stream.
const ALIKE: usize = 8;

/// The nodes of a branch, in topological order, that are computed from the stream.
pub(super) struct Part<'g> {
    pub nodes: Vec<usize>,
    computed: HashSet<&'g str>,
    stream: Vec<&'g str>,
}

/// A product with a weight: a plain one, or one with a weight that is chosen among those of the experts.
pub(super) struct Product<'g> {
    pub node: usize,
    pub data: &'g str,
    pub input: Option<usize>,
    pub output: Option<usize>,
    /// Number of weights that it chooses from.
    pub choices: Option<usize>,
}

impl<'g> Part<'g> {
    /// What of `outputs` is computed from `stream`. Blocks follow one another in topological order, so that each looks at its
    /// own nodes only.
    pub fn new(reach: &Reach<'_, 'g>, outputs: &[&'g str], stream: &'g str) -> Self {
        let mut sources = vec![stream];
        let mut at = stream;
        while let Some(behind) = behind_transparent(reach, at).filter(|_| sources.len() < ALIKE) {
            sources.push(behind);
            at = behind;
        }
        let floor = reach
            .index
            .producer(at)
            .map(|(node, _)| reach.index.rank(node));
        let mut computed: HashSet<&'g str> = sources
            .iter()
            .flat_map(|name| reach.same_value(name))
            .collect();
        let mut nodes = HashSet::new();
        let mut open = outputs.to_vec();
        while let Some(name) = open.pop() {
            let Some((node, _)) = reach
                .index
                .producer(name)
                .filter(|_| !computed.contains(name))
            else {
                continue;
            };
            let before = floor.is_some_and(|floor| reach.index.rank(node) <= floor);
            if !before && nodes.insert(node) {
                open.extend(reach.live_inputs(node));
            }
        }
        let mut nodes: Vec<usize> = nodes.into_iter().collect();
        nodes.sort_unstable_by_key(|&node| reach.index.rank(node));
        let stream = computed.iter().copied().collect();
        nodes.retain(|&node| {
            let is_behind = reach.index.reads(node).any(|name| computed.contains(name));
            if is_behind {
                computed.extend(outputs_of(reach, node));
            }
            is_behind
        });
        Self {
            nodes,
            computed,
            stream,
        }
    }

    pub fn holds(&self, tensor: &str) -> bool {
        self.computed.contains(tensor)
    }

    pub fn is_stream(&self, tensor: &str) -> bool {
        self.stream.contains(&tensor)
    }

    /// Whether a tensor is the stream, or was before a cast or a quantisation.
    pub fn is_like_stream(&self, reach: &Reach<'_, 'g>, tensor: &'g str) -> bool {
        let base = behind_cast(reach, tensor);
        self.stream
            .iter()
            .any(|stream| *stream == tensor || behind_cast(reach, stream) == base)
    }

    /// Everything within the branch that is computed from the outputs of `node`, and the nodes that do it.
    pub fn after(&self, reach: &Reach<'_, 'g>, node: usize) -> (HashSet<usize>, HashSet<&'g str>) {
        let mut names: HashSet<&'g str> = outputs_of(reach, node).collect();
        let mut nodes = HashSet::new();
        for &later in &self.nodes {
            if reach.index.reads(later).any(|name| names.contains(name)) {
                nodes.insert(later);
                names.extend(outputs_of(reach, later));
            }
        }
        (nodes, names)
    }

    /// The first products with weights on all ways back from the tensors, and the nodes in between.
    pub fn products(
        &self,
        reach: &Reach<'_, 'g>,
        from: &[&'g str],
    ) -> (Vec<Product<'g>>, Vec<usize>) {
        let mut found = Vec::new();
        let mut between = Vec::new();
        let mut seen = HashSet::new();
        let mut open = from.to_vec();
        while let Some(name) = open.pop() {
            if self.is_stream(name) || !self.holds(name) {
                continue;
            }
            let Some((node, _)) = reach.index.producer(name) else {
                continue;
            };
            if !seen.insert(node) {
                continue;
            }
            if let Some(product) = product(reach, node) {
                found.push(product);
                continue;
            }
            between.push(node);
            let live = reach.live_inputs(node);
            // Dynamic quantisation scales a product by a factor that is computed from the same data.
            let scaled = live
                .iter()
                .copied()
                .find(|name| unembed::integer_product(reach, name));
            match scaled {
                Some(product) => open.push(product),
                None => open.extend(live),
            }
        }
        between.sort_unstable_by_key(|&node| reach.index.rank(node));
        found.sort_unstable_by_key(|product: &Product<'_>| reach.index.rank(product.node));
        (found, between)
    }
}

fn product<'g>(reach: &Reach<'_, 'g>, node: usize) -> Option<Product<'g>> {
    if let Some(data) = linear::data(reach, node) {
        return Some(Product {
            node,
            data,
            input: linear::input_width(reach, node).or_else(|| shape::width(reach, data)),
            output: linear::width(reach, node),
            choices: None,
        });
    }
    let [a, b] = linear::factors(reach, node)?;
    let (data, dims, flipped) = match (chosen(reach, a), chosen(reach, b)) {
        (Some(dims), None) => (b, dims, true),
        (None, Some(dims)) => (a, dims, false),
        _ => return None,
    };
    let [choices, rows, columns] = dims;
    Some(Product {
        node,
        data,
        input: Some(if flipped { columns } else { rows }),
        output: Some(if flipped { rows } else { columns }),
        choices: Some(choices),
    })
}

/// Dimensions of a constant `[expert, …, …]` that a tensor is gathered from.
fn chosen(reach: &Reach<'_, '_>, tensor: &str) -> Option<[usize; 3]> {
    let mut at = tensor;
    for _ in 0..ALIKE {
        let node = reach.index.node(reach.index.producer(at)?.0)?;
        let input = node.input.first()?;
        match node.op_type() {
            "Gather" | "GatherND" => {
                let dims = shape::dims(reach.index, input)?;
                return match dims.as_slice() {
                    [Some(a), Some(b), Some(c)] => Some([*a, *b, *c]),
                    _ => None,
                };
            }
            "Cast" | "Identity" | "Squeeze" | "Unsqueeze" | "Reshape" => at = input,
            // The weights of an expert may be transposed once they are chosen.
            _ => return None,
        }
    }
    None
}

pub(super) fn outputs_of<'g>(
    reach: &Reach<'_, 'g>,
    node: usize,
) -> impl Iterator<Item = &'g str> + use<'g> {
    let made = reach.index.node(node).map_or(&[][..], |node| &node.output);
    made.iter()
        .map(String::as_str)
        .filter(|name| !name.is_empty())
}

/// The operator of a node.
pub(super) fn op<'g>(reach: &Reach<'_, 'g>, node: usize) -> &'g str {
    reach.index.node(node).map_or("", |node| node.op_type())
}

/// The one constant that a node multiplies by or divides by.
pub(super) fn factor(reach: &Reach<'_, '_>, node: usize) -> Option<f32> {
    let message = reach.index.node(node)?;
    let constant = message
        .input
        .iter()
        .find_map(|name| scalar::of(reach.index, name))?;
    match message.op_type() {
        "Mul" => Some(constant),
        "Div" => Some(1.0 / constant),
        _ => None,
    }
}
