//! Which sites a command line names, and in which shapes they are written.
#![allow(clippy::unwrap_used, reason = "a test may stop")]

#[allow(dead_code, reason = "other tests use the rest")]
mod cli;

use std::collections::BTreeMap;
use std::path::Path;

use candor::lab::select_sites;
use candor::model::{Architecture, Model};
use cli::{candor, difference, floats, organism};
use ndarray::{ArrayD, s};

fn args(ids: &str, sites: &[&str], out: &Path) -> Vec<String> {
    let model = organism("liar").join("model.onnx");
    let mut args: Vec<String> = ["capture", model.to_str().unwrap(), "--ids", ids]
        .map(str::to_owned)
        .to_vec();
    for site in sites {
        args.extend(["--sites".to_owned(), (*site).to_owned()]);
    }
    args.extend(["--out".to_owned(), out.to_str().unwrap().to_owned()]);
    args
}

fn captured(ids: &str, sites: &[&str]) -> BTreeMap<String, ArrayD<f32>> {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("captured.safetensors");
    candor(args(ids, sites, &out)).assert().success();
    floats(&out)
}

fn refused(sites: &[&str]) -> String {
    let temp = tempfile::tempdir().unwrap();
    let out = temp.path().join("captured.safetensors");
    let done = candor(args("[[1, 2]]", sites, &out)).assert().code(2);
    assert!(!out.exists());
    String::from_utf8(done.get_output().stderr.clone()).unwrap()
}

#[test]
fn paths_of_modules_and_layer_numbers_are_sites() {
    for (given, names) in [
        (&["2"][..], &["blocks.2.hook_resid_post"][..]),
        (&["transformer.h.1"], &["blocks.1.hook_resid_post"]),
        (
            &["model.layers.[0-1].mlp"],
            &["blocks.0.hook_mlp_out", "blocks.1.hook_mlp_out"],
        ),
        (
            &["h.3.attn", "wte"],
            &["blocks.3.hook_attn_out", "hook_embed"],
        ),
        (&["transformer.ln_f"], &["ln_final.hook_normalized"]),
        (
            &["blocks.{1,3}.hook_resid_mid"],
            &["blocks.1.hook_resid_mid", "blocks.3.hook_resid_mid"],
        ),
        (&["lm_head"], &[]),
    ] {
        let captured = captured("[[1, 2, 3]]", given);
        let mut expected: Vec<&str> = names.to_vec();
        expected.push("logits");
        expected.sort_unstable();
        let found: Vec<&str> = captured.keys().map(String::as_str).collect();
        assert_eq!(found, expected, "{given:?}");
    }
}

#[test]
fn what_names_no_site_is_refused() {
    let cases = [
        "4",
        "model.layers.9.mlp",
        "model.layers.0.input_layernorm",
        "blocks.*.hook_resid_past",
    ];
    let said: Vec<String> = cases
        .iter()
        .map(|site| format!("── {site}\n{}", refused(&[site])))
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

/// Prompts of unequal length run apart or padded; what is written of each is what it gives alone, and 0 behind its end.
#[test]
fn a_prompt_gives_the_same_in_company() {
    let (long, short) = ([4, 9, 2, 7, 5], [3, 8, 6]);
    let both = captured(&format!("[{long:?}, {short:?}]"), &["*"]);
    assert_eq!(both.len(), 31);
    for (row, ids) in [&long[..], &short].into_iter().enumerate() {
        let alone = captured(&format!("[{ids:?}]"), &["*"]);
        let seq = ids.len();
        for (name, expected) in &alone {
            let all = &both[name];
            let own = if name.ends_with("hook_pattern") {
                all.slice(s![row..=row, .., ..seq, ..seq]).into_dyn()
            } else {
                all.slice_axis(ndarray::Axis(0), (row..=row).into())
                    .slice_axis_move(ndarray::Axis(1), (..seq).into())
            };
            let off = difference(&own.to_owned(), expected);
            assert!(off <= 1e-5, "{name} of row {row}: {off:e}");
            let axis = usize::from(name.ends_with("hook_pattern"));
            let mut rest = all.index_axis(ndarray::Axis(0), row);
            rest.slice_axis_inplace(ndarray::Axis(axis), (seq..).into());
            assert!(rest.iter().all(|x| *x == 0.0), "{name} of row {row}");
        }
    }
}

#[test]
fn values_by_head_and_weights_by_query_have_four_axes() {
    let captured = captured("[[4, 9, 2, 7, 5], [3, 8, 6, 1, 1]]", &["blocks.1.attn.*"]);
    let z = &captured["blocks.1.attn.hook_z"];
    let pattern = &captured["blocks.1.attn.hook_pattern"];
    let [_, _, heads, d_head] = z.shape() else {
        panic!("{:?}", z.shape())
    };
    assert_eq!((z.shape()[0], z.shape()[1], heads * d_head), (2, 5, 64));
    assert_eq!(pattern.shape(), [2, *heads, 5, 5]);
    for ((_, _, query, key), weight) in pattern
        .view()
        .into_dimensionality::<ndarray::Ix4>()
        .unwrap()
        .indexed_iter()
    {
        assert!(key <= query || *weight == 0.0, "a causal model looks ahead");
    }
}

/// Where a norm or a factor follows a module, its path would name another tensor than the site.
#[test]
fn a_module_whose_output_is_changed_before_it_is_added_is_refused() {
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/export/models");
    for (model, changed) in [
        ("gemma2.fp16", Some("a norm")),
        ("olmo2.dynamo-18", Some("a norm")),
        ("granite.dynamo-18", Some("a factor")),
        ("llama.renamed", None),
        ("starcoder2.dynamo-18", None),
    ] {
        let model = Model::open(&models.join(model).join("model.onnx")).unwrap();
        let arch = Architecture::find(&model).unwrap();
        for module in ["model.layers.1.self_attn", "model.layers.1.mlp"] {
            let found = select_sites(&arch, &[module.to_owned()]);
            match (changed, found) {
                (None, Ok(sites)) => assert_eq!(sites.len(), 1),
                (Some(what), Err(fault)) => assert!(fault.found.starts_with(what), "{fault}"),
                (_, found) => panic!("{}: {module}: {found:?}", model.path().display()),
            }
        }
        assert!(select_sites(&arch, &["model.layers.1".to_owned()]).is_ok());
    }
}
