//! A guess at the model's family for people to read. Nothing is decided by it.

use super::super::architecture::Block;
use super::super::onnx::{ModelProto, TensorProto};

/// Parts of weight names and metadata that families are known by, the more telling first.
const FAMILIES: [(&str, &str); 16] = [
    ("gpt_neox", "GPT-NeoX"),
    ("gptj", "GPT-J"),
    ("gemma", "Gemma"),
    ("mixtral", "Mixtral"),
    ("mistral", "Mistral"),
    ("qwen", "Qwen"),
    ("olmo", "OLMo"),
    ("cohere", "Cohere"),
    ("falcon", "Falcon"),
    ("bloom", "BLOOM"),
    ("phi", "Phi"),
    ("llama", "Llama"),
    ("transformer.wpe", "GPT-2"),
    ("word_embeddings_layernorm", "BLOOM"),
    ("decoder.embed_positions", "OPT"),
    ("mlp.gate_proj", "Llama-like"),
];

/// Family by metadata or weight names where they tell, then how the blocks are built.
pub(super) fn family(proto: &ModelProto, blocks: &[Block]) -> String {
    let graph = proto.graph.iter();
    let metadata = proto
        .metadata_props
        .iter()
        .map(|entry| entry.value().to_ascii_lowercase());
    let names = graph.flat_map(|graph| {
        let weights = graph.initializer.iter().map(TensorProto::name);
        weights.chain([graph.name()]).map(str::to_ascii_lowercase)
    });
    let texts: Vec<String> = metadata.chain(names).collect();
    let known = FAMILIES
        .iter()
        .find(|(part, _)| texts.iter().any(|text| text.contains(part)))
        .map_or("decoder", |(_, family)| family);
    let order = if blocks.iter().all(|block| block.parallel) {
        "parallel"
    } else if blocks.iter().any(|block| block.parallel) {
        "mixed"
    } else {
        "sequential"
    };
    let attention = blocks.first().map_or("", |block| block.attention.as_str());
    format!("{known} ({order} blocks, {attention} attention)")
}
