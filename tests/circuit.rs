//! Circuits of models whose circuit is known, and of models with random weights against PyTorch.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[path = "circuit/fixture.rs"]
mod fixture;

use candor::causal::circuit::{
    Ablation, Bench, Circuit, Goal, discover, edge_effects, faithfulness,
};
use candor::causal::{Through, path_patch};
use candor::stats::auroc;
use ndarray::Array2;

use fixture::{KNOWN, Known, RANDOM, Random, blocks, circuit, pairs, pieces, told};

fn mean_absolute(effects: &[f64]) -> f64 {
    effects.iter().map(|effect| effect.abs()).sum::<f64>() / effects.len() as f64
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
        println!("{name}: {} edges, {:?}", found.circuit.len(), bench.cost());
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
