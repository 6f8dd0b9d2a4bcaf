//! Sessions over real exports: recorded logits, padding, generation, refusals.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test may stop, and says what it skips"
)]

use std::fs::File;
use std::path::{Path, PathBuf};

use candor::fault::Kind;
use candor::model::{Architecture, Element, InputPort, InputRole, ModelFacts};
use candor::run::{
    Feed, Provider, Runtime, RuntimeOptions, Session, Tensor, batches, greedy, last_logits,
};
use ndarray::{Array1, Array2, Array3, Axis, array, s};
use ndarray_npy::NpzReader;

fn shared() -> Option<PathBuf> {
    let folder = std::env::var_os("CANDOR_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"),
        PathBuf::from,
    );
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: ../shared is not here");
    None
}

fn runtime() -> Runtime {
    Runtime::obtain(&RuntimeOptions::default(), &mut |line| println!("{line}")).unwrap()
}

struct Model {
    session: Session,
    arch: Architecture,
    ids: Array2<i64>,
    mask: Array2<i64>,
    logits: Array3<f32>,
}

fn model(folder: &Path) -> Model {
    let opened = candor::model::Model::open(&folder.join("model.onnx")).unwrap();
    let arch = Architecture::find(&opened).unwrap();
    let bytes = candor::model::encode(opened.proto());
    let session = Session::open(&runtime(), &bytes, folder, &arch).unwrap();
    let mut reference = NpzReader::new(File::open(folder.join("reference.npz")).unwrap()).unwrap();
    Model {
        session,
        arch,
        ids: reference.by_name("input_ids").unwrap(),
        mask: reference.by_name("attention_mask").unwrap(),
        logits: reference.by_name("logits").unwrap(),
    }
}

/// An architecture of which a session needs only this: what the inputs mean, and which output the logits are.
fn architecture(inputs: &[(&str, Element, InputRole)]) -> Architecture {
    Architecture {
        n_layers: 1,
        d_model: 1,
        n_heads: None,
        vocab_size: 1,
        family_hint: String::new(),
        blocks: Vec::new(),
        sites: Vec::new(),
        absent: Vec::new(),
        inputs: inputs
            .iter()
            .map(|(name, element, role)| InputPort {
                name: (*name).to_owned(),
                element: *element,
                role: role.clone(),
                grown: None,
            })
            .collect(),
        logits: "logits".into(),
        facts: ModelFacts::default(),
    }
}

/// The fixture that shows what it was fed, in every element type.
fn types() -> Session {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/run");
    let bytes = std::fs::read(folder.join("types.onnx")).unwrap();
    let past = InputRole::PastKeyValue(vec![None, Some(2), Some(0), Some(4)]);
    let arch = architecture(&[
        ("ids", Element::I32, InputRole::TokenIds),
        ("mask_bool", Element::Bool, InputRole::AttentionMask),
        ("mask_f16", Element::F16, InputRole::AttentionMask),
        ("positions", Element::I64, InputRole::PositionIds),
        ("past", Element::F16, past),
    ]);
    Session::open(&runtime(), &bytes, &folder, &arch).unwrap()
}

/// Every model of the zoo, and a trained one.
fn models(shared: &Path) -> Vec<(String, Model)> {
    let mut folders: Vec<_> = std::fs::read_dir(shared.join("zoo"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|folder| folder.join("reference.npz").exists())
        .collect();
    folders.push(shared.join("data/stories260k"));
    folders.sort();
    assert!(folders.len() >= 9);
    folders
        .into_iter()
        .map(|folder| {
            let name = folder.file_name().unwrap().to_string_lossy().into_owned();
            (name, model(&folder))
        })
        .collect()
}

fn difference<D: ndarray::Dimension>(
    a: &ndarray::ArrayView<'_, f32, D>,
    b: &ndarray::ArrayView<'_, f32, D>,
) -> f32 {
    assert_eq!(a.shape(), b.shape());
    ndarray::Zip::from(a).and(b).fold(0.0, |largest, a, b| {
        let difference = (a - b).abs();
        // `f32::max` would drop a NaN.
        if difference > largest || difference.is_nan() {
            difference
        } else {
            largest
        }
    })
}

/// The references are `PyTorch`'s but for the int4 export, which no `PyTorch` model equals: its were recorded from ONNX Runtime.
#[test]
fn logits_are_the_recorded_ones() {
    let Some(shared) = shared() else { return };
    for (name, model) in models(&shared) {
        let feed = Feed::new(model.ids.clone(), model.mask.clone());
        let outputs = model.session.run(&feed, &["logits"]).unwrap();
        assert_eq!(outputs.keys().collect::<Vec<_>>(), ["logits"], "{name}");
        let found = difference(&outputs["logits"].view(), &model.logits.view().into_dyn());
        println!("{name}: {found:.2e}");
        assert!(found <= 1e-4, "{name}: {found}");
    }
}

#[test]
fn a_row_padded_on_the_right_has_the_logits_it_has_alone() {
    let Some(shared) = shared() else { return };
    for (name, model) in models(&shared) {
        let ids = model.ids.row(0).to_vec();
        let prompts: Vec<_> = [ids.len(), ids.len() - 1, ids.len() - 2]
            .iter()
            .map(|length| ids[..*length].to_vec())
            .collect();
        let batch = &batches(&prompts, true, 1000)[0];
        assert_eq!(batch.rows, [0, 1, 2]);
        let together = model.session.run(&batch.feed(), &["logits"]).unwrap();
        for (row, prompt) in prompts.iter().enumerate() {
            let alone = Array1::from(prompt.clone()).insert_axis(Axis(0));
            let alone = model
                .session
                .run(&Feed::unpadded(alone), &["logits"])
                .unwrap();
            let found = difference(
                &together["logits"].slice(s![row, ..prompt.len(), ..]),
                &alone["logits"].slice(s![0, .., ..]),
            );
            assert!(found <= 1e-5, "{name}, row {row}: {found}");
        }
    }
}

#[test]
fn the_same_run_gives_the_same_bytes() {
    let Some(shared) = shared() else { return };
    let model = model(&shared.join("data/stories260k"));
    let feed = Feed::new(model.ids.clone(), model.mask.clone());
    let first = model.session.run(&feed, &["logits"]).unwrap();
    for _ in 0..3 {
        assert_eq!(model.session.run(&feed, &["logits"]).unwrap(), first);
    }
}

#[test]
fn a_trained_model_is_continued_greedily_token_by_token() {
    let Some(shared) = shared() else { return };
    let model = model(&shared.join("data/stories260k"));
    let text = model.ids.row(0).to_vec();
    let prompts = vec![text[..4].to_vec(), text[..9].to_vec(), text[..4].to_vec()];
    let written = greedy(&model.session, &prompts, 6, &[]).unwrap();
    assert_eq!(written[0], written[2]);
    for (prompt, response) in prompts.iter().zip(&written) {
        assert_eq!(response.len(), 6);
        // One run over the whole text must agree with every step: the logits are causal.
        let whole = [prompt.as_slice(), response].concat();
        let ids = Array1::from(whole).insert_axis(Axis(0));
        let outputs = model
            .session
            .run(&Feed::unpadded(ids), &["logits"])
            .unwrap();
        for (step, token) in response.iter().enumerate() {
            let logits = outputs["logits"].slice(s![0, prompt.len() - 1 + step, ..]);
            let best = logits
                .indexed_iter()
                .max_by(|a, b| a.1.total_cmp(b.1))
                .unwrap()
                .0;
            assert_eq!(usize::try_from(*token).unwrap(), best);
        }
    }
    let stop = written[0][2];
    let first = written[0].iter().position(|token| *token == stop).unwrap();
    let stopped = greedy(&model.session, &prompts[..1], 6, &[stop]).unwrap();
    assert_eq!(stopped, [written[0][..first].to_vec()]);
}

#[test]
fn the_last_logits_are_those_after_the_last_real_token() {
    let Some(shared) = shared() else { return };
    let model = model(&shared.join("zoo/neox"));
    let ids = model.ids.row(1).to_vec();
    let prompts = vec![ids[..7].to_vec(), ids.clone(), ids[..8].to_vec()];
    let last = last_logits(&model.session, &model.arch, &prompts).unwrap();
    for (row, prompt) in prompts.iter().enumerate() {
        let expected = model.logits.slice(s![1, prompt.len() - 1, ..]);
        assert!(difference(&last.row(row), &expected) <= 1e-4);
    }
}

#[test]
fn nodes_are_placed_on_the_processor() {
    let Some(shared) = shared() else { return };
    let placed = model(&shared.join("zoo/llama"))
        .session
        .placement()
        .unwrap();
    assert!(placed.iter().any(|node| node.operator == "MatMul"));
    assert!(
        placed
            .iter()
            .all(|node| node.provider == "CPUExecutionProvider")
    );
}

#[test]
fn what_the_graph_does_not_have_is_refused() {
    let Some(shared) = shared() else { return };
    let model = model(&shared.join("zoo/llama_kv"));
    let feed = Feed::new(model.ids.clone(), model.mask.clone());

    let fault = model.session.run(&feed, &["hidden"]).unwrap_err();
    assert_eq!(fault.kind, Kind::Failed);
    assert!(fault.found.contains("`hidden`"), "{fault}");
    assert!(fault.expected.contains("`present.0.key`"), "{fault}");

    let surplus = feed
        .clone()
        .with("value", Tensor::F32(array![1.0].into_dyn()));
    let fault = model.session.run(&surplus, &["logits"]).unwrap_err();
    assert!(fault.found.contains("no input `value`"), "{fault}");

    let wrong = feed.with("attention_mask", Tensor::F32(array![[1.0]].into_dyn()));
    let fault = model.session.run(&wrong, &["logits"]).unwrap_err();
    assert!(fault.found.contains("floats"), "{fault}");

    let empty = vec![vec![]];
    let fault = last_logits(&model.session, &model.arch, &empty).unwrap_err();
    assert_eq!(fault.kind, Kind::Usage);

    let foreign = Feed::unpadded(array![[1, 1_000_000]]);
    let fault = model.session.run(&foreign, &["logits"]).unwrap_err();
    assert_eq!(fault.kind, Kind::Failed);
}

#[test]
fn an_input_that_nobody_fills_is_refused() {
    let Some(shared) = shared() else { return };
    let folder = shared.join("zoo/gpt2");
    let arch = architecture(&[("input_ids", Element::I64, InputRole::TokenIds)]);
    let bytes = std::fs::read(folder.join("model.onnx")).unwrap();
    let session = Session::open(&runtime(), &bytes, &folder, &arch).unwrap();
    let fault = session
        .run(&Feed::unpadded(array![[1, 2]]), &["logits"])
        .unwrap_err();
    assert_eq!(fault.kind, Kind::Usage);
    assert!(fault.doing.contains("`attention_mask`"), "{fault}");
}

#[test]
fn bytes_that_are_no_model_are_refused() {
    let arch = architecture(&[]);
    for bytes in [
        &b""[..],
        b"not a model",
        &[8, 10, 58, 255, 255, 255, 255, 15],
    ] {
        let fault = Session::open(&runtime(), bytes, Path::new(""), &arch).unwrap_err();
        assert_eq!(fault.kind, Kind::Usage, "{fault}");
    }
    let fault = Session::open(&runtime(), b"", Path::new("/no/such/folder"), &arch).unwrap_err();
    assert!(fault.doing.contains("/no/such/folder"), "{fault}");
}

#[test]
fn cuda_is_never_replaced_by_the_processor_silently() {
    let options = RuntimeOptions {
        provider: Provider::Cuda,
        ..RuntimeOptions::default()
    };
    let plain = runtime();
    if plain
        .library()
        .with_file_name("libonnxruntime_providers_cuda.so")
        .exists()
    {
        println!("skipped: the runtime at hand has CUDA");
        return;
    }
    let fault = Runtime::obtain(&options, &mut |_| {}).unwrap_err();
    assert_eq!(fault.kind, Kind::Failed);
    assert!(fault.found.contains("without CUDA"), "{fault}");
}

#[test]
fn a_runtime_is_obtained_again_and_a_second_one_refused() {
    let first = runtime();
    let again = runtime();
    assert_eq!(first.library(), again.library());
    assert!(first.describe().contains(first.version()));
    let same = RuntimeOptions {
        path: Some(first.library().to_owned()),
        ..RuntimeOptions::default()
    };
    assert!(Runtime::obtain(&same, &mut |_| {}).is_ok());
    let other = RuntimeOptions {
        path: Some("/no/such/libonnxruntime.so".into()),
        ..RuntimeOptions::default()
    };
    let fault = Runtime::obtain(&other, &mut |_| {}).unwrap_err();
    assert!(fault.found.contains("already"), "{fault}");
}

#[test]
fn inputs_and_outputs_have_the_element_types_of_the_graph() {
    let feed = Feed::new(array![[3, 4, 5], [6, 7, 8]], array![[1, 1, 1], [1, 1, 0]]);
    let wanted = [
        "ids_bf16",
        "mask_f32",
        "mask_out_f16",
        "positions_f32",
        "past_dims_f32",
    ];
    let outputs = types().run(&feed, &wanted).unwrap();
    let mask = array![[1.0, 1.0, 1.0], [1.0, 1.0, 0.0]].into_dyn();
    assert_eq!(outputs["mask_f32"], mask);
    assert_eq!(outputs["mask_out_f16"], mask);
    assert_eq!(
        outputs["ids_bf16"],
        array![[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]].into_dyn()
    );
    assert_eq!(
        outputs["positions_f32"],
        array![[0.0, 1.0, 2.0], [0.0, 1.0, 1.0]].into_dyn()
    );
    assert_eq!(
        outputs["past_dims_f32"],
        array![2.0, 2.0, 0.0, 4.0].into_dyn()
    );
    let halves = Tensor::F32(array![[0.5, 2.0, -1.0]].into_dyn());
    let overridden = Feed::unpadded(array![[1, 2, 3]]).with("mask_f16", halves);
    let outputs = types()
        .run(&overridden, &["mask_out_f16", "mask_out_f16"])
        .unwrap();
    assert_eq!(outputs["mask_out_f16"], array![[0.5, 2.0, -1.0]].into_dyn());
}

#[test]
fn nan_is_refused_everywhere_and_infinity_outside_the_logits() {
    let session = types();
    let found = |feed: &Feed, name: &str| session.run(feed, &[name]).err().map(|fault| fault.found);
    let infinite = Feed::unpadded(array![[1, 0]]);
    assert_eq!(found(&infinite, "logits"), None);
    assert_eq!(
        found(&infinite, "stream").as_deref(),
        Some("-inf at [0, 1]")
    );
    let undefined = Feed::unpadded(array![[1, -1]]);
    assert_eq!(
        found(&undefined, "logits").as_deref(),
        Some("NaN at [0, 1]")
    );
    let padding = Feed::new(array![[1, -1]], array![[1, 0]]);
    assert_eq!(found(&padding, "stream"), None);
}

#[test]
fn outputs_that_are_no_floats_are_refused() {
    let fault = types()
        .run(&Feed::unpadded(array![[1]]), &["whole"])
        .unwrap_err();
    assert!(fault.doing.contains("`whole`"), "{fault}");
}
