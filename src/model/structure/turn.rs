//! Where batch and sequence change places: code of before `batch_first` keeps `[seq, batch, …]` inside, some of it up to
//! the logits. Such a tensor has the right number of elements and of axes, so that nothing else would tell.

use std::collections::{HashSet, VecDeque};

use super::super::index::{GraphIndex, attribute};
use super::inputs;
use super::reach::Reach;
use crate::fault::Result;

/// Whether a node exchanges the first two of three axes or more, and no others.
pub(super) fn is_turn(index: &GraphIndex<'_>, node: usize) -> bool {
    index.node(node).is_some_and(|message| {
        message.op_type() == "Transpose"
            && attribute(message, "perm").is_some_and(|perm| match perm.ints.as_slice() {
                [1, 0, rest @ ..] => {
                    !rest.is_empty() && rest.iter().zip(2..).all(|(axis, own)| *axis == own)
                }
                _ => false,
            })
    })
}

/// Whether the two axes have changed places an odd number of times between `to` and the tensor `from` that is computed
/// from it, by the shortest way.
pub(super) fn between(reach: &Reach<'_, '_>, from: &str, to: &str) -> Result<bool> {
    let floor = reach
        .index
        .producer(to)
        .map(|(node, _)| reach.index.rank(node));
    search(reach, from, floor, |name, _| name == to)
}

/// The same between the token ids and a tensor.
pub(super) fn since_tokens(reach: &Reach<'_, '_>, from: &str, tokens: &str) -> Result<bool> {
    let looked_up = search(reach, from, None, |_, node| is_lookup(reach, node, tokens))?;
    // Ids may be turned themselves, before they are looked up.
    let nodes = reach.region(from, None)?;
    let lookup = nodes
        .iter()
        .find(|&&node| is_lookup(reach, Some(node), tokens));
    let indices = lookup.and_then(|&node| inputs::lookup(reach, node));
    let turned = indices.is_some_and(|(_, indices)| ids_are_turned(reach, indices));
    Ok(looked_up ^ turned)
}

fn is_lookup(reach: &Reach<'_, '_>, node: Option<usize>, tokens: &str) -> bool {
    node.and_then(|node| inputs::lookup(reach, node))
        .and_then(|(_, indices)| inputs::fed_directly(reach, indices))
        .is_some_and(|input| input == tokens)
}

fn ids_are_turned(reach: &Reach<'_, '_>, indices: &str) -> bool {
    let mut at = indices;
    let mut turned = false;
    while let Some((node, _)) = reach.index.producer(at) {
        let Some(message) = reach.index.node(node) else {
            break;
        };
        turned ^= message.op_type() == "Transpose";
        match message.input.first() {
            Some(input) => at = input,
            None => break,
        }
    }
    turned
}

/// Walks back from a tensor, breadth first, until `found` says of a tensor and its node that it is there.
fn search(
    reach: &Reach<'_, '_>,
    from: &str,
    floor: Option<usize>,
    found: impl Fn(&str, Option<usize>) -> bool,
) -> Result<bool> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut open: VecDeque<(&str, bool)> = VecDeque::from([(from, false)]);
    while let Some((at, turned)) = open.pop_front() {
        reach.step()?;
        let node = reach.index.producer(at).map(|(node, _)| node);
        if found(at, node) {
            return Ok(turned);
        }
        let Some(node) = node else { continue };
        if floor.is_some_and(|floor| reach.index.rank(node) < floor) {
            continue;
        }
        let turned = turned ^ is_turn(reach.index, node);
        for name in reach.live_inputs(node) {
            if seen.insert(name) {
                open.push_back((name, turned));
            }
        }
    }
    Ok(false)
}
