//! Generation and padding over exported models, against what transformers writes.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop, and says what it measures"
)]

use std::fs::File;
use std::path::{Path, PathBuf};

use candor::fault::Kind;
use candor::instrument::{Plan, Write, instrument};
use candor::model::{Architecture, Model, Point, SiteName, encode};
use candor::run::{
    Budget, Cache, Feed, Generation, Reading, Runtime, RuntimeOptions, Sampling, Session, Side,
    Tensor, batches, each_output, generate, last_logits, outputs_of,
};
use ndarray::{Array1, Array2, Array3, ArrayD, ArrayViewD, Axis, array, s};
use ndarray_npy::NpzReader;

/// What was exported with its reference.
const REFERENCED: [&str; 5] = ["kv_rotary", "kv_learned", "window", "score_mask", "places"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run")
}

fn runtime() -> Runtime {
    Runtime::obtain(&RuntimeOptions::default(), &mut |line| println!("{line}")).unwrap()
}

fn opened(name: &str) -> (Model, Architecture) {
    let model = Model::open(&folder().join(format!("{name}.onnx"))).unwrap();
    let arch = Architecture::find(&model).unwrap();
    (model, arch)
}

fn session(name: &str) -> Session {
    let (model, arch) = opened(name);
    Session::open(&runtime(), &encode(model.proto()), &folder(), &arch).unwrap()
}

struct Reference {
    prompts: Vec<Vec<i64>>,
    written: Vec<Vec<i64>>,
    /// The stream after the last layer over prompt and response, `[tokens, d_model]`.
    resid_post: Vec<Array2<f32>>,
}

fn reference(name: &str) -> Reference {
    let file = File::open(folder().join(format!("{name}.npz"))).unwrap();
    let mut file = NpzReader::new(file).unwrap();
    let rows = |array: Array2<i64>| -> Vec<Vec<i64>> {
        array
            .outer_iter()
            .map(|row| row.iter().copied().filter(|id| *id >= 0).collect())
            .collect()
    };
    let prompts = rows(file.by_name("prompts").unwrap());
    Reference {
        written: rows(file.by_name("written").unwrap()),
        resid_post: (0..prompts.len())
            .map(|row| file.by_name(&format!("resid_post.{row}")).unwrap())
            .collect(),
        prompts,
    }
}

/// The largest difference relative to the largest value; NaN where a value is.
fn difference(a: &ArrayViewD<'_, f32>, b: &ArrayViewD<'_, f32>) -> f32 {
    assert_eq!(a.shape(), b.shape());
    let scale = b.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs() / scale);
    differences.fold(0.0, |most, here| {
        if here > most || here.is_nan() {
            here
        } else {
            most
        }
    })
}

fn alone(session: &Session, prompt: &[i64]) -> Array3<f32> {
    let ids = Array1::from(prompt.to_vec()).insert_axis(Axis(0));
    let mut outputs = session.run(&Feed::unpadded(ids), &["logits"]).unwrap();
    outputs
        .remove("logits")
        .unwrap()
        .into_dimensionality()
        .unwrap()
}

#[test]
fn transformers_greedy_text_is_written_with_and_without_a_cache() {
    for name in REFERENCED {
        let session = session(name);
        let reference = reference(name);
        let has_cache = session.caching().alone.is_ok();
        assert_eq!(
            has_cache,
            name != "score_mask",
            "{name}: {:?}",
            session.caching()
        );
        for cache in [true, false] {
            let how = Generation {
                max_new_tokens: 8,
                cache,
                ..Generation::default()
            };
            let written = generate(&session, &reference.prompts, &how).unwrap();
            let ids: Vec<_> = written.into_iter().map(|written| written.ids).collect();
            assert_eq!(ids, reference.written, "{name}, cache {cache}");
        }
    }
}

#[test]
fn draws_depend_on_the_seed_and_not_on_batches_or_the_cache() {
    let sampling = Sampling {
        temperature: 1.5,
        top_k: Some(40),
        top_p: Some(0.95),
        seed: 11,
    };
    for name in REFERENCED {
        let session = session(name);
        let prompts = reference(name).prompts;
        let write = |cache, seed, budget: Budget| -> Vec<Vec<i64>> {
            let how = Generation {
                max_new_tokens: 8,
                cache,
                sampling: Some(Sampling { seed, ..sampling }),
                budget,
                ..Generation::default()
            };
            let written = generate(&session, &prompts, &how).unwrap();
            written.into_iter().map(|written| written.ids).collect()
        };
        let single = Budget {
            batch: 1,
            ..Budget::default()
        };
        let first = write(true, 11, Budget::default());
        assert_eq!(write(true, 11, single), first, "{name}");
        assert_eq!(write(false, 11, Budget::default()), first, "{name}");
        assert_ne!(write(true, 12, Budget::default()), first, "{name}");
    }
}

#[test]
fn a_response_ends_before_a_stop_token() {
    let session = session("kv_rotary");
    let reference = reference("kv_rotary");
    let stop = reference.written[0][3];
    for cache in [true, false] {
        let how = Generation {
            max_new_tokens: 8,
            stop: &[stop],
            cache,
            ..Generation::default()
        };
        let written = generate(&session, &reference.prompts, &how).unwrap();
        for (written, whole) in written.iter().zip(&reference.written) {
            let end = whole.iter().position(|id| *id == stop);
            assert_eq!(written.stopped, end.is_some());
            assert_eq!(written.ids, whole[..end.unwrap_or(8)]);
        }
        assert!(written[0].stopped);
    }
}

/// The stream while generating, of a text whose tokens were read in many runs, against `PyTorch`'s over the whole text.
#[test]
fn activations_while_generating_are_those_of_the_whole_text() {
    for name in REFERENCED {
        let (model, arch) = opened(name);
        let site = SiteName::block(arch.n_layers - 1, Point::ResidPost);
        let plan = Plan {
            taps: vec![site, SiteName::block(0, Point::ResidPre)],
            ..Plan::default()
        };
        let made = instrument(&model, &arch, &plan).unwrap();
        let session = Session::open(&runtime(), &made.bytes, &made.folder, &arch).unwrap();
        let outputs: Vec<&str> = made
            .manifest
            .taps
            .iter()
            .map(|(_, name)| name.as_str())
            .collect();
        let reference = reference(name);
        for cache in [true, false] {
            let how = Generation {
                max_new_tokens: 8,
                outputs: &outputs,
                cache,
                ..Generation::default()
            };
            let written = generate(&session, &reference.prompts, &how).unwrap();
            for (row, written) in written.iter().enumerate() {
                assert_eq!(written.ids, reference.written[row], "{name}");
                let expected = reference.resid_post[row].view().into_dyn();
                let found = difference(&written.outputs[0].view(), &expected);
                assert!(found <= 5e-5, "{name}, row {row}, cache {cache}: {found}");
                let text = [reference.prompts[row].as_slice(), &written.ids].concat();
                let whole = outputs_of(&session, &[text], &Reading::of(&outputs)).unwrap();
                for (here, whole) in written.outputs.iter().zip(&whole[0]) {
                    let found = difference(&here.view(), &whole.view());
                    assert!(found <= 2e-5, "{name}, row {row}, cache {cache}: {found}");
                }
            }
        }
    }
}

/// An edit of the stream at one position of each prompt and at every new token.
#[test]
fn an_edit_is_fed_at_the_positions_of_each_text_in_every_run() {
    for name in ["kv_rotary", "kv_learned", "window"] {
        let (model, arch) = opened(name);
        let site = SiteName::block(1, Point::ResidPre);
        let plan = Plan {
            writes: vec![Write::Replace {
                site,
                value: "value".into(),
            }],
            ..Plan::default()
        };
        let made = instrument(&model, &arch, &plan).unwrap();
        let session = Session::open(&runtime(), &made.bytes, &made.folder, &arch).unwrap();
        let (value, _) = made.manifest.inputs[0].clone();
        let (_, mask) = made.manifest.masks[0].clone();
        let prompts = reference(name).prompts;
        let edited = |edit: bool, cache: bool, budget: Budget| {
            let extra = |cells: &candor::run::Cells| {
                let (rows, tokens) = cells.positions.dim();
                let here = |row: usize, column: usize| {
                    let position = cells.positions[[row, column]]?;
                    let length = prompts[cells.prompts[row]].len();
                    (edit && (position == 1 || position >= length)).then_some(position)
                };
                let masks = Array3::from_shape_fn((rows, tokens, 1), |(row, column, _)| {
                    here(row, column).is_some()
                });
                let values =
                    Array3::from_shape_fn((rows, tokens, arch.d_model), |(row, column, unit)| {
                        let position = here(row, column).unwrap_or(0);
                        f32::from(u8::try_from((position * 7 + unit * 3) % 5).unwrap()) - 2.0
                    });
                Ok(vec![
                    (value.clone(), Tensor::F32(values.into_dyn())),
                    (mask.clone(), Tensor::Bool(masks.into_dyn())),
                ])
            };
            let how = Generation {
                max_new_tokens: 6,
                cache,
                budget,
                extra: Some(&extra),
                ..Generation::default()
            };
            let written = generate(&session, &prompts, &how).unwrap();
            written
                .into_iter()
                .map(|written| written.ids)
                .collect::<Vec<_>>()
        };
        let usual = Budget::default();
        let with = edited(true, true, usual);
        assert_eq!(edited(true, false, usual), with, "{name}");
        assert_eq!(
            edited(true, false, Budget { batch: 1, ..usual }),
            with,
            "{name}"
        );
        assert_ne!(edited(false, true, usual), with, "{name}");
    }
}

#[test]
fn rows_padded_on_either_side_have_the_logits_they_have_alone_or_the_side_is_not_used() {
    let unsound = [
        ("kv_learned", Side::Left),
        ("window", Side::Left),
        ("window", Side::Right),
        ("nan_padding", Side::Left),
    ];
    for name in [
        "kv_rotary",
        "kv_learned",
        "window",
        "score_mask",
        "nan_padding",
    ] {
        let session = session(name);
        let prompts: Vec<Vec<i64>> = [9, 7, 8]
            .map(|length| {
                (0..length)
                    .map(|place| (place * 11 + length) % 64)
                    .collect()
            })
            .into();
        let batch = &batches(&prompts, true, 1000)[0];
        for side in [Side::Right, Side::Left] {
            let verdict = match side {
                Side::Right => &session.batching().right,
                Side::Left => &session.batching().left,
            };
            assert_eq!(
                verdict.is_err(),
                unsound.contains(&(name, side)),
                "{name} {side:?}: {verdict:?}"
            );
            let batch = batch.padded_on(side);
            let together = session.run(&batch.feed(), &["logits"]);
            let worst = together.map(|outputs| {
                let rows = batch.rows.iter().enumerate().map(|(row, prompt)| {
                    let here = outputs["logits"].slice(s![row, batch.columns(row), ..]);
                    let alone = alone(&session, &prompts[*prompt]);
                    difference(&here.into_dyn(), &alone.index_axis(Axis(0), 0).into_dyn())
                });
                rows.fold(0.0_f32, |most, here| if here > most { here } else { most })
            });
            println!("{name} {side:?}: {worst:?}");
            // What was measured on other texts holds here.
            assert_eq!(
                worst.is_ok_and(|worst| worst <= 1e-5),
                verdict.is_ok(),
                "{name} {side:?}"
            );
        }
    }
    let nan = session("nan_padding").batching().left.clone().unwrap_err();
    assert!(nan.contains("NaN"), "{nan}");
}

#[test]
fn outputs_are_shown_at_the_prompts_own_tokens_alone() {
    for name in [
        "kv_rotary",
        "kv_learned",
        "window",
        "nan_padding",
        "score_mask",
    ] {
        let session = session(name);
        let prompts: Vec<Vec<i64>> = vec![
            vec![5, 6, 7, 8, 9, 10],
            vec![11],
            vec![12, 13, 14, 15],
            vec![7, 9],
        ];
        let mut seen = vec![0; prompts.len()];
        let whole: Vec<_> = prompts
            .iter()
            .map(|prompt| alone(&session, prompt))
            .collect();
        each_output(&session, &prompts, &Reading::of(&["logits"]), |part| {
            seen[part.prompt] += 1;
            assert_eq!((part.start, part.name), (0, "logits"));
            let alone = whole[part.prompt].index_axis(Axis(0), 0);
            let found = difference(&part.values, &alone.into_dyn());
            assert!(found <= 1e-5, "{name}: {found}");
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [1; 4], "{name}");
    }
}

/// A budget under which a text of 16 tokens is read in four runs.
fn small(session_width: usize) -> Budget {
    Budget {
        batch: 1,
        run: (session_width + 2 * 2 * 16) * 4 * 4,
    }
}

#[test]
fn a_long_text_is_read_in_chunks_that_change_nothing() {
    for name in ["kv_rotary", "kv_learned", "window"] {
        let session = session(name);
        let prompt: Vec<i64> = (0..16).map(|place| (place * 13 + 5) % 64).collect();
        let whole = alone(&session, &prompt);
        let reading = Reading {
            budget: small(64),
            ..Reading::of(&["logits"])
        };
        let mut starts = Vec::new();
        each_output(&session, std::slice::from_ref(&prompt), &reading, |part| {
            starts.push(part.start);
            Ok(())
        })
        .unwrap();
        assert_eq!(starts, [0, 4, 8, 12], "{name}");
        let joined: Vec<Vec<ArrayD<f32>>> =
            outputs_of(&session, std::slice::from_ref(&prompt), &reading).unwrap();
        let found = difference(
            &joined[0][0].view(),
            &whole.index_axis(Axis(0), 0).into_dyn(),
        );
        assert!(found <= 1e-5, "{name}: {found}");

        let write = |budget| {
            let how = Generation {
                max_new_tokens: 6,
                outputs: &["logits"],
                budget,
                ..Generation::default()
            };
            generate(&session, std::slice::from_ref(&prompt), &how)
                .unwrap()
                .remove(0)
        };
        let (chunked, at_once) = (write(small(64)), write(Budget::default()));
        assert_eq!(chunked.ids, at_once.ids, "{name}");
        let found = difference(&chunked.outputs[0].view(), &at_once.outputs[0].view());
        assert!(found <= 1e-5, "{name}: {found}");
    }
}

#[test]
fn a_text_too_long_for_the_stated_memory_is_refused_where_no_cache_helps() {
    let prompt: Vec<i64> = (0..16).collect();
    let session = session("score_mask");
    let how = Generation {
        budget: small(64),
        ..Generation::default()
    };
    let fault = generate(&session, std::slice::from_ref(&prompt), &how).unwrap_err();
    assert_eq!(fault.kind, Kind::Usage);
    insta::assert_snapshot!(fault);
    let none = Generation {
        budget: Budget { batch: 1, run: 10 },
        max_new_tokens: 2,
        ..Generation::default()
    };
    let fault = generate(&self::session("kv_rotary"), &[prompt], &none).unwrap_err();
    assert_eq!(fault.kind, Kind::Usage);
    insta::assert_snapshot!(fault);
}

#[test]
fn an_output_whose_axes_are_exchanged_is_never_read() {
    let bytes = std::fs::read(folder().join("turned.onnx")).unwrap();
    let (_, mut arch) = opened("score_mask");
    arch.inputs.truncate(1);
    arch.vocab_size = 1;
    for (rows, tokens) in [(2, 3), (3, 2), (1, 4), (4, 1), (3, 3)] {
        let session = Session::open(&runtime(), &bytes, &folder(), &arch).unwrap();
        let feed = Feed::unpadded(Array2::ones((rows, tokens)));
        assert!(session.run(&feed, &["logits"]).is_ok(), "{rows} × {tokens}");
        let fault = session.run(&feed, &["turned"]).unwrap_err();
        assert_eq!(fault.kind, Kind::Failed);
        assert!(fault.doing.contains("`turned`"), "{fault}");
        assert!(fault.expected.contains("rows and"), "{fault}");
    }
}

#[test]
fn a_cache_of_other_rows_or_a_model_without_one_is_refused() {
    let session = session("kv_rotary");
    let mut cache = Cache::new();
    let nothing = |_: &str, _: ArrayViewD<'_, f32>| Ok(());
    let two = Feed::unpadded(array![[3, 4], [5, 6]]);
    session
        .extend(&mut cache, &two, &["logits"], nothing)
        .unwrap();
    assert_eq!((cache.rows(), cache.len()), (2, 2));
    let one = Feed::unpadded(array![[7]]);
    let fault = session
        .extend(&mut cache, &one, &["logits"], nothing)
        .unwrap_err();
    assert_eq!(fault.kind, Kind::Usage);
    assert!(fault.found.contains("1 rows after a cache of 2"), "{fault}");
    let fault = self::session("score_mask")
        .extend(&mut Cache::new(), &one, &["logits"], nothing)
        .unwrap_err();
    assert!(fault.found.contains("takes no key/value cache"), "{fault}");
}

#[test]
fn sampling_that_means_nothing_and_empty_prompts_are_refused() {
    let session = session("kv_rotary");
    let how = Generation {
        max_new_tokens: 2,
        sampling: Some(Sampling {
            temperature: -1.0,
            top_k: None,
            top_p: None,
            seed: 0,
        }),
        ..Generation::default()
    };
    let fault = generate(&session, &[vec![3]], &how).unwrap_err();
    assert!(fault.found.contains("temperature -1"), "{fault}");
    for cache in [true, false] {
        let how = Generation {
            max_new_tokens: 2,
            cache,
            ..Generation::default()
        };
        let fault = generate(&session, &[vec![3, 4], vec![]], &how).unwrap_err();
        assert_eq!(fault.kind, Kind::Usage, "{fault}");
        assert!(generate(&session, &[], &how).unwrap().is_empty());
    }
    let (_, arch) = opened("kv_rotary");
    assert_eq!(last_logits(&session, &arch, &[]).unwrap().dim(), (0, 64));
}
