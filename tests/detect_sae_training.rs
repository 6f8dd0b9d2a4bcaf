#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::format_push_string,
    reason = "tests may unwrap and compare exactly"
)]
//! Training of SAEs: one step of every architecture against SAELens and PyTorch (`fixtures/detect/make_sae_training.py`), gradients
//! against finite differences, threads, checkpoints, and settings that mean nothing.

use std::path::Path;

use candor::detect::sae::train::{
    ARCHITECTURES, Architecture, Checkpoint, Described, Inference, Parameters, Penalty, Settings,
    Trainer,
};
use ndarray::{Array2, ArrayView2};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Map, Value};

fn settings(architecture: &str, d_sae: usize, k: usize) -> Settings {
    Settings {
        architecture: Architecture::named(architecture).unwrap(),
        d_sae,
        k,
        widths: if architecture.starts_with("matryoshka") {
            vec![d_sae / 4, d_sae / 2, d_sae]
        } else {
            vec![d_sae]
        },
        penalty: Penalty::Step,
        l0_coefficient: 0.1,
        l0_warm_up: 0,
        bandwidth: 0.2,
        lr: 0.01,
        warm_up: 0,
        decay: 0,
        steps: 1000,
        batch: 32,
        seed: 3,
        aux_coefficient: 0.25,
        dead_after: 1000,
    }
}

fn numbers(value: &Value) -> Vec<f32> {
    let array = value.as_array().unwrap();
    array
        .iter()
        .map(|value| value.as_f64().unwrap() as f32)
        .collect()
}

fn parameters(value: &Value, d_in: usize) -> Parameters {
    let of = |name: &str| numbers(&value[name]);
    Parameters {
        d_in,
        w_enc: of("w_enc"),
        w_dec: of("w_dec"),
        b_enc: of("b_enc"),
        b_dec: of("b_dec"),
        threshold: of("threshold"),
    }
}

fn named(parameters: &Parameters) -> [(&'static str, &[f32]); 5] {
    [
        ("w_enc", &parameters.w_enc),
        ("w_dec", &parameters.w_dec),
        ("b_enc", &parameters.b_enc),
        ("b_dec", &parameters.b_dec),
        ("threshold", &parameters.threshold),
    ]
}

/// Within `tolerance` of the largest value of each tensor.
fn close(what: &str, found: &Parameters, expected: &Parameters, tolerance: f32) {
    for ((name, found), (_, expected)) in named(found).into_iter().zip(named(expected)) {
        assert_eq!(found.len(), expected.len(), "{what}: {name}");
        let largest = expected.iter().fold(1e-3_f32, |most, x| most.max(x.abs()));
        for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!(
                (found - expected).abs() <= tolerance * largest,
                "{what}: {name}[{place}] is {found}, expected {expected}"
            );
        }
    }
}

/// Takes from each row its part along another.
fn across(values: &mut [f32], rows: &[f32], d_in: usize) {
    for (values, row) in values.chunks_mut(d_in).zip(rows.chunks(d_in)) {
        let along: f32 = values.iter().zip(row).map(|(value, row)| value * row).sum();
        for (value, row) in values.iter_mut().zip(row) {
            *value -= along * row;
        }
    }
}

#[test]
fn one_step_of_every_architecture_is_that_of_saelens_and_pytorch() {
    let recorded: Value =
        serde_json::from_str(include_str!("fixtures/detect/sae_training.json")).unwrap();
    let size = |name: &str| usize::try_from(recorded[name].as_u64().unwrap()).unwrap();
    let (d_in, d_sae) = (size("d_in"), size("d_sae"));
    let mut seen = Vec::new();
    for case in recorded["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let number = |key: &str| case[key].as_f64().unwrap();
        let x = numbers(&case["x"]);
        let x = Array2::from_shape_vec((x.len() / d_in, d_in), x).unwrap();
        let architecture = case["architecture"].as_str().unwrap();
        seen.push(architecture);
        let settings = Settings {
            widths: numbers(&case["widths"])
                .iter()
                .map(|width| *width as usize)
                .collect(),
            penalty: case["penalty"].as_str().unwrap().parse().unwrap(),
            l0_coefficient: number("l0_coefficient") as f32,
            bandwidth: number("bandwidth") as f32,
            aux_coefficient: number("aux_coefficient") as f32,
            lr: number("lr") as f32,
            batch: x.nrows(),
            ..settings(architecture, d_sae, number("k") as usize)
        };
        let mut trainer =
            Trainer::from_parameters(settings, parameters(&case["before"], d_in)).unwrap();
        for feature in numbers(&case["dead"]) {
            trainer.set_dead(feature as usize, true);
        }
        let near = |what: &str, found: f64, expected: f64| {
            let off = (found - expected).abs() / expected.abs().max(1e-3);
            assert!(off < 1e-5, "{name}: {what} {found}, expected {expected}");
        };
        let (cost, gradient) = trainer.gradient(x.view()).unwrap();
        near("loss", cost.loss, number("loss"));
        near("error", cost.error, number("mse"));
        near("L0", cost.l0, number("l0"));
        let (mut found, mut expected) = (gradient.clone(), parameters(&case["gradient"], d_in));
        if case["penalty"] == "tanh" {
            // SAELens's penalty knows the length of decoder rows, which here is fixed.
            let rows = parameters(&case["before"], d_in).w_dec;
            across(&mut found.w_dec, &rows, d_in);
            across(&mut expected.w_dec, &rows, d_in);
        }
        close(name, &found, &expected, 2e-5);
        // The step on its own, so that a running threshold has seen one batch.
        let mut trainer = Trainer::from_parameters(
            trainer.settings().clone(),
            parameters(&case["before"], d_in),
        )
        .unwrap();
        for feature in numbers(&case["dead"]) {
            trainer.set_dead(feature as usize, true);
        }
        let step = trainer.step(x.view()).unwrap();
        assert_eq!(step.dead, case["dead"].as_array().unwrap().len());
        close(
            name,
            trainer.parameters(),
            &parameters(&case["after"], d_in),
            // The first step of Adam is a sign, which hardly knows the size of a gradient near 0.
            1e-3,
        );
        match trainer.inference() {
            Inference::JumpReLU(threshold) if architecture != "jumprelu" => near(
                "threshold",
                f64::from(threshold[0]),
                number("topk_threshold"),
            ),
            _ => {}
        }
    }
    for architecture in ARCHITECTURES {
        assert!(seen.contains(&architecture.name), "{}", architecture.name);
    }
}

fn random(rows: usize, d_in: usize, seed: u64) -> Array2<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Array2::from_shape_fn((rows, d_in), |_| random.random::<f32>() * 2.0 - 1.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Along a random direction, where no feature begins or ends to be active, which two lengths of steps tell. JumpReLU's
    /// thresholds and its penalty have estimators instead of derivatives and stay out; so does the loss of dead features, for
    /// which the error is held fixed.
    #[test]
    fn gradients_are_those_of_finite_differences(
        architecture in 0..ARCHITECTURES.len(),
        seed in 0_u64..1000,
        d_in in 2_usize..7,
        rows in 1_usize..6,
    ) {
        let settings = Settings {
            l0_coefficient: 0.0,
            ..settings(ARCHITECTURES[architecture].name, 8, 2)
        };
        let x = random(rows, d_in, seed);
        let start = Trainer::new(settings.clone(), x.view()).unwrap().parameters().clone();
        let at = |parameters: Parameters| {
            let mut trainer = Trainer::from_parameters(settings.clone(), parameters).unwrap();
            let (cost, gradient) = trainer.gradient(x.view()).unwrap();
            (cost.loss, gradient.clone())
        };
        let moved = |step: f32| {
            let mut direction = ChaCha8Rng::seed_from_u64(seed + 1);
            let mut parameters = start.clone();
            let Parameters { w_enc, w_dec, b_enc, b_dec, .. } = &mut parameters;
            for value in [w_enc, w_dec, b_enc, b_dec].into_iter().flatten() {
                *value += step * (direction.random::<f32>() * 2.0 - 1.0);
            }
            parameters
        };
        let slope = |step: f32| (at(moved(step)).0 - at(moved(-step)).0) / (2.0 * f64::from(step));
        let (_, gradient) = at(start.clone());
        let unit = moved(1.0);
        let along: f64 = named(&gradient)[..4]
            .iter()
            .zip(&named(&unit)[..4])
            .zip(&named(&start)[..4])
            .flat_map(|(((_, gradient), (_, unit)), (_, start))| {
                gradient.iter().zip(*unit).zip(*start)
            })
            .map(|((gradient, unit), start)| f64::from(*gradient) * f64::from(unit - start))
            .sum();
        let (coarse, fine) = (slope(4e-3), slope(2e-3));
        prop_assume!((coarse - fine).abs() <= 2e-3 * (1.0 + fine.abs()));
        prop_assert!((fine - along).abs() <= 1e-2 * (1.0 + along.abs()), "{fine} and {along}");
    }
}

fn trained(settings: &Settings, x: ArrayView2<f32>, steps: usize) -> Trainer {
    let mut trainer = Trainer::new(settings.clone(), x).unwrap();
    for _ in 0..steps {
        trainer.step(x).unwrap();
    }
    trainer
}

fn described() -> Described {
    Described {
        scale: 2.0,
        flattens_heads: false,
        metadata: Map::new(),
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let x = random(700, 9, 1);
    for architecture in ARCHITECTURES {
        let settings = Settings {
            dead_after: 1,
            ..settings(architecture.name, 64, 3)
        };
        let of = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            pool.build().unwrap().install(|| {
                trained(&settings, x.view(), 12)
                    .export(&described())
                    .unwrap()
            })
        };
        assert!(of(1) == of(3), "{}", architecture.name);
    }
}

#[test]
fn a_training_that_was_cut_off_ends_as_one_that_was_not() {
    let x = random(300, 5, 2);
    for architecture in ARCHITECTURES {
        let settings = Settings {
            dead_after: 2,
            ..settings(architecture.name, 32, 2)
        };
        let whole = trained(&settings, x.view(), 9);
        let half = trained(&settings, x.view(), 4);
        let bytes = Checkpoint::write(&half, "note").unwrap();
        let checkpoint = Checkpoint::read(&bytes, Path::new("c"), settings.clone(), 5).unwrap();
        assert_eq!(checkpoint.note, "note");
        let mut resumed = checkpoint.trainer;
        for _ in 4..9 {
            resumed.step(x.view()).unwrap();
        }
        let same =
            Checkpoint::write(&resumed, "").unwrap() == Checkpoint::write(&whole, "").unwrap();
        assert!(same, "{}", architecture.name);
    }
}

/// The saved SAE reads plain activations, and reconstructs them as the training did scaled ones.
#[test]
fn the_scale_is_folded_into_what_is_saved() {
    let x = random(256, 6, 4);
    let mut trainer = trained(&settings("topk", 24, 3), x.view(), 60);
    let (cost, _) = trainer.gradient(x.view()).unwrap();
    let sae = trainer.sae(&described()).unwrap();
    let plain = &x / 2.0;
    let error = sae.error(plain.view()).unwrap();
    let squares: f64 = error.iter().map(|value| f64::from(*value).powi(2)).sum();
    let scaled = 4.0 * squares / x.nrows() as f64;
    assert!((scaled - cost.error).abs() < 1e-5 * cost.error);
    for feature in 0..24 {
        let direction = sae.feature_direction(feature).unwrap();
        assert!((direction.dot(&direction) - 1.0).abs() < 1e-5);
    }
}

#[test]
fn dead_features_are_revived() {
    // Sixteen directions, and a dictionary that has lost half of itself far away.
    let mut draws = ChaCha8Rng::seed_from_u64(5);
    let axes = random(16, 8, 6);
    let mut x = Array2::<f32>::zeros((512, 8));
    for mut row in x.rows_mut() {
        for _ in 0..2 {
            row += &(&axes.row(draws.random_range(0..16)) * draws.random::<f32>());
        }
    }
    let ends = |aux_coefficient: f32| {
        let settings = Settings {
            aux_coefficient,
            dead_after: 5,
            ..settings("topk", 16, 2)
        };
        let mut parameters = Trainer::new(settings.clone(), x.view())
            .unwrap()
            .parameters()
            .clone();
        parameters.b_enc[8..].fill(-4.0);
        let mut trainer = Trainer::from_parameters(settings, parameters).unwrap();
        for _ in 0..600 {
            trainer.step(x.view()).unwrap();
        }
        trainer.dead().iter().filter(|dead| **dead).count()
    };
    let (left_alone, revived) = (ends(0.0), ends(1.0));
    assert!(
        left_alone >= 6 && 2 * revived <= left_alone,
        "{left_alone}, {revived}"
    );
}

#[test]
fn what_cannot_be_trained_is_refused() {
    let x = random(16, 4, 0);
    let fine = settings("topk", 8, 2);
    let wrong = [
        (
            "d_sae 0",
            Settings {
                d_sae: 0,
                widths: vec![0],
                ..fine.clone()
            },
        ),
        (
            "k > d_sae",
            Settings {
                k: 9,
                ..fine.clone()
            },
        ),
        (
            "k 0",
            Settings {
                k: 0,
                ..fine.clone()
            },
        ),
        (
            "widths",
            Settings {
                widths: vec![4, 2, 8],
                ..fine.clone()
            },
        ),
        (
            "no step",
            Settings {
                steps: 0,
                ..fine.clone()
            },
        ),
        (
            "warm-up",
            Settings {
                warm_up: 900,
                decay: 101,
                ..fine.clone()
            },
        ),
        (
            "rate",
            Settings {
                lr: f32::NAN,
                ..fine.clone()
            },
        ),
        (
            "coefficient",
            Settings {
                aux_coefficient: -1.0,
                ..fine.clone()
            },
        ),
    ];
    let mut all = String::new();
    for (name, settings) in wrong {
        let fault = Trainer::new(settings, x.view()).unwrap_err();
        all += &format!("## {name}\n{fault}\n\n");
    }
    let mut trainer = Trainer::new(fine.clone(), x.view()).unwrap();
    let mut nan = x.clone();
    nan[[3, 1]] = f32::NAN;
    all += &format!("## NaN\n{}\n\n", trainer.step(nan.view()).unwrap_err());
    let narrow = random(4, 3, 0);
    all += &format!("## width\n{}\n\n", trainer.step(narrow.view()).unwrap_err());
    let none = random(0, 4, 0);
    all += &format!("## no row\n{}\n\n", trainer.step(none.view()).unwrap_err());
    let huge = &x * 1e30;
    all += &format!(
        "## overflow\n{}\n\n",
        trainer.step(huge.view()).unwrap_err()
    );
    let bytes = Checkpoint::write(&trainer, "").unwrap();
    let other = Settings {
        lr: 0.5,
        ..fine.clone()
    };
    for (name, bytes, settings) in [
        ("another training", bytes.as_slice(), other),
        ("cut off", &bytes[..bytes.len() - 9], fine.clone()),
        ("empty", &[], fine),
    ] {
        let fault = Checkpoint::read(bytes, Path::new("checkpoint"), settings, 4).unwrap_err();
        all += &format!("## checkpoint: {name}\n{fault}\n\n");
    }
    insta::assert_snapshot!(all);
}
