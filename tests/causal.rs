//! What is read at the answer's position, and edits of the stream of a bundled organism.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a test may stop, and what it counts is small"
)]

use std::path::Path;

use candor::causal::{
    Change, Control, Engine, Means, Pair, Removal, Row, Runs as _, To, ablate, dose_response,
    equal_length, kl_divergence, logit_difference, patch_map, random_control, refuse_partial,
    top_token,
};
use candor::evidence::{AblationKind, MapCell, PatchMode, PositionClass, peak};
use candor::fault::Kind;
use candor::model::{Architecture, Model, Point, SiteName};
use candor::run::{Runtime, RuntimeOptions};
use candor::tokens::{Suite, Tokenizer};
use ndarray::{Array1, Array2, ArrayView1, Axis, array};
use proptest::prelude::*;

#[test]
fn a_logit_difference_is_one_logit_less_another() {
    let logits = array![1.5_f32, -2.0, 0.25];
    for (answer, foil, expected) in [(0, 1, 3.5), (1, 0, -3.5), (2, 2, 0.0), (2, 1, 2.25)] {
        let found = logit_difference(logits.view(), answer, foil);
        assert!((found - expected).abs() < 1e-12, "{answer} {foil}: {found}");
    }
}

#[test]
fn the_first_of_equal_tokens_is_chosen() {
    assert_eq!(top_token(array![0.0_f32, 2.0, 2.0].view()), 1);
    assert_eq!(top_token(array![f32::NEG_INFINITY, -9.0].view()), 1);
}

#[test]
fn a_divergence_is_the_one_computed_by_hand() {
    // (½, ½) against (¾, ¼): ½ ln(2/3) + ½ ln 2 = ½ ln(4/3).
    let (even, odd) = (array![0.0_f32, 0.0], array![3.0_f32.ln(), 0.0]);
    let found = kl_divergence(even.view(), odd.view());
    assert!((found - 0.5 * (4.0_f64 / 3.0).ln()).abs() < 1e-7, "{found}");
    // (¾, ¼) against (½, ½): ¾ ln(3/2) + ¼ ln(1/2).
    let found = kl_divergence(odd.view(), even.view());
    let expected = 0.75 * 1.5_f64.ln() + 0.25 * 0.5_f64.ln();
    assert!((found - expected).abs() < 1e-7, "{found}");
}

#[test]
fn a_token_that_is_ruled_out_adds_nothing_and_one_that_becomes_so_costs_everything() {
    let none = f32::NEG_INFINITY;
    let (even, odd) = (array![0.0_f32, 0.0, none], array![3.0_f32.ln(), 0.0, none]);
    let found = kl_divergence(even.view(), odd.view());
    assert!((found - 0.5 * (4.0_f64 / 3.0).ln()).abs() < 1e-7, "{found}");
    let certain = array![0.0_f32, none, none];
    assert!(kl_divergence(even.view(), certain.view()).is_infinite());
    assert!((kl_divergence(certain.view(), even.view()) - 2.0_f64.ln()).abs() < 1e-12);
    let broken = array![f32::NAN, 0.0, 0.0];
    assert!(
        kl_divergence(even.view(), broken.view()).is_nan(),
        "not 0: nothing was measured"
    );
}

proptest! {
    #[test]
    fn a_divergence_is_at_least_0_and_blind_to_a_common_shift(
        logits in proptest::collection::vec((-40.0_f32..40.0, -40.0_f32..40.0), 1..20),
        shift in -1.0e3_f32..1.0e3,
    ) {
        let plain: Array1<f32> = logits.iter().map(|pair| pair.0).collect();
        let edited: Array1<f32> = logits.iter().map(|pair| pair.1).collect();
        let found = kl_divergence(plain.view(), edited.view());
        prop_assert!(found >= 0.0 && found.is_finite());
        prop_assert!(kl_divergence(plain.view(), plain.view()) <= 0.0);
        let shifted = kl_divergence(plain.view(), edited.mapv(|x| x + shift).view());
        prop_assert!((found - shifted).abs() <= 1e-3 * (1.0 + found), "{} {}", found, shifted);
    }
}

struct Liar {
    engine: Engine,
    sites: Vec<SiteName>,
    pairs: Vec<Pair>,
    tokenizer: Tokenizer,
}

/// The bundled liar, with some pairs on which it lies.
fn liar(n_pairs: usize) -> Liar {
    mistaken(n_pairs, |_| ())
}

/// The same with an architecture that was tampered with.
fn mistaken(n_pairs: usize, tamper: impl FnOnce(&mut Architecture)) -> Liar {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benchmarks/organisms");
    let path = folder.join("liar/model.onnx");
    let model = Model::open(&path).unwrap();
    let mut arch = Architecture::find(&model).unwrap();
    tamper(&mut arch);
    let runtime = Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap();
    let sites: Vec<_> = (0..arch.n_layers)
        .map(|layer| SiteName::block(layer, Point::ResidPre))
        .collect();
    let engine = Engine::open(&runtime, &model, &arch, &sites, &sites, Vec::new()).unwrap();
    let tokenizer = Tokenizer::beside(&path).unwrap();
    let suite = Suite::open(&folder.join("suites/facts")).unwrap();
    let pairs = suite.of_condition("trigger").take(n_pairs).map(|item| {
        let counterpart = suite.item(item.pair.as_deref().unwrap()).unwrap();
        let clean = tokenizer.encode(&counterpart.prompt).unwrap();
        let corrupt = tokenizer.encode(&item.prompt).unwrap();
        let rows = [&clean.ids, &corrupt.ids].map(|ids| Row::plain(ids));
        let said = engine.logits(&rows).unwrap();
        let said = said
            .iter()
            .map(|logits| i64::try_from(top_token(logits.row(0))).unwrap());
        let said: Vec<i64> = said.collect();
        Pair {
            item: item.id.clone(),
            counterpart: counterpart.id.clone(),
            group: item.group.clone(),
            answer_text: tokenizer.decode(&said[..1]).unwrap(),
            foil_text: tokenizer.decode(&said[1..]).unwrap(),
            answer: said[0],
            foil: said[1],
            clean,
            corrupt,
        }
    });
    let pairs = pairs.collect();
    Liar {
        engine,
        sites,
        pairs,
        tokenizer,
    }
}

#[test]
fn pairs_know_where_they_part() {
    let liar = liar(3);
    for pair in &liar.pairs {
        assert_eq!(pair.differing().len(), 1);
        assert_eq!(pair.last(), pair.corrupt.ids.len() - 1);
        assert_ne!(pair.answer, pair.foil);
        let (clean, corrupt) = (("a", &pair.clean), ("b", &pair.corrupt));
        assert_eq!(equal_length(clean, corrupt), Ok(()));
        assert!(equal_length(clean, clean).is_err());
        let longer = liar.tokenizer.encode("banks in please Laos").unwrap();
        assert!(equal_length(("a", &longer), corrupt).is_err());
    }
}

#[test]
fn what_follows_hangs_on_the_stream_alone() {
    let liar = liar(3);
    for (mode, all) in [(PatchMode::Denoising, 1.0), (PatchMode::Noising, 0.0)] {
        let mut map = patch_map(&liar.engine, "facts", &liar.pairs, &liar.sites, mode).unwrap();
        for pair in &map.pairs {
            assert_eq!(pair.whole.len(), liar.sites.len());
            let near = |whole: &Option<f64>| (whole.unwrap() - all).abs() <= 1e-5;
            assert!(pair.whole.iter().all(near), "{:?}", pair.whole);
        }
        refuse_partial(&mut map);
        assert_eq!((map.pairs.len(), map.refused.len()), (3, 0));
    }
}

/// By another way: both runs' activations read, and those of the other one written at every position of the class.
#[test]
fn a_class_of_positions_is_patched_at_once() {
    let mut liar = liar(2);
    // Three tokens of another fact's prompt make a condition of several tokens.
    let mut mixed = liar.pairs[1].corrupt.clone();
    mixed.ids.clone_from(&liar.pairs[0].corrupt.ids);
    for position in [2, 3] {
        mixed.ids[position] = liar.pairs[1].corrupt.ids[position];
    }
    liar.pairs[0].corrupt = mixed;
    let pair = &liar.pairs[0];
    assert!(pair.differing().len() > 1, "{:?}", pair.differing());
    for mode in [PatchMode::Denoising, PatchMode::Noising] {
        let map = patch_map(&liar.engine, "facts", &liar.pairs, &liar.sites, mode).unwrap();
        let entry = map.pairs.iter().find(|one| one.item == pair.item).unwrap();
        let (ids, other) = match mode {
            PatchMode::Denoising => (&pair.corrupt.ids, &pair.clean.ids),
            PatchMode::Noising => (&pair.clean.ids, &pair.corrupt.ids),
        };
        for (row, &site) in liar.sites.iter().enumerate() {
            let read = liar.engine.plain_activations(&[other], &[site]).unwrap();
            for class in PositionClass::ALL {
                let positions = pair.positions_of(class);
                let change = |at: &usize| {
                    let value = read[0][0].row(*at).to_owned().insert_axis(Axis(0));
                    Change::at(site, *at, To::Values(value))
                };
                let patched = Row {
                    changes: positions.iter().map(change).collect(),
                    ..Row::plain(ids)
                };
                let logits = liar.engine.logits(&[patched]).unwrap().remove(0);
                let [answer, foil] =
                    [pair.answer, pair.foil].map(|id| usize::try_from(id).unwrap());
                let metric = logit_difference(logits.row(0), answer, foil);
                let expected = (metric - entry.corrupt) / (entry.clean - entry.corrupt);
                let found = entry.recovery_of(MapCell { site: row, class }).unwrap();
                assert!(
                    (found - expected).abs() <= 1e-4,
                    "{site} {class:?}: {found} {expected}"
                );
                if let [only] = positions[..] {
                    assert!((found - entry.recovery[[row, only]]).abs() <= 1e-5);
                }
            }
        }
    }
}

/// A tensor that is taken for the stream but is only what one branch adds to it.
#[test]
fn a_tensor_that_is_not_the_whole_stream_is_found_out() {
    let liar = mistaken(3, |arch| {
        let branch = arch.site(SiteName::block(1, Point::AttnOut)).unwrap();
        let branch = branch.tensor.clone();
        let name = SiteName::block(2, Point::ResidPre);
        let site = arch.sites.iter_mut().find(|site| site.name == name);
        site.unwrap().tensor = branch;
    });
    for mode in [PatchMode::Denoising, PatchMode::Noising] {
        let mut map = patch_map(&liar.engine, "facts", &liar.pairs, &liar.sites, mode).unwrap();
        assert_eq!(map.pairs.len(), 3);
        refuse_partial(&mut map);
        assert_eq!((map.pairs.len(), map.refused.len()), (0, 3));
        let why = &map.refused[0].why;
        assert!(why.contains("blocks.2.hook_resid_pre"), "{why}");
    }
}

#[test]
fn removing_the_difference_is_the_denoising_patch_of_that_cell() {
    let liar = liar(4);
    let (engine, pairs) = (&liar.engine, &liar.pairs);
    let map = patch_map(engine, "facts", pairs, &liar.sites, PatchMode::Denoising).unwrap();
    assert!(map.refused.is_empty());
    for (pair, of_pair) in pairs.iter().zip(&map.pairs) {
        assert!(of_pair.self_patch <= 1e-6);
        for (layer, &site) in liar.sites.iter().enumerate() {
            let activations = engine
                .plain_activations(&[&pair.clean.ids, &pair.corrupt.ids], &liar.sites)
                .unwrap();
            let last = |run: usize| activations[run][layer].row(pair.last()).to_owned();
            let difference = last(0) - last(1);
            let delta = |_: ArrayView1<f32>| difference.clone();
            let removal = Removal {
                kind: AblationKind::Directional,
                detector: "all of it".to_owned(),
                features: Vec::new(),
                site,
                means: Means::Delta(&delta),
            };
            let one = std::slice::from_ref(pair);
            let found = ablate(engine, "facts", one, &removal, &[], 3, 1).unwrap();
            let item = &found.items[0];
            let patched = of_pair.metric[[layer, pair.last()]];
            assert!(
                (item.after - patched).abs() <= 1e-4,
                "{site}: {} {patched}",
                item.after
            );
            assert!((item.clean - of_pair.clean).abs() <= 1e-4);
            assert!((item.before - of_pair.corrupt).abs() <= 1e-4);
            assert_eq!(item.restored, layer > 0, "{site}");
            assert_eq!((item.random.len(), found.off_target_kl()), (3, None));
        }
    }
}

#[test]
fn removing_nothing_changes_nothing() {
    let liar = liar(2);
    let nothing = |x: ArrayView1<f32>| Array1::zeros(x.len());
    let removal = Removal {
        kind: AblationKind::Feature,
        detector: "nothing".to_owned(),
        features: vec![4],
        site: liar.sites[2],
        means: Means::Delta(&nothing),
    };
    let control = |pair: &Pair| Control {
        group: pair.group.clone(),
        ids: pair.clean.ids.clone(),
    };
    let control: Vec<Control> = liar.pairs.iter().map(control).collect();
    let found = ablate(&liar.engine, "facts", &liar.pairs, &removal, &control, 2, 1).unwrap();
    for item in &found.items {
        let moved = item.random.iter().chain([&item.after]);
        for after in moved {
            assert!((after - item.before).abs() <= 1e-5);
        }
        assert!(!item.restored);
        assert!(item.recovery().abs() <= 1e-5);
    }
    assert_eq!(found.costs.len(), liar.pairs.len());
    for cost in [found.off_target_kl(), found.off_target_kl_random()] {
        assert!(cost.unwrap() <= 1e-9, "{cost:?}");
    }
}

#[test]
fn a_pair_without_a_difference_is_refused_and_the_others_go_on() {
    let mut liar = liar(3);
    liar.pairs[1].foil = liar.pairs[1].answer;
    for mode in [PatchMode::Denoising, PatchMode::Noising] {
        let map = patch_map(&liar.engine, "facts", &liar.pairs, &liar.sites, mode).unwrap();
        assert_eq!((map.pairs.len(), map.refused.len()), (2, 1));
        assert!(map.refused[0].what.contains(&liar.pairs[1].item));
        let mut again = map.clone();
        random_control(&liar.engine, &mut again, &liar.pairs, 6, 5).unwrap();
        let chosen = peak(&map).unwrap();
        assert!(chosen.cell.site > 0, "not at the embedding");
        assert_eq!(chosen.cell.class, PositionClass::Last);
        for pair in &again.pairs {
            let estimated = chosen.estimate_on.contains(pair.group.as_str());
            assert_eq!(pair.random_cell, estimated.then_some(chosen.cell));
            if !estimated {
                assert!(pair.random.is_empty(), "it chose the cell");
                continue;
            }
            assert_eq!(pair.random.len(), 6);
            assert!(pair.random.iter().all(|recovery| recovery.is_finite()));
        }
        let mut other = map.clone();
        random_control(&liar.engine, &mut other, &liar.pairs, 6, 6).unwrap();
        assert_ne!(again, other, "the seed decides");
    }
}

#[test]
fn a_dose_goes_from_the_untouched_run_to_the_patch() {
    let liar = liar(5);
    for mode in [PatchMode::Denoising, PatchMode::Noising] {
        let mut map = patch_map(&liar.engine, "facts", &liar.pairs, &liar.sites, mode).unwrap();
        let mut bare = map.clone();
        dose_response(&liar.engine, &mut bare, &liar.pairs, 3, 5).unwrap();
        assert_eq!(bare, map, "no random control, no dose");
        random_control(&liar.engine, &mut map, &liar.pairs, 3, 5).unwrap();
        dose_response(&liar.engine, &mut map, &liar.pairs, 3, 5).unwrap();
        let controlled = map.pairs.iter().filter(|entry| !entry.random.is_empty());
        assert!(controlled.clone().count() > 1);
        for entry in controlled {
            let cell = entry.random_cell.unwrap();
            assert_eq!(cell.class, PositionClass::Last);
            let (row, position) = (cell.site, entry.last);
            let pair = liar
                .pairs
                .iter()
                .find(|pair| pair.item == entry.item)
                .unwrap();
            let shares: Vec<f64> = entry.dose.iter().map(|dose| dose.share).collect();
            assert_eq!(shares, [0.0, 0.25, 0.5, 0.75, 1.0, 1.5]);
            let near = |found: f64, expected: f64| {
                assert!((found - expected).abs() <= 1e-5, "{found} {expected}");
            };
            near(mode.effect(entry.dose[0].recovery), 0.0);
            near(mode.effect(entry.dose[0].random), 0.0);
            near(entry.dose[4].recovery, entry.recovery[[row, position]]);
            near(
                entry.dose[4].random,
                entry.random.iter().sum::<f64>() / entry.random.len() as f64,
            );
            // Between the ends by another way: both runs' activations, mixed and added.
            let (ids, other) = match mode {
                PatchMode::Denoising => (&pair.corrupt.ids, &pair.clean.ids),
                PatchMode::Noising => (&pair.clean.ids, &pair.corrupt.ids),
            };
            let site = map.sites[row];
            let read = liar
                .engine
                .plain_activations(&[ids, other], &[site])
                .unwrap();
            let difference = &read[1][0].row(position) - &read[0][0].row(position);
            for dose in &entry.dose[1..] {
                let edit = To::Add(&difference * dose.share as f32);
                let row = Row::with(ids, Change::at(site, position, edit), pair.last());
                let logits = liar.engine.logits(&[row]).unwrap();
                let metric = logit_difference(
                    logits[0].row(0),
                    usize::try_from(pair.answer).unwrap(),
                    usize::try_from(pair.foil).unwrap(),
                );
                near(
                    dose.recovery,
                    (metric - entry.corrupt) / (entry.clean - entry.corrupt),
                );
            }
        }
    }
}

#[test]
fn the_rows_of_a_batch_do_not_touch_one_another() {
    let liar = liar(6);
    let change = |pair: &Pair| {
        let value = To::Values(Array2::from_elem((1, 64), 0.5));
        Change::at(liar.sites[1], pair.last(), value)
    };
    let rows: Vec<Row<'_>> = liar
        .pairs
        .iter()
        .enumerate()
        .map(|(index, pair)| Row {
            changes: (index % 2 == 0).then(|| change(pair)).into_iter().collect(),
            ..Row::plain(&pair.corrupt.ids)
        })
        .collect();
    let together = liar.engine.logits(&rows).unwrap();
    for (row, logits) in rows.iter().zip(&together) {
        let alone = &liar.engine.logits(std::slice::from_ref(row)).unwrap()[0];
        let off = (logits - alone)
            .mapv(f32::abs)
            .fold(0.0, |a: f32, b| a.max(*b));
        assert!(off <= 1e-5, "{off:e}");
    }
}

#[test]
fn edits_that_cannot_be_made_are_refused() {
    let liar = liar(1);
    let ids = &liar.pairs[0].corrupt.ids;
    let run = |site: SiteName, position: usize, read: usize| {
        let change = Change::at(site, position, To::Values(Array2::zeros((1, 64))));
        let rows = [Row::with(ids, change, read)];
        liar.engine.logits(&rows).unwrap_err()
    };
    let site = liar.sites[1];
    let unopened = run(SiteName::block(1, Point::ResidPost), 0, 0);
    assert!(
        unopened.found.contains("blocks.1.hook_resid_post"),
        "{unopened}"
    );
    run(site, ids.len(), 0);
    run(site, 0, ids.len());
    let mut pair = liar.pairs[0].clone();
    pair.foil = 383;
    let fault = patch_map(&liar.engine, "", &[pair], &liar.sites, PatchMode::Noising).unwrap_err();
    assert_eq!(
        (fault.kind, fault.found.as_str()),
        (Kind::Usage, "token id 383")
    );
}
