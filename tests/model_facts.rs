//! What the structure tells of heads, norms, MLPs and weights, against the configurations that the reference models were
//! made with (`tests/fixtures/export/architectures.py` and the defaults of transformers' configuration classes).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on fails"
)]

use std::path::{Path, PathBuf};

use candor::model::{
    Activation, Architecture, Block, MlpKind, Model, Norm, Overview, Positions, Quantisation,
    Stored,
};

/// One architecture; `None` where the graph is not to tell.
#[derive(Clone, Copy)]
struct Expected {
    name: &'static str,
    heads: [usize; 2],
    d_head: usize,
    norm: Norm,
    placement: Option<&'static str>,
    mlp: Mlp,
    width: usize,
    activation: Activation,
    positions: Option<Positions>,
    parallel: bool,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Mlp {
    Absent,
    Plain,
    Gated,
    Experts { shared: bool },
    Unsaid,
}

const GPT: Expected = Expected {
    name: "gpt2",
    heads: [4, 4],
    d_head: 8,
    norm: Norm::Layer,
    placement: Some("pre"),
    mlp: Mlp::Plain,
    width: 48,
    activation: Activation::GeluTanh,
    positions: None,
    parallel: false,
};
const LLAMA: Expected = Expected {
    name: "llama",
    heads: [4, 2],
    norm: Norm::Rms,
    mlp: Mlp::Gated,
    activation: Activation::Silu,
    positions: Some(Positions::Rotary),
    ..GPT
};
const BERT: Expected = Expected {
    name: "bert",
    placement: Some("post, on the stream"),
    activation: Activation::Gelu,
    ..GPT
};
const ROTARY: Expected = Expected {
    positions: Some(Positions::Rotary),
    ..GPT
};
const EXPERTS: Expected = Expected {
    mlp: Mlp::Experts { shared: false },
    ..LLAMA
};
const SANDWICH: Expected = Expected {
    placement: Some("sandwich"),
    activation: Activation::GeluTanh,
    ..LLAMA
};

/// Two heads of 16, one of them for keys and values.
const fn wide(name: &'static str, one: Expected) -> Expected {
    let kv = if one.heads[1] == 4 { 2 } else { 1 };
    Expected {
        name,
        heads: [2, kv],
        d_head: 16,
        ..one
    }
}

const fn named(name: &'static str, one: Expected) -> Expected {
    Expected { name, ..one }
}

const NEOX: Expected = Expected {
    name: "neox",
    activation: Activation::Gelu,
    parallel: true,
    ..ROTARY
};
const PHI: Expected = Expected {
    name: "phi",
    parallel: true,
    ..ROTARY
};
const NEMOTRON: Expected = Expected {
    name: "nemotron",
    heads: [4, 2],
    activation: Activation::SquaredRelu,
    ..ROTARY
};

const ARCHITECTURES: &[Expected] = &[
    GPT,
    named("gptneo", GPT),
    named(
        "ctrl",
        Expected {
            activation: Activation::Relu,
            ..GPT
        },
    ),
    Expected {
        name: "gptbigcode",
        heads: [4, 1],
        ..GPT
    },
    Expected {
        name: "gpt1",
        width: 128,
        placement: Some("post, on the stream"),
        ..GPT
    },
    Expected {
        name: "opt",
        activation: Activation::Relu,
        ..GPT
    },
    Expected {
        name: "opt350",
        activation: Activation::Relu,
        placement: Some("post, on the stream"),
        ..GPT
    },
    Expected {
        name: "xglm",
        activation: Activation::Gelu,
        ..GPT
    },
    Expected {
        name: "biogpt",
        activation: Activation::Gelu,
        ..GPT
    },
    Expected {
        name: "nanogpt",
        width: 64,
        activation: Activation::Gelu,
        ..GPT
    },
    Expected {
        name: "attn_only",
        mlp: Mlp::Absent,
        ..GPT
    },
    Expected {
        name: "no_norm",
        mlp: Mlp::Absent,
        placement: None,
        ..GPT
    },
    // The table of biases is counted out in advance, so that no slopes are left in the graph.
    Expected {
        name: "mpt",
        width: 128,
        activation: Activation::Gelu,
        ..GPT
    },
    Expected {
        name: "bloom",
        width: 128,
        positions: Some(Positions::Alibi),
        ..GPT
    },
    NEOX,
    Expected {
        name: "neox_seq",
        parallel: false,
        ..NEOX
    },
    Expected {
        name: "gptj",
        parallel: true,
        ..ROTARY
    },
    Expected {
        name: "codegen",
        parallel: true,
        ..ROTARY
    },
    Expected {
        name: "falcon",
        heads: [4, 1],
        width: 128,
        ..NEOX
    },
    Expected {
        name: "falcon_new",
        heads: [4, 2],
        width: 128,
        ..NEOX
    },
    PHI,
    Expected {
        name: "persimmon",
        activation: Activation::SquaredRelu,
        ..ROTARY
    },
    Expected {
        name: "starcoder2",
        heads: [4, 2],
        ..ROTARY
    },
    NEMOTRON,
    LLAMA,
    named("tinyllama", LLAMA),
    named("mistral", LLAMA),
    named("qwen2", LLAMA),
    named("qwen3", LLAMA),
    named("phi3", LLAMA),
    named("granite", LLAMA),
    named("helium", LLAMA),
    named("glm", LLAMA),
    named("smollm3", LLAMA),
    Expected {
        name: "olmo",
        norm: Norm::Layer,
        ..LLAMA
    },
    Expected {
        name: "stablelm",
        norm: Norm::Layer,
        ..LLAMA
    },
    Expected {
        name: "stablelm_par",
        norm: Norm::Layer,
        parallel: true,
        ..LLAMA
    },
    Expected {
        name: "cohere",
        norm: Norm::Layer,
        parallel: true,
        ..LLAMA
    },
    Expected {
        name: "cohere2",
        norm: Norm::Layer,
        parallel: true,
        ..LLAMA
    },
    Expected {
        name: "gemma",
        activation: Activation::GeluTanh,
        ..LLAMA
    },
    named("gemma2", SANDWICH),
    named("gemma3", SANDWICH),
    Expected {
        name: "glm4",
        activation: Activation::Silu,
        ..SANDWICH
    },
    Expected {
        name: "olmo2",
        placement: Some("post, on the branch"),
        ..LLAMA
    },
    Expected {
        name: "olmo3",
        placement: Some("post, on the branch"),
        ..LLAMA
    },
    Expected {
        name: "exaone4",
        placement: Some("post, on the branch"),
        ..LLAMA
    },
    Expected {
        name: "arcee",
        mlp: Mlp::Plain,
        activation: Activation::SquaredRelu,
        ..LLAMA
    },
    Expected {
        name: "nanochat",
        mlp: Mlp::Plain,
        activation: Activation::SquaredRelu,
        ..LLAMA
    },
    Expected {
        name: "apertus",
        mlp: Mlp::Plain,
        activation: Activation::Other,
        ..LLAMA
    },
    Expected {
        name: "modern",
        heads: [4, 4],
        mlp: Mlp::Plain,
        width: 64,
        ..LLAMA
    },
    named("mixtral", EXPERTS),
    named("olmoe", EXPERTS),
    named("granitemoe", EXPERTS),
    Expected {
        name: "gptoss",
        activation: Activation::QuickGelu,
        ..EXPERTS
    },
    Expected {
        name: "qwen3moe",
        width: 16,
        ..EXPERTS
    },
    Expected {
        name: "qwen2moe",
        width: 16,
        mlp: Mlp::Experts { shared: true },
        ..LLAMA
    },
    // Its router chooses by masks, twice.
    Expected {
        name: "phimoe",
        norm: Norm::Layer,
        mlp: Mlp::Unsaid,
        ..LLAMA
    },
    BERT,
    named("bert_lm", BERT),
    named("roberta", BERT),
    named("electra", BERT),
    named("distilbert", BERT),
    Expected {
        name: "albert",
        activation: Activation::GeluTanh,
        ..BERT
    },
    wide("llama_wide", LLAMA),
    wide("tinyllama_wide", LLAMA),
    wide("mistral_wide", LLAMA),
    wide("qwen2_wide", LLAMA),
    wide("qwen3_wide", LLAMA),
    wide("granite_wide", LLAMA),
    wide("gemma2_wide", SANDWICH),
    wide("phi_wide", PHI),
    wide("nemotron_wide", NEMOTRON),
    wide(
        "gptoss_wide",
        Expected {
            activation: Activation::QuickGelu,
            ..EXPERTS
        },
    ),
];

/// Folders of reference models, those in `CANDOR_FORMS` too.
fn models() -> Vec<PathBuf> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/export/models");
    let more = std::env::var_os("CANDOR_FORMS").map(PathBuf::from);
    let mut all: Vec<PathBuf> = [Some(own), more]
        .into_iter()
        .flatten()
        .flat_map(|folder| std::fs::read_dir(folder).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.join("model.onnx").is_file())
        .collect();
    all.sort();
    all
}

fn check(place: &str, block: &Block, expected: &Expected) {
    let facts = &block.facts;
    let attention = &facts.attention;
    assert_eq!(attention.heads, Some(expected.heads[0]), "{place}: heads");
    assert_eq!(
        attention.kv_heads,
        Some(expected.heads[1]),
        "{place}: key/value heads"
    );
    assert_eq!(attention.d_head, Some(expected.d_head), "{place}: d_head");
    assert_eq!(block.parallel, expected.parallel, "{place}: parallel");
    for norms in [facts.attention_norms, facts.mlp_norms] {
        // A parallel block has norms before its branches, a block without an MLP none around it.
        let absent = expected.mlp == Mlp::Absent && norms == facts.mlp_norms;
        let placement = expected.placement.filter(|_| !absent);
        assert_eq!(norms.placement(), placement, "{place}: placement");
        for norm in [norms.before, norms.after, norms.stream]
            .into_iter()
            .flatten()
        {
            assert_eq!(norm, expected.norm, "{place}: norm");
        }
    }
    let shared = |kind: &MlpKind| match kind {
        MlpKind::Absent => Mlp::Absent,
        MlpKind::Plain => Mlp::Plain,
        MlpKind::Gated => Mlp::Gated,
        MlpKind::Experts {
            count,
            chosen,
            gated,
            shared,
        } => {
            assert_eq!(
                (*count, *chosen, *gated),
                (4, Some(2), Some(true)),
                "{place}: experts"
            );
            Mlp::Experts { shared: *shared }
        }
    };
    let kind = facts.mlp.kind.as_ref().map_or(Mlp::Unsaid, shared);
    assert_eq!(kind, expected.mlp, "{place}: MLP");
    if !matches!(kind, Mlp::Absent | Mlp::Unsaid) {
        assert_eq!(facts.mlp.width, Some(expected.width), "{place}: width");
        assert_eq!(
            facts.mlp.activation,
            Some(expected.activation),
            "{place}: activation"
        );
    }
}

#[test]
fn blocks_are_as_they_were_configured() {
    let mut checked = 0;
    for folder in models() {
        let name = folder.file_name().unwrap().to_str().unwrap();
        let kind = name.split('.').next().unwrap();
        let Some(expected) = ARCHITECTURES.iter().find(|one| one.name == kind) else {
            continue;
        };
        let model = Model::open(&folder.join("model.onnx")).unwrap();
        // Some forms are refused, which their own test says.
        let Ok(found) = Architecture::find(&model) else {
            continue;
        };
        for (number, block) in found.blocks.iter().enumerate() {
            check(&format!("{name}, block {number}"), block, expected);
        }
        // Layers without positions are among them; the first has them in all.
        let positions = found.blocks[0].facts.attention.positions;
        assert_eq!(positions, expected.positions, "{name}: positions");
        assert_eq!(found.facts.unused.products, 0, "{name}: unused");
        checked += 1;
    }
    println!("{checked} models");
    assert!(checked > 30, "only {checked} models were found");
}

fn fixture(name: &str) -> Model {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/export/models");
    Model::open(&folder.join(name).join("model.onnx")).unwrap()
}

fn attentions<T>(name: &str, of: impl Fn(&Block) -> T) -> Vec<T> {
    let found = Architecture::find(&fixture(name)).unwrap();
    found.blocks.iter().map(of).collect()
}

#[test]
fn windows_caps_and_norms_of_queries() {
    let window = |block: &Block| block.facts.attention.window;
    let cap = |block: &Block| block.facts.attention.score_cap;
    let qk = |block: &Block| block.facts.attention.qk_norm;
    assert_eq!(attentions("gemma2.fp16", window), [Some(3), None]);
    assert_eq!(
        attentions("gemma2_wide.genai-fp32", window),
        [Some(3), None]
    );
    assert_eq!(attentions("gemma3.positions-23", window), [Some(3), None]);
    assert_eq!(attentions("mistral.cache-in", window), [Some(3), Some(3)]);
    assert_eq!(attentions("gpt2.fused", window), [None, None]);
    assert_eq!(attentions("gemma2.fp16", cap), [Some(50.0), Some(50.0)]);
    assert_eq!(
        attentions("gemma2_wide.genai-fp32", cap),
        [Some(50.0), Some(50.0)]
    );
    assert_eq!(attentions("gemma3.positions-23", cap), [None, None]);
    let rms = [Some(Norm::Rms), Some(Norm::Rms)];
    assert_eq!(attentions("qwen3.cache-in-positions", qk), rms);
    assert_eq!(attentions("llama.fp16", qk), [None, None]);
}

#[test]
fn one_or_two_norms_in_parallel_blocks_and_fused_projections() {
    let one = |block: &Block| block.facts.one_norm;
    assert_eq!(attentions("phi.dynamo-18", one), [true, true]);
    assert_eq!(attentions("neox.ids", one), [false, false]);
    let fused = |block: &Block| block.facts.attention.fused_qkv;
    assert_eq!(attentions("neox.ids", fused), [Some(true), Some(true)]);
    assert_eq!(
        attentions("phi3.dynamo-18", fused),
        [Some(true), Some(true)]
    );
    assert_eq!(
        attentions("phi.dynamo-18", fused),
        [Some(false), Some(false)]
    );
    // Keys are joined from two products there.
    assert_eq!(attentions("minicpm3.dynamo-18", fused), [None, None]);
}

#[test]
fn the_ends_of_the_stream() {
    let ends = |name: &str| Architecture::find(&fixture(name)).unwrap().facts;
    let gemma = ends("gemma2_wide.genai-fp32");
    assert_eq!(
        (gemma.embedding_scale, gemma.logit_cap, gemma.tied),
        (Some(4.0), Some(30.0), true)
    );
    assert_eq!(gemma.final_norm, Some(Norm::Rms));
    let granite = ends("granite.dynamo-18");
    assert_eq!(
        (granite.embedding_scale, granite.logit_scale),
        (Some(2.0), Some(0.25))
    );
    let bert = ends("bert.fused-bert");
    assert_eq!(
        (bert.embedding_norm, bert.final_norm),
        (Some(Norm::Layer), None)
    );
    assert!(bert.added_positions);
    assert!(ends("gpt2.fused").added_positions);
    assert!(!ends("llama.fp16").added_positions);
    assert!(ends("tinyllama_wide.genai-int4-shared").tied);
}

fn weights(name: &str) -> Vec<(String, Option<Quantisation>, u64)> {
    let said = |stored: Stored| (stored.element, stored.quantisation, stored.parameters);
    let mut all: Vec<_> = Overview::of(&fixture(name))
        .weights
        .into_iter()
        .map(said)
        .collect();
    all.sort();
    all
}

#[test]
fn weights_by_the_way_in_which_they_are_stored() {
    // Two blocks of queries, keys and values joined, the output, and three products of 32 × 48, and the unembedding.
    let products = |name: &str| {
        let found = Architecture::find(&fixture(name)).unwrap();
        2 * (32 * 64 + 32 * 32 + 3 * 32 * 48) + 32 * u64::try_from(found.vocab_size).unwrap()
    };
    let blocks = Some(Quantisation::Blocks(32));
    let int4 = weights("mistral_wide.genai-int4");
    assert_eq!(
        int4[1],
        ("int4".into(), blocks, products("mistral_wide.genai-int4"))
    );
    assert_eq!(int4[0].0, "float32");
    let qdq = weights("llama.int4-qdq");
    assert!(qdq.iter().any(|(element, how, count)| element == "int4"
        && matches!(how, Some(Quantisation::Blocks(_)))
        && *count == products("llama.int4-qdq")));
    let dynamic = weights("llama.int8-extended");
    assert!(dynamic.contains(&(
        "int8".into(),
        Some(Quantisation::Dynamic),
        products("llama.int8-extended")
    )));
    let fixed = weights("gpt2.qdq");
    assert!(
        fixed
            .iter()
            .any(|(element, how, _)| element == "int8" && *how == Some(Quantisation::Dequantised))
    );
    assert!(
        weights("gpt2.qoperator")
            .iter()
            .any(|(_, how, _)| *how == Some(Quantisation::Static))
    );
    assert!(
        weights("llama.bf16-weights")
            .iter()
            .all(|(element, how, _)| element == "bfloat16" && how.is_none())
    );
}

#[test]
fn what_the_logits_do_not_depend_on_is_counted() {
    let model = fixture("llama_wide.genai-fp32");
    let mut proto = model.proto().clone();
    let graph = proto.graph.as_mut().unwrap();
    // The second block is left out by a builder's mistake: the last norm reads the first block's output instead.
    let mids: Vec<String> = graph
        .node
        .iter()
        .filter(|node| node.op_type() == "SkipSimplifiedLayerNormalization")
        .map(|node| node.output[0].clone())
        .collect();
    let head = graph
        .node
        .iter_mut()
        .rfind(|node| node.op_type() == "MatMul")
        .unwrap();
    head.input[0].clone_from(&mids[1]);
    let bytes = candor::model::encode(&proto);
    let model = Model::from_bytes(bytes.into(), model.path()).unwrap();
    let found = Architecture::find(&model).unwrap();
    assert_eq!(found.n_layers, 1);
    let unused = found.facts.unused;
    // An attention and five products; the weights of these and of two norms.
    assert_eq!((unused.products, unused.weights), (6, 7));
    assert_eq!(unused.nodes, 11);
    assert_eq!(unused.of_nodes, 33);
}
