//! Demanded interventions from YAML.

use super::diagnostic::Code;
use super::reader::Reader;
use super::signals::role;
use super::tree::{Node, Place};
use crate::evidence::{AblationKind, PatchMode};
use crate::model::{Point, SiteName};
use crate::rules::rule::CausalRequest;
use crate::rules::words;

/// Keys of `evidence`.
pub(super) const REQUESTS: [&str; 3] = ["patching", "directional_ablation", "feature_ablation"];

/// Fewer could not separate an effect from chance at 0.05 (Phipson & Smyth 2010).
pub(in crate::rules) const LEAST_RANDOM: usize = 20;

/// A cell is chosen on some groups and measured on others, so one pair is not enough.
pub(in crate::rules) const LEAST_PAIRS: usize = 2;

/// What `evidence` demands: `None` for a request in which something is wrong, which was reported.
pub(super) type Demands = Vec<(&'static str, Option<CausalRequest>, Place)>;

pub(super) fn read(reader: &mut Reader, node: &Node) -> Demands {
    let mut demands = Demands::new();
    let Some(fields) = reader.fields(node, "`evidence`", &REQUESTS) else {
        return demands;
    };
    for name in REQUESTS {
        if let Some(value) = fields.optional(name) {
            let request = match name {
                "patching" => patching(reader, value),
                "directional_ablation" => ablation(reader, value, name, AblationKind::Directional),
                _ => ablation(reader, value, name, AblationKind::Feature),
            };
            demands.push((name, request, value.place));
        }
    }
    if demands.is_empty() {
        reader.report_with_hint(
            node.place,
            Code::Empty,
            "`evidence` demands nothing",
            "leave it out instead",
        );
    }
    demands
}

fn patching(reader: &mut Reader, node: &Node) -> Option<CausalRequest> {
    let known = ["modes", "point", "max_pairs", "random_directions"];
    let fields = reader.fields(node, "`patching`", &known)?;
    let modes = reader
        .required(&fields, "modes")
        .and_then(|node| modes(reader, node));
    let point = reader
        .required(&fields, "point")
        .and_then(|node| point(reader, node));
    let max_pairs = reader.required(&fields, "max_pairs").and_then(|node| {
        let why = "a cell is chosen on some pairs and measured on others";
        reader.count(node, "`max_pairs`", LEAST_PAIRS, why)
    });
    let random_directions = reader
        .required(&fields, "random_directions")
        .and_then(|node| random(reader, node));
    Some(CausalRequest::Patching {
        modes: modes?,
        point: point?,
        max_pairs: max_pairs?,
        random_directions: random_directions?,
    })
}

fn ablation(
    reader: &mut Reader,
    node: &Node,
    name: &str,
    kind: AblationKind,
) -> Option<CausalRequest> {
    let known = ["detector", "random_directions", "max_items"];
    let fields = reader.fields(node, &format!("`{name}`"), &known)?;
    let role = reader
        .required(&fields, "detector")
        .and_then(|node| role(reader, node, &format!("`detector` of `{name}`")));
    let random_directions = reader
        .required(&fields, "random_directions")
        .and_then(|node| random(reader, node));
    let max_items = reader
        .required(&fields, "max_items")
        .and_then(|node| reader.count(node, "`max_items`", 1, "nothing would be ablated"));
    let (role, random_directions, max_items) = (role?, random_directions?, max_items?);
    Some(match kind {
        AblationKind::Directional => CausalRequest::DirectionalAblation {
            role,
            random_directions,
            max_items,
        },
        AblationKind::Feature => CausalRequest::FeatureAblation {
            role,
            random_directions,
            max_items,
        },
    })
}

fn random(reader: &mut Reader, node: &Node) -> Option<usize> {
    let why = "with fewer random directions chance cannot be excluded";
    reader.count(node, "`random_directions`", LEAST_RANDOM, why)
}

fn modes(reader: &mut Reader, node: &Node) -> Option<Vec<PatchMode>> {
    let known = [PatchMode::Denoising, PatchMode::Noising].map(words::mode);
    let read: Vec<_> = reader
        .list(node, "`modes`")?
        .iter()
        .map(|item| reader.word(item, "a mode", &known).and_then(words::mode_of))
        .collect();
    let mut modes = read.into_iter().collect::<Option<Vec<_>>>()?;
    modes.sort_unstable();
    modes.dedup();
    Some(modes)
}

/// The places in a block, as TransformerLens spells them.
pub(in crate::rules) fn points() -> Vec<(Point, String)> {
    [
        Point::ResidPre,
        Point::ResidMid,
        Point::ResidPost,
        Point::AttnOut,
        Point::MlpOut,
    ]
    .into_iter()
    .filter_map(|point| {
        let name = SiteName::block(0, point).to_string();
        name.strip_prefix("blocks.0.")
            .map(|hook| (point, hook.to_owned()))
    })
    .collect()
}

fn point(reader: &mut Reader, node: &Node) -> Option<Point> {
    let points = points();
    let known: Vec<&str> = points.iter().map(|(_, name)| name.as_str()).collect();
    let word = reader.word(node, "`point`", &known)?;
    points
        .iter()
        .find(|(_, name)| name == word)
        .map(|(point, _)| *point)
}
