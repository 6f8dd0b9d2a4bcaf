//! What the structure tells of each block and of what lies around them, for people to read. Nothing is decided by it, and what
//! it does not tell is left out.

mod activation;
mod attention;
mod ends;
mod mask;
mod mlp;
mod norms;
mod part;
mod scalar;
mod unused;

use super::super::architecture::{InputPort, InputRole, Site};
use super::super::facts::{BlockFacts, MlpFacts, MlpKind, ModelFacts};
use super::super::site::{Point, SiteName};
use super::attention::Inside;
use super::blocks::Layer;
use super::reach::Reach;
use super::value::Value;
use part::Part;

/// What was found of a graph.
pub(super) struct Whole<'a, 'g> {
    pub embedding: &'g str,
    pub layers: &'a [Layer<'g>],
    /// One for each layer.
    pub attentions: &'a [Inside<'g>],
    pub ln_final: Option<&'g str>,
    pub unembedding: usize,
    pub logits: &'g str,
    pub inputs: &'a [InputPort],
    pub sites: &'a [Site],
}

impl<'a> Whole<'a, '_> {
    fn is_fed(&self, tensor: &str, role: &InputRole) -> bool {
        self.inputs
            .iter()
            .any(|port| port.name == tensor && port.role == *role)
    }

    /// The embedding of the tokens alone, where the graph shows it.
    fn token_embedding(&self) -> Option<&'a str> {
        let embed = SiteName::outside(Point::Embed);
        self.sites
            .iter()
            .find(|site| site.name == embed)
            .map(|site| site.tensor.name())
    }
}

/// Facts of every block, and of what lies around them.
pub(super) fn look<'g>(
    reach: &Reach<'_, 'g>,
    whole: &Whole<'_, 'g>,
) -> (Vec<BlockFacts>, ModelFacts) {
    let mut pre = Value::Named(whole.embedding);
    let mut blocks = Vec::new();
    for (layer, inside) in whole.layers.iter().zip(whole.attentions) {
        blocks.push(block(reach, layer, inside, pre));
        pre = layer.post;
    }
    (blocks, ends::facts(reach, whole))
}

fn block<'g>(
    reach: &Reach<'_, 'g>,
    layer: &Layer<'g>,
    inside: &Inside<'g>,
    pre: Value<'g>,
) -> BlockFacts {
    let mut facts = BlockFacts::default();
    facts.attention.heads = inside.heads;
    let Value::Named(pre) = pre else { return facts };
    let attention = Part::new(reach, &[layer.branch], pre);
    facts.attention = self::attention::facts(reach, &attention, layer.attention, inside);
    let between = if layer.parallel {
        None
    } else {
        layer.mid.or(Some(layer.post))
    };
    facts.attention_norms = norms::around(reach, &attention, layer.branch, between);
    let (stream, outputs) = match (&layer.mlp_out, layer.mid) {
        (Ok(outputs), Some(Value::Named(mid))) => (mid, outputs),
        (Ok(outputs), None) if layer.parallel => (pre, outputs),
        (Err(_), None) if !layer.parallel => {
            let kind = Some(MlpKind::Absent);
            facts.mlp = MlpFacts {
                kind,
                ..MlpFacts::default()
            };
            return facts;
        }
        _ => return facts,
    };
    let mlp = Part::new(reach, outputs, stream);
    facts.mlp = self::mlp::facts(reach, &mlp, outputs);
    if let Some(output) = outputs.iter().copied().find(|output| mlp.holds(output)) {
        facts.mlp_norms = norms::around(reach, &mlp, output, Some(layer.post));
    }
    facts.one_norm = layer.parallel
        && reads(reach, &attention).is_some_and(|read| reads(reach, &mlp) == Some(read));
    facts
}

/// What the first product of a branch reads, behind changes of the layout.
fn reads<'g>(reach: &Reach<'_, 'g>, part: &Part<'g>) -> Option<&'g str> {
    let mut first = part
        .nodes
        .iter()
        .find_map(|&node| super::linear::data(reach, node))?;
    while let Some(behind) = super::value::behind_transparent(reach, first) {
        first = behind;
    }
    Some(first)
}
