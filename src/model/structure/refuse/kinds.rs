//! Models of other kinds: other streams, other inputs, other ways to mix positions, other outputs.

use super::super::super::onnx::ValueInfoProto;
use super::super::{inputs, shape};
use super::census::Census;
use super::{Guess, place};

const RECURRENT: [&str; 3] = ["LSTM", "GRU", "RNN"];
const SCANS: [&str; 4] = ["Scan", "Loop", "CumSum", "Conv"];

pub(super) fn two_streams(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let tokens = census.of_tokens();
    let across = census
        .attentions
        .iter()
        .find(|one| one.keys != 0 && one.queries & tokens & !one.keys != 0)?;
    let quoted = |sources| {
        let names = census.names(sources);
        let names: Vec<String> = names
            .iter()
            .take(3)
            .map(|name| format!("`{name}`"))
            .collect();
        names.join(", ")
    };
    Some(Guess::new(
        format!(
            "an encoder–decoder or its decoder: {} looks from {} at {}",
            place(census, across.node),
            quoted(across.queries & tokens & !across.keys),
            quoted(across.keys)
        ),
        "a decoder that attends to another stream than its own is not audited yet; there is no export that changes that",
    ))
}

/// Inputs that are no text: a convolution reads them first.
pub(super) fn senses(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let index = census.reach.index;
    let tokens = census.of_tokens();
    let nodes = index.order().iter().copied();
    let conv = nodes
        .filter(|&node| {
            index
                .node(node)
                .is_some_and(|node| node.op_type() == "Conv")
        })
        .find(|&node| census.sources(node) != 0 && census.sources(node) & tokens == 0)?;
    let input = census.names(census.sources(conv)).first().copied()?;
    let rank = index
        .input(input)
        .and_then(shape::of_info)
        .map(|dims| dims.len());
    let what = match (census.attentions.is_empty(), tokens != 0, rank) {
        (_, true, _) => "a model of text and of other things",
        (true, _, _) => "a convolution net",
        (false, _, Some(4 | 5)) => "a vision transformer",
        (false, _, _) => "an encoder of sound or of other signals",
    };
    Some(Guess::new(
        format!("{what}: {} reads the input `{input}`", place(census, conv)),
        "only decoders of text are audited: of a model of several parts export the language model, with token ids in and logits out",
    ))
}

pub(super) fn recurrence(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let advice = "blocks are attention and an MLP; a model with other ways to carry state from token to token is not audited yet";
    if let Some(node) = census.first(|node| RECURRENT.contains(&node.op_type())) {
        return Some(Guess::new(
            format!("a recurrent network, with {}", place(census, node)),
            advice,
        ));
    }
    let tokens = census.of_tokens();
    let index = census.reach.index;
    let scan = index.order().iter().copied().find(|&node| {
        index
            .node(node)
            .is_some_and(|message| SCANS.contains(&message.op_type()))
            && index
                .reads(node)
                .any(|name| census.of_value(name) & tokens != 0)
    });
    match (scan, !census.attends()) {
        (Some(node), true) => Some(Guess::new(
            format!(
                "a state-space model or another recurrence: no attention, and {} mixes positions",
                place(census, node)
            ),
            advice,
        )),
        (Some(node), false) => Some(Guess::new(
            format!(
                "a hybrid of attention and a recurrence: {} mixes positions too",
                place(census, node)
            ),
            advice,
        )),
        (None, true) if tokens != 0 => Some(Guess::new(
            "a model without attention: no softmax or fused operator over products of queries and keys",
            advice,
        )),
        (None, _) => None,
    }
}

pub(super) fn embeddings(census: &Census<'_, '_, '_>) -> Option<Guess> {
    if !census.tokens.is_empty() || census.attentions.is_empty() {
        return None;
    }
    let fed = census.attentions.iter().find_map(|one| {
        let names = census.names(one.queries);
        names.into_iter().find(|name| {
            let dims = census.reach.index.input(name).and_then(shape::of_info);
            dims.is_some_and(|dims| dims.len() == 3)
        })
    })?;
    Some(Guess::new(
        format!(
            "a model that is fed embeddings: no token ids are looked up, and attention reads the input `{fed}`"
        ),
        "export the model with token ids as its input, its embedding included",
    ))
}

pub(super) fn outputs(census: &Census<'_, '_, '_>) -> Option<Guess> {
    if census.tokens.is_empty() || census.attentions.is_empty() {
        return None;
    }
    let reach = census.reach;
    let all = &reach.index.graph().output;
    let rank = |output: &ValueInfoProto| shape::of_info(output).map(|dims| dims.len());
    let shown = |output: &ValueInfoProto| {
        format!(
            "`{}` [{}]",
            output.name(),
            shape::symbolic(output).unwrap_or_default().join(", ")
        )
    };
    if let Some(first) = all
        .iter()
        .find(|_| all.iter().all(|one| rank(one).is_some_and(|rank| rank < 3)))
    {
        return Some(Guess::new(
            format!(
                "a classifier, or a model of whole texts: its output {} has no value for each token",
                shown(first)
            ),
            "export the model with its language modelling head: logits [batch, seq, vocab]",
        ));
    }
    let mut tables = reach
        .index
        .order()
        .iter()
        .filter_map(|&node| inputs::lookup(reach, node));
    let width =
        tables.find_map(|(table, _)| shape::dims(reach.index, table)?.last().copied().flatten())?;
    // A decoder may put out hidden states beside its logits.
    let mut cubic = all
        .iter()
        .filter(|output| rank(output).is_none_or(|rank| rank == 3));
    let hidden = cubic.clone().next()?;
    if !cubic.all(|output| shape::width(reach, output.name()) == Some(width)) {
        return None;
    }
    Some(Guess::new(
        format!(
            "a model without its language modelling head: its output {} is as wide as its embedding",
            shown(hidden)
        ),
        "export the model with its language modelling head (`AutoModelForCausalLM`, not `AutoModel`): logits [batch, seq, vocab]",
    ))
}

pub(super) fn no_language(census: &Census<'_, '_, '_>) -> Option<Guess> {
    if !census.tokens.is_empty() || census.attends() {
        return None;
    }
    let conv = census.first(|node| node.op_type() == "Conv");
    Some(Guess::new(
        match conv {
            Some(node) => format!("a convolution net, with {}", place(census, node)),
            None => "no language model: no token ids index a table".into(),
        },
        "name the .onnx file of a decoder: token ids in, logits [batch, seq, vocab] out",
    ))
}
