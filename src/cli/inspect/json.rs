//! The page for programs.

use serde_json::{Map, Value, json};

use super::{Seen, words};
use crate::model::{
    Activation, Architecture, Block, MlpKind, Norm, Norms, Overview, Port, Positions, Quantisation,
    Stored,
};

pub fn page(seen: &Seen<'_>) -> Value {
    let mut page = Map::new();
    let overview = &seen.overview;
    match seen.found {
        Ok(arch) => {
            page.insert("architecture".into(), architecture(arch));
            page.insert("sites".into(), sites(arch));
            page.insert("absent".into(), absent(arch));
            page.insert("logits".into(), json!(arch.logits));
        }
        Err(fault) => {
            let refused = json!({
                "doing": fault.doing, "found": fault.found, "expected": fault.expected, "hint": fault.hint,
            });
            page.insert("refused".into(), refused);
        }
    }
    let arch = seen.architecture();
    page.insert(
        "inputs".into(),
        overview
            .inputs
            .iter()
            .map(|port| input(port, arch))
            .collect(),
    );
    page.insert(
        "outputs".into(),
        overview
            .outputs
            .iter()
            .map(described)
            .map(Value::Object)
            .collect(),
    );
    page.insert("file".into(), file(overview));
    page.insert(
        "weights".into(),
        overview.weights.iter().map(stored).collect(),
    );
    page.insert("files".into(), files(seen));
    Value::Object(page)
}

fn architecture(arch: &Architecture) -> Value {
    let facts = &arch.facts;
    let unused = &facts.unused;
    json!({
        "n_layers": arch.n_layers,
        "d_model": arch.d_model,
        "n_heads": arch.n_heads,
        "vocab_size": arch.vocab_size,
        "family_hint": arch.family_hint,
        "blocks": arch.blocks.iter().map(block).collect::<Vec<_>>(),
        "embedding": {
            "positions_added": facts.added_positions.then_some(true),
            "norm": facts.embedding_norm.map(Norm::name),
            "scale": facts.embedding_scale,
        },
        "head": {
            "norm": facts.final_norm.map(Norm::name),
            "tied": facts.tied.then_some(true),
            "soft_cap": facts.logit_cap,
            "scale": facts.logit_scale,
        },
        "unused": {
            "nodes": unused.nodes,
            "of_nodes": unused.of_nodes,
            "products": unused.products,
            "weights": unused.weights,
            "of_weights": unused.of_weights,
            "parameters": unused.parameters,
        },
    })
}

fn block(block: &Block) -> Value {
    let facts = &block.facts;
    let attention = &facts.attention;
    json!({
        "parallel": block.parallel,
        "attention": block.attention,
        "n_heads": attention.heads,
        "n_kv_heads": attention.kv_heads,
        "d_head": attention.d_head,
        "fused_qkv": attention.fused_qkv,
        "qk_norm": attention.qk_norm.map(Norm::name),
        "positions": attention.positions.map(|positions| match positions {
            Positions::Rotary => "rotary",
            Positions::Alibi => "alibi",
        }),
        "window": attention.window,
        "score_soft_cap": attention.score_cap,
        "attention_norms": norms(facts.attention_norms),
        "mlp": mlp(block),
        "mlp_norms": norms(facts.mlp_norms),
        "one_norm": facts.one_norm,
    })
}

fn norms(norms: Norms) -> Value {
    json!({
        "placement": norms.placement(),
        "before": norms.before.map(Norm::name),
        "after": norms.after.map(Norm::name),
        "stream": norms.stream.map(Norm::name),
    })
}

fn mlp(block: &Block) -> Value {
    let facts = &block.facts.mlp;
    let (kind, experts) = match &facts.kind {
        None => (None, None),
        Some(MlpKind::Absent) => (Some("none"), None),
        Some(MlpKind::Plain) => (Some("plain"), None),
        Some(MlpKind::Gated) => (Some("gated"), None),
        Some(MlpKind::Experts {
            count,
            chosen,
            gated,
            shared,
        }) => (
            Some("experts"),
            Some(json!({ "count": count, "chosen": chosen, "gated": gated, "shared": shared })),
        ),
    };
    json!({
        "kind": kind,
        "experts": experts,
        "width": facts.width,
        "activation": facts.activation.map(Activation::name),
    })
}

fn sites(arch: &Architecture) -> Value {
    let site = |site: &crate::model::Site| json!({ "name": site.name.to_string(), "tensor": site.tensor.name(), "shape": site.shape });
    arch.sites.iter().map(site).collect()
}

fn absent(arch: &Architecture) -> Value {
    let one = |absent: &crate::model::Absent| json!({ "name": absent.name.to_string(), "why": absent.why });
    arch.absent.iter().map(one).collect()
}

fn described(port: &Port) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("name".into(), json!(port.name));
    fields.insert("element".into(), json!(port.element));
    fields.insert("shape".into(), json!(port.shape));
    fields
}

fn input(port: &Port, arch: Option<&Architecture>) -> Value {
    let mut fields = described(port);
    let known = arch.and_then(|arch| arch.inputs.iter().find(|input| input.name == port.name));
    if let Some(input) = known {
        fields.insert("role".into(), json!(words::role(&input.role)));
    }
    Value::Object(fields)
}

fn file(overview: &Overview) -> Value {
    let counts = |all: &[(String, usize)]| {
        all.iter()
            .map(|(op, count)| (op.clone(), json!(count)))
            .collect::<Map<_, _>>()
    };
    json!({
        "producer": overview.producer,
        "ir_version": overview.ir_version,
        "opsets": overview.opsets.iter().map(|(domain, version)| (domain.clone(), json!(version))).collect::<Map<_, _>>(),
        "nodes": overview.nodes,
        "operators": counts(&overview.operators),
        "fused": counts(&overview.fused),
        "parameters": overview.parameters(),
    })
}

fn stored(stored: &Stored) -> Value {
    let (how, block) = match stored.quantisation {
        None => (None, None),
        Some(Quantisation::Blocks(size)) => (Some("blocks"), Some(size)),
        Some(Quantisation::Dynamic) => (Some("dynamic"), None),
        Some(Quantisation::Dequantised) => (Some("dequantised"), None),
        Some(Quantisation::Static) => (Some("static"), None),
    };
    json!({
        "element": stored.element,
        "quantisation": how,
        "block_size": block,
        "tensors": stored.tensors,
        "parameters": stored.parameters,
        "bytes": stored.bytes,
    })
}

fn files(seen: &Seen<'_>) -> Value {
    let one = |(number, file): (usize, &crate::model::ModelFile)| {
        let mut fields = Map::new();
        fields.insert("path".into(), json!(file.path));
        fields.insert("bytes".into(), json!(file.bytes));
        if let Some(digest) = seen.digests.get(number) {
            fields.insert("sha256".into(), json!(digest.sha256));
        }
        Value::Object(fields)
    };
    seen.files.iter().enumerate().map(one).collect()
}
