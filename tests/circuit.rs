//! Circuits of models whose circuit is known, and of models with random weights against PyTorch.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[path = "circuit/fixture.rs"]
mod fixture;

use candor::causal::Pair;
use candor::causal::circuit::{
    Ablation, Bench, BlockPieces, Circuit, Goal, completeness, discover, edge_effects, faithfulness,
};
use candor::causal::{Through, path_patch};
use candor::lab::{CircuitRequest, Silent, find_circuit};
use candor::stats::{auroc, mean};
use ndarray::Array2;
use proptest::prelude::*;

use fixture::{KNOWN, Known, RANDOM, Random, blocks, circuit, pairs, pieces, told};

fn mean_absolute(effects: &[f64]) -> f64 {
    let absolute: Vec<f64> = effects.iter().map(|effect| effect.abs()).collect();
    mean(&absolute).unwrap()
}

#[test]
fn every_edge_does_what_pytorch_says_and_the_known_circuit_is_told_apart() {
    for name in KNOWN {
        let known: Known = told(name);
        let blocks = blocks(name);
        let pieces = pieces(&blocks);
        for ablation in [Ablation::Zero, Ablation::Corrupt] {
            let mut bench = Bench::new(&pieces, &pairs(&known.pairs), ablation).unwrap();
            let effects = edge_effects(&mut bench).unwrap();
            let expected = &known.effects[ablation.name()];
            assert_eq!(effects.len(), expected.len(), "{name}");
            let scores: Vec<f64> = effects.iter().map(|of| mean_absolute(of)).collect();
            for (edge, score) in scores.iter().enumerate() {
                let edge = bench.graph().edge_name(edge);
                let off = (score - expected[&edge]).abs();
                assert!(off <= 1e-5, "{name} {ablation} {edge}: {score} {off:e}");
            }
            if ablation == Ablation::Zero {
                let own = circuit(&bench, &known.edges);
                let idle = circuit(&bench, &known.idle);
                let side = |is: bool| -> Vec<f64> {
                    let edges = (0..scores.len()).filter(|edge| !idle.has(*edge));
                    edges
                        .filter(|edge| own.has(*edge) == is)
                        .map(|edge| scores[edge])
                        .collect()
                };
                assert_eq!(auroc(&side(true), &side(false)), Some(1.0), "{name}");
            }
        }
    }
}

#[test]
fn the_search_finds_the_known_circuit() {
    for name in KNOWN {
        let known: Known = told(name);
        let blocks = blocks(name);
        let pieces = pieces(&blocks);
        let mut bench = Bench::new(&pieces, &pairs(&known.pairs), Ablation::Zero).unwrap();
        let found = discover(&mut bench, Goal::Threshold(0.02), None).unwrap();
        let names = |circuit: &Circuit| -> Vec<String> {
            circuit
                .edges()
                .map(|edge| bench.graph().edge_name(edge))
                .collect()
        };
        let expected = circuit(&bench, &known.edges);
        assert_eq!(names(&found.circuit), names(&expected), "{name}");
        let faithful = faithfulness(&mut bench, &found.circuit).unwrap();
        assert!((faithful - 1.0).abs() < 0.02, "{name}: {faithful}");
    }
}

#[test]
fn circuits_of_random_models_are_those_of_pytorch() {
    for name in RANDOM {
        let random: Random = told(name);
        let blocks = blocks(name);
        let pieces = pieces(&blocks);
        for ablation in Ablation::ALL {
            let mut bench = Bench::new(&pieces, &pairs(&random.pairs), ablation).unwrap();
            let all: Vec<String> = (0..bench.graph().n_edges())
                .map(|edge| bench.graph().edge_name(edge))
                .collect();
            let mut expected = random.edges.clone();
            expected.sort();
            let mut sorted = all.clone();
            sorted.sort();
            assert_eq!(sorted, expected, "{name}");
            for given in &random.circuits {
                let own = circuit(&bench, &given.removed).complement();
                let values = bench.value(&own).unwrap();
                let expected = match ablation {
                    Ablation::Zero => &given.zero,
                    Ablation::Mean => &given.mean,
                    Ablation::Corrupt => &given.corrupt,
                };
                for (value, expected) in values.iter().zip(expected) {
                    let off = (value - expected).abs();
                    assert!(off <= 1e-5, "{name} {ablation}: {value} {expected} {off:e}");
                }
            }
        }
    }
}

#[test]
fn path_patches_are_those_of_pytorch() {
    for name in RANDOM {
        let random: Random = told(name);
        let blocks = blocks(name);
        let pieces = pieces(&blocks);
        let some: Vec<_> = random.pairs.iter().step_by(2).collect();
        let ids = |corrupt: bool| {
            let side = |pair: &&fixture::GivenPair| {
                if corrupt {
                    pair.corrupt.clone()
                } else {
                    pair.clean.clone()
                }
            };
            let rows: Vec<Vec<i64>> = some.iter().map(side).collect();
            let width = rows[0].len();
            Array2::from_shape_vec((rows.len(), width), rows.concat()).unwrap()
        };
        let (clean, corrupt) = (ids(false), ids(true));
        let plain = run_plain(&pieces, &clean);
        let mut moved = 0;
        for given in &random.patches {
            let sender = given.sender.parse().unwrap();
            let receivers: Vec<_> = given
                .receivers
                .iter()
                .map(|name| name.parse().unwrap())
                .collect();
            let through = if given.through_mlps {
                Through::Mlps
            } else {
                Through::Nothing
            };
            let logits = path_patch(
                &pieces,
                clean.view(),
                corrupt.view(),
                &sender,
                &receivers,
                through,
            )
            .unwrap();
            let last = logits.dim().1 - 1;
            for (row, expected) in given.logits.iter().enumerate() {
                for (token, expected) in expected.iter().enumerate() {
                    let value = logits[[row, last, token]];
                    let off = (value - expected).abs();
                    let path = format!("{name} {} {:?}", given.sender, given.receivers);
                    assert!(
                        off <= 1e-5 * expected.abs().max(1.0),
                        "{path}: {value} {expected}"
                    );
                    moved += usize::from((value - plain[[row, last, token]]).abs() > 1e-3);
                }
            }
        }
        assert!(moved > 100, "{name}: the patches do something");
    }
}

fn run_plain(
    pieces: &dyn candor::causal::circuit::Pieces,
    ids: &Array2<i64>,
) -> ndarray::Array3<f32> {
    let mut stream = pieces.embed(ids.view()).unwrap();
    for layer in 0..pieces.anatomy().layers.len() {
        let qkv = pieces.qkv(layer, ids.view(), stream.view()).unwrap();
        let z = pieces.attend(layer, ids.view(), qkv).unwrap();
        stream = pieces
            .resid_post(layer, ids.view(), z.view(), stream.view())
            .unwrap();
    }
    pieces.logits(ids.view(), stream.view()).unwrap()
}

/// The logit difference of the plain model after the last token, for clean or corrupt prompts.
fn plain(pieces: &dyn candor::causal::circuit::Pieces, pairs: &[Pair], corrupt: bool) -> Vec<f64> {
    let difference = |pair: &Pair| {
        let ids = if corrupt {
            &pair.corrupt.ids
        } else {
            &pair.clean.ids
        };
        let ids = Array2::from_shape_vec((1, ids.len()), ids.clone()).unwrap();
        let logits = run_plain(pieces, &ids);
        let last = logits.dim().1 - 1;
        let at = |id: i64| f64::from(logits[[0, last, usize::try_from(id).unwrap()]]);
        at(pair.answer) - at(pair.foil)
    };
    pairs.iter().map(difference).collect()
}

#[test]
fn everything_is_the_plain_model_and_nothing_is_everything_ablated() {
    for name in RANDOM {
        let random: Random = told(name);
        let blocks = blocks(name);
        let pieces = pieces(&blocks);
        let own = pairs(&random.pairs);
        for (pair, plain) in own.iter().zip(&random.plain) {
            let at = |id: i64| plain[usize::try_from(id).unwrap()];
            let expected = f64::from(at(pair.answer) - at(pair.foil));
            let found = self::plain(&pieces, std::slice::from_ref(pair), false)[0];
            assert!(
                (found - expected).abs() <= 1e-5,
                "{name}: {found} {expected}"
            );
        }
        for ablation in Ablation::ALL {
            let mut bench = Bench::new(&pieces, &own, ablation).unwrap();
            let n = bench.graph().n_edges();
            let (full, empty) = (Circuit::full(n), Circuit::empty(n));
            let close = |a: &[f64], b: &[f64]| {
                for (a, b) in a.iter().zip(b) {
                    assert!((a - b).abs() <= 1e-5, "{name} {ablation}: {a} {b}");
                }
            };
            close(&bench.value(&full).unwrap(), &plain(&pieces, &own, false));
            if ablation == Ablation::Corrupt {
                close(&bench.value(&empty).unwrap(), &plain(&pieces, &own, true));
            }
            assert!((faithfulness(&mut bench, &full).unwrap() - 1.0).abs() < 1e-12);
            assert!(faithfulness(&mut bench, &empty).unwrap().abs() < 1e-12);
            assert!(completeness(&mut bench, &full).unwrap().abs() < 1e-12);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]
    /// What is kept from one circuit to the next must not show in what is found: neither the base that later runs start from,
    /// nor other circuits of the batch, nor edges that reach nothing.
    #[test]
    fn a_circuit_does_what_it_does_whatever_ran_before(
        removed in proptest::collection::vec(proptest::collection::vec(0_usize..10_000, 1..40), 2..5),
        base in proptest::collection::vec(0_usize..10_000, 0..30),
    ) {
        let (random, blocks) = (told::<Random>(RANDOM[1]), blocks(RANDOM[1]));
        let pieces = pieces(&blocks);
        let own = pairs(&random.pairs);
        let mut busy = Bench::new(&pieces, &own, Ablation::Corrupt).unwrap();
        let n = busy.graph().n_edges();
        let without = |edges: &[usize]| {
            // Few removals leave nearly everything; their complement leaves nodes that hear or reach nothing.
            let mut circuit = Circuit::full(n);
            for edge in edges {
                circuit.set(edge % n, false);
            }
            circuit
        };
        busy.rebase(&without(&base)).unwrap();
        let circuits: Vec<Circuit> = (removed.iter().map(|edges| without(edges)))
            .flat_map(|circuit| [circuit.complement(), circuit])
            .collect();
        let together = busy.values(&circuits).unwrap();
        for (circuit, values) in circuits.iter().zip(together) {
            let mut fresh = Bench::new(&pieces, &own, Ablation::Corrupt).unwrap();
            let alone = fresh.value(circuit).unwrap();
            for less in [circuit.tidy(fresh.graph()), circuit.heard(fresh.graph())] {
                let less = fresh.value(&less).unwrap();
                for ((a, b), c) in values.iter().zip(alone.iter()).zip(less.iter()) {
                    prop_assert!((a - b).abs() <= 1e-5 && (a - c).abs() <= 1e-5, "{} {} {}", a, b, c);
                }
            }
        }
    }
}

#[test]
fn a_target_faithfulness_is_reached_and_bootstrap_samples_and_random_circuits_are_told() {
    let known: Known = told("conjunction");
    let blocks = blocks("conjunction");
    let pieces = pieces(&blocks);
    let own = pairs(&known.pairs);
    let request = CircuitRequest {
        ablation: Ablation::Zero,
        goal: Goal::Faithfulness(0.9),
        samples: 4,
        random: 19,
        resamples: 200,
        seed: 1,
    };
    let study = find_circuit(&pieces, &own, &request, &Silent).unwrap();
    assert!((study.measured.faithfulness.point - 1.0).abs() <= 0.1);
    assert!(study.found.threshold > 0.1, "{}", study.found.threshold);
    assert_eq!(study.measured.minimality.len(), study.circuit().len());
    assert_eq!(study.stability.jaccard.len(), 4);
    assert!(
        study
            .stability
            .jaccard
            .iter()
            .all(|index| (0.0..=1.0).contains(index))
    );
    assert_eq!(study.random.len(), 19);
    assert!(
        study.random_p <= 0.1,
        "{} {:?}",
        study.random_p,
        study.random
    );
    let again = find_circuit(&pieces, &own, &request, &Silent).unwrap();
    assert_eq!(
        (again.random, again.stability),
        (study.random, study.stability)
    );
}

fn refusal<T>(found: candor::fault::Result<T>) -> String {
    match found {
        Ok(_) => "accepted".to_owned(),
        Err(fault) => fault.to_string(),
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let known: Known = told("induction");
    let blocks = blocks("induction");
    let pieces = pieces(&blocks);
    let own = pairs(&known.pairs);
    let mut odd = own.clone();
    odd[1].corrupt.ids.pop();
    let mut strange = own.clone();
    strange[2].foil = 99;
    let mut same = own.clone();
    for pair in &mut same {
        pair.foil = pair.answer;
    }
    let request = |goal: Goal| CircuitRequest {
        ablation: Ablation::Zero,
        goal,
        samples: 0,
        random: 0,
        resamples: 10,
        seed: 0,
    };
    let find =
        |pairs: &[Pair], goal: Goal| refusal(find_circuit(&pieces, pairs, &request(goal), &Silent));
    let bench = Bench::new(&pieces, &own, Ablation::Zero).unwrap();
    let edge = |name: &str| refusal(bench.graph().edge_of(name));
    let ids = Array2::zeros((1, 3));
    let path = |sender: &str, receivers: &[&str], seq: usize| {
        let receivers: Vec<_> = receivers.iter().map(|name| name.parse().unwrap()).collect();
        let corrupt = Array2::zeros((1, seq));
        let sender = sender.parse().unwrap();
        let through = Through::Nothing;
        refusal(path_patch(
            &pieces,
            ids.view(),
            corrupt.view(),
            &sender,
            &receivers,
            through,
        ))
    };
    let said = [
        find(&[], Goal::Threshold(0.1)),
        find(&own[..4], Goal::Threshold(0.1)),
        find(&odd, Goal::Threshold(0.1)),
        find(&strange, Goal::Threshold(0.1)),
        find(&same, Goal::Threshold(0.1)),
        find(&own, Goal::Threshold(0.0)),
        find(&own, Goal::Threshold(f64::NAN)),
        find(&own, Goal::Faithfulness(1.5)),
        refusal("median".parse::<Ablation>()),
        edge("L0.H1"),
        edge("L0.H9>logits"),
        edge("L1.H0>L0.H1.q"),
        edge("L0.H0>L1.H0.x"),
        path("L1.H0", &["L0.mlp"], 3),
        path("L0.H0", &[], 3),
        path("L0.H0", &["logits"], 4),
    ];
    insta::assert_snapshot!(said.join("\n\n"));
}

/// Exports whose stream is no sum of nodes, or whose heads have no inputs of their own.
#[test]
fn models_that_are_no_such_graph_are_refused_with_the_reason() {
    let root =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/export/models");
    let mut said = Vec::new();
    for name in [
        "olmo2.dynamo-18",
        "gemma3.positions-23",
        "bert.fused-bert",
        "minicpm3.dynamo-18",
        "gpt2.int8-extended",
        "falcon.dynamo-18-sdpa",
        "opt350.dynamo-18",
    ] {
        let blocks = fixture::blocks_of(&root.join(name).join("model.onnx"));
        let found = blocks.and_then(|blocks| BlockPieces::new(&blocks).map(drop));
        let text = refusal(found);
        let number = without_measures(&text);
        said.push(format!("{name}: {number}"));
    }
    insta::assert_snapshot!(said.join("\n\n"));
}

/// The text without measured numbers, which differ between machines.
fn without_measures(text: &str) -> String {
    text.split(' ')
        .map(|word| {
            if word.contains("e-") && word.parse::<f64>().is_ok() {
                "…"
            } else {
                word
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}
