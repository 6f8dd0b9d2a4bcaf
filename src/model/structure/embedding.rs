//! The embedding of the tokens alone, inside the sum that the stream begins with.

use super::super::operators::{Role, role};
use super::reach::Reach;
use super::value::{Value, behind_quantised, behind_scale, behind_transparent};
use super::{inputs, linear, norm, shape};
use crate::fault::Result;

/// How many operators are passed between the first block and the lookup.
const FAR: usize = 64;

/// The tensor that the lookup of the token ids adds to the stream: without learned positions and token types, and before
/// the norm that some models apply to the sum.
///
/// # Errors
/// The graph is too tangled.
pub(super) fn of_tokens<'g>(
    reach: &Reach<'_, 'g>,
    embedding: &'g str,
    tokens: &str,
) -> Result<std::result::Result<&'g str, String>> {
    let mut found = embedding;
    let mut at = Value::Named(embedding);
    for _ in 0..FAR {
        if let Some(side) = token_side(reach, at, tokens)? {
            found = side;
            at = Value::Named(side);
            continue;
        }
        let Value::Named(name) = at else { break };
        let Some((node, _)) = reach.index.producer(name) else {
            break;
        };
        let op = reach.index.node(node).map_or("", |node| node.op_type());
        // A lookup that is more than that: it adds positions and normalises.
        if matches!(role(op), Some(Role::Lookup { table, .. }) if table > 1) {
            return Ok(Err(format!(
                "the fused operator `{op}` adds positions to it and puts out the sum alone"
            )));
        }
        let behind = norm::input_behind_affine(reach, name)
            .or_else(|| behind_transparent(reach, name).map(Value::Named))
            .or_else(|| behind_quantised(reach, name).map(Value::Named))
            .or_else(|| behind_scale(reach, name).map(Value::Named))
            .or_else(|| linear::data(reach, node).map(Value::Named))
            .or_else(|| norm::behind_affine(reach, name).map(Value::Named));
        let Some(behind) = behind else {
            let moves = matches!(role(op), None | Some(Role::Move)) && reach.is_live(name);
            if moves && found == embedding {
                return Ok(Err(format!(
                    "{} stands between the lookup of the token ids and the first block",
                    reach.index.describe(node)
                )));
            }
            break;
        };
        at = behind;
    }
    Ok(Ok(found))
}

/// The term of a sum that looks the token ids up, if `value` is a sum with positions or types.
fn token_side<'g>(
    reach: &Reach<'_, 'g>,
    value: Value<'g>,
    tokens: &str,
) -> Result<Option<&'g str>> {
    let Some(node) = value.node(reach.index) else {
        return Ok(None);
    };
    let Some(message) = reach.index.node(node) else {
        return Ok(None);
    };
    // The terms may be fixed: positions are, if they are counted from the length alone or the length is fixed.
    let terms: Vec<&'g str> = match value.terms(reach) {
        Some(terms) => terms.into(),
        None if message.op_type() == "Add" => {
            let terms = message.input.iter().map(String::as_str);
            terms
                .filter(|name| reach.is_live(name) || !is_bias(reach, name))
                .collect()
        }
        None => return Ok(None),
    };
    let [a, b] = terms.as_slice() else {
        return Ok(None);
    };
    Ok(
        match (looks_up(reach, a, tokens)?, looks_up(reach, b, tokens)?) {
            (true, false) => Some(*a),
            (false, true) => Some(*b),
            _ => None,
        },
    )
}

fn looks_up<'g>(reach: &Reach<'_, 'g>, term: &'g str, tokens: &str) -> Result<bool> {
    let region = reach.region(term, None)?;
    Ok(region.iter().any(|&node| {
        inputs::lookup(reach, node)
            .and_then(|(_, indices)| inputs::fed_directly(reach, indices))
            .is_some_and(|input| input == tokens)
    }))
}

/// Whether a constant has one value for each feature, the same for every position.
fn is_bias(reach: &Reach<'_, '_>, name: &str) -> bool {
    let dims = reach
        .index
        .constant(name)
        .and(shape::dims(reach.index, name));
    dims.is_some_and(|dims| dims.iter().rev().skip(1).all(|size| *size == Some(1)))
}
