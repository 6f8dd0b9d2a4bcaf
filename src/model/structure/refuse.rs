//! What a graph seems to be in which no residual stream was found, and what to do about it.
//!
//! Nothing here keeps a model from an audit: it speaks only after the search has failed, and adds to the place where the
//! chain broke. What it says is read from operators, inputs and the flow of data between them.

use super::super::index::GraphIndex;
use super::super::onnx::{NodeProto, ValueInfoProto};
use super::census::Census;
use super::inputs::lookup;
use super::reach::Reach;
use super::shape;
use crate::fault::Fault;

const STRING: i32 = 8;
/// Domains of classical machine learning and of text processing.
const PIPELINE: [&str; 3] = ["ai.onnx.ml", "ai.onnx.contrib", "com.microsoft.extensions"];
const TRAINING: [&str; 2] = ["ai.onnx.preview.training", "ai.onnx.training"];
const TEXT: [&str; 6] = [
    "StringNormalizer",
    "StringConcat",
    "StringSplit",
    "RegexFullReplace",
    "TfIdfVectorizer",
    "Tokenizer",
];
const LOSSES: [&str; 3] = [
    "SoftmaxCrossEntropyLoss",
    "NegativeLogLikelihoodLoss",
    "SoftmaxCrossEntropyLossInternal",
];
const SEARCHES: [&str; 4] = [
    "BeamSearch",
    "GreedySearch",
    "Sampling",
    "WhisperBeamSearch",
];
const RECURRENT: [&str; 3] = ["LSTM", "GRU", "RNN"];
const SCANS: [&str; 4] = ["Scan", "Loop", "CumSum", "Conv"];

/// A guess with its grounds.
struct Guess {
    what: String,
    advice: &'static str,
}

fn guess(what: impl Into<String>, advice: &'static str) -> Option<Guess> {
    Some(Guess {
        what: what.into(),
        advice,
    })
}

/// Adds to the fault of a failed search what the graph seems to be.
pub(super) fn explain(index: &GraphIndex<'_>, fault: Fault) -> Fault {
    let reach = Reach::new(index);
    let census = Census::of(&reach);
    let checks = [
        generation_loop,
        training,
        pipeline,
        bodies,
        quantised,
        two_streams,
        senses,
        recurrence,
        embeddings,
        outputs,
        no_language,
    ];
    match checks.iter().find_map(|check| check(&census)) {
        None => fault,
        Some(guess) => Fault {
            found: format!("{}; {}", guess.what, fault.found),
            hint: guess.advice.into(),
            ..fault
        },
    }
}

fn place(census: &Census<'_, '_, '_>, node: usize) -> String {
    census.reach.index.describe(node)
}

fn generation_loop(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let node = census.first(|node| SEARCHES.contains(&node.op_type()))?;
    guess(
        format!(
            "a whole generation in one operator, {}, with the decoder inside it",
            place(census, node)
        ),
        "audit the decoder alone: export it with token ids in and logits out, without the search around it",
    )
}

fn training(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let node = census.first(|node| {
        TRAINING.contains(&node.domain())
            || LOSSES.contains(&node.op_type())
            || (node.domain() == "com.microsoft" && node.op_type().ends_with("Grad"))
    })?;
    guess(
        format!("a graph for training, with {}", place(census, node)),
        "export the model for inference (`model.eval()`), with token ids in and logits out",
    )
}

fn pipeline(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let advice = "audit the language model's own .onnx file; its text is read with the tokenizer.json beside it";
    let is_text = |input: &&ValueInfoProto| {
        shape::tensor_type(input).and_then(|tensor| tensor.elem_type) == Some(STRING)
    };
    if let Some(input) = census.reach.index.inputs().find(is_text) {
        let what = format!(
            "a step before or after a model: its input `{}` holds text",
            input.name()
        );
        return guess(what, advice);
    }
    let node =
        census.first(|node| PIPELINE.contains(&node.domain()) || TEXT.contains(&node.op_type()))?;
    let what = format!(
        "a step before or after a model, with {}",
        place(census, node)
    );
    guess(what, advice)
}

/// Whether an operator multiplies with weights or attends: what layers are made of.
fn works(node: &NodeProto) -> bool {
    let op = node.op_type();
    op.contains("MatMul") || op.contains("Attention") || matches!(op, "Gemm" | "Conv" | "Einsum")
}

fn bodies(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let index = census.reach.index;
    let own = |at: usize, node: &NodeProto| {
        index
            .node(at)
            .is_some_and(|outer| std::ptr::eq(outer, node))
    };
    let (outside, inside): (Vec<_>, Vec<_>) = census
        .operators
        .iter()
        .filter(|(_, node)| works(node))
        .partition(|(at, node)| own(*at, node));
    let (at, _) = inside.first().filter(|_| inside.len() > outside.len())?;
    let carrier = index.node(*at)?.op_type();
    let what = format!(
        "layers in the subgraphs of {}, where no site can be read",
        place(census, *at)
    );
    guess(
        what,
        if carrier == "If" {
            "export one of the branches as a model of its own: of a merged decoder `decoder_model.onnx` or `decoder_with_past_model.onnx`, not `decoder_model_merged.onnx`"
        } else {
            "export the model with its layers one after the other, without a loop over them"
        },
    )
}

/// Sums of codes with a scale each: no tensor holds the stream's values.
fn quantised(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let node = census.first(|node| node.op_type().starts_with("QLinear"))?;
    guess(
        format!(
            "a model in quantised operators: {} works on codes and not on values",
            place(census, node)
        ),
        "quantise dynamically, or in the QDQ format (`quant_format=QuantFormat.QDQ`), and keep the runtime's optimiser from fusing it",
    )
}

fn two_streams(census: &Census<'_, '_, '_>) -> Option<Guess> {
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
    guess(
        format!(
            "an encoder–decoder or its decoder: {} looks from {} at {}",
            place(census, across.node),
            quoted(across.queries & tokens & !across.keys),
            quoted(across.keys)
        ),
        "a decoder that attends to another stream than its own is not audited yet; there is no export that changes that",
    )
}

/// Inputs that are no text: a convolution reads them first.
fn senses(census: &Census<'_, '_, '_>) -> Option<Guess> {
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
    guess(
        format!("{what}: {} reads the input `{input}`", place(census, conv)),
        "only decoders of text are audited: of a model of several parts export the language model, with token ids in and logits out",
    )
}

fn recurrence(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let advice = "blocks are attention and an MLP; a model with other ways to carry state from token to token is not audited yet";
    if let Some(node) = census.first(|node| RECURRENT.contains(&node.op_type())) {
        return guess(
            format!("a recurrent network, with {}", place(census, node)),
            advice,
        );
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
        (Some(node), true) => guess(
            format!(
                "a state-space model or another recurrence: no attention, and {} mixes positions",
                place(census, node)
            ),
            advice,
        ),
        (Some(node), false) => guess(
            format!(
                "a hybrid of attention and a recurrence: {} mixes positions too",
                place(census, node)
            ),
            advice,
        ),
        (None, true) if tokens != 0 => guess(
            "a model without attention: no softmax or fused operator over products of queries and keys",
            advice,
        ),
        (None, _) => None,
    }
}

fn embeddings(census: &Census<'_, '_, '_>) -> Option<Guess> {
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
    guess(
        format!(
            "a model that is fed embeddings: no token ids are looked up, and attention reads the input `{fed}`"
        ),
        "export the model with token ids as its input, its embedding included",
    )
}

fn outputs(census: &Census<'_, '_, '_>) -> Option<Guess> {
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
        return guess(
            format!(
                "a classifier, or a model of whole texts: its output {} has no value for each token",
                shown(first)
            ),
            "export the model with its language modelling head: logits [batch, seq, vocab]",
        );
    }
    let mut tables = reach
        .index
        .order()
        .iter()
        .filter_map(|&node| lookup(reach, node));
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
    guess(
        format!(
            "a model without its language modelling head: its output {} is as wide as its embedding",
            shown(hidden)
        ),
        "export the model with its language modelling head (`AutoModelForCausalLM`, not `AutoModel`): logits [batch, seq, vocab]",
    )
}

fn no_language(census: &Census<'_, '_, '_>) -> Option<Guess> {
    if !census.tokens.is_empty() || census.attends() {
        return None;
    }
    let conv = census.first(|node| node.op_type() == "Conv");
    guess(
        match conv {
            Some(node) => format!("a convolution net, with {}", place(census, node)),
            None => "no language model: no token ids index a table".into(),
        },
        "name the .onnx file of a decoder: token ids in, logits [batch, seq, vocab] out",
    )
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::print_stdout,
        reason = "a test that cannot go on fails"
    )]

    use std::path::{Path, PathBuf};

    use super::super::super::file::Model;
    use super::*;

    /// Of an ordinary decoder nothing is said but where the chain broke, whatever broke it.
    #[test]
    fn an_ordinary_decoder_seems_to_be_nothing_else() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let extra = std::env::var_os("CANDOR_DECODERS").map(PathBuf::from);
        for folder in [Some(root.join("../shared/zoo")), extra]
            .into_iter()
            .flatten()
        {
            let Ok(models) = std::fs::read_dir(&folder) else {
                println!("skipped: {} is not here", folder.display());
                continue;
            };
            for model in models {
                let path = model.unwrap().path().join("model.onnx");
                if !path.is_file() || path.to_string_lossy().contains(".refused") {
                    continue;
                }
                let model = Model::open(&path).unwrap();
                let index = GraphIndex::new(model.graph()).unwrap();
                let mut ops = model.graph().node.iter().map(NodeProto::op_type);
                if ops.any(|op| op.starts_with("QLinear")) {
                    continue;
                }
                let fault = Fault::usage("finding", "a break");
                assert_eq!(explain(&index, fault.clone()), fault, "{}", path.display());
            }
        }
    }
}
