//! What lies around a language model, or holds one where no site can be read.

use super::super::super::onnx::{NodeProto, ValueInfoProto};
use super::super::shape;
use super::census::Census;
use super::{Guess, place};

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

pub(super) fn generation_loop(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let node = census.first(|node| SEARCHES.contains(&node.op_type()))?;
    Some(Guess::new(
        format!(
            "a whole generation in one operator, {}, with the decoder inside it",
            place(census, node)
        ),
        "audit the decoder alone: export it with token ids in and logits out, without the search around it",
    ))
}

pub(super) fn training(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let node = census.first(|node| {
        TRAINING.contains(&node.domain())
            || LOSSES.contains(&node.op_type())
            || (node.domain() == "com.microsoft" && node.op_type().ends_with("Grad"))
    })?;
    Some(Guess::new(
        format!("a graph for training, with {}", place(census, node)),
        "export the model for inference (`model.eval()`), with token ids in and logits out",
    ))
}

pub(super) fn pipeline(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let advice = "audit the language model's own .onnx file; its text is read with the tokenizer.json beside it";
    let is_text = |input: &&ValueInfoProto| {
        shape::tensor_type(input).and_then(|tensor| tensor.elem_type) == Some(STRING)
    };
    if let Some(input) = census.reach.index.inputs().find(is_text) {
        let what = format!(
            "a step before or after a model: its input `{}` holds text",
            input.name()
        );
        return Some(Guess::new(what, advice));
    }
    let node =
        census.first(|node| PIPELINE.contains(&node.domain()) || TEXT.contains(&node.op_type()))?;
    let what = format!(
        "a step before or after a model, with {}",
        place(census, node)
    );
    Some(Guess::new(what, advice))
}

/// Whether an operator multiplies with weights or attends: what layers are made of.
fn works(node: &NodeProto) -> bool {
    let op = node.op_type();
    op.contains("MatMul") || op.contains("Attention") || matches!(op, "Gemm" | "Conv" | "Einsum")
}

pub(super) fn bodies(census: &Census<'_, '_, '_>) -> Option<Guess> {
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
    Some(Guess::new(
        what,
        if carrier == "If" {
            "export one of the branches as a model of its own: of a merged decoder `decoder_model.onnx` or `decoder_with_past_model.onnx`, not `decoder_model_merged.onnx`"
        } else {
            "export the model with its layers one after the other, without a loop over them"
        },
    ))
}

/// Sums of codes with a scale each: no tensor holds the stream's values.
pub(super) fn quantised(census: &Census<'_, '_, '_>) -> Option<Guess> {
    let node = census.first(|node| node.op_type().starts_with("QLinear"))?;
    Some(Guess::new(
        format!(
            "a model in quantised operators: {} works on codes and not on values",
            place(census, node)
        ),
        "quantise dynamically, or in the QDQ format (`quant_format=QuantFormat.QDQ`), and keep the runtime's optimiser from fusing it",
    ))
}
