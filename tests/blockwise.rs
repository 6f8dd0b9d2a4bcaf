//! Rows run block by block give what whole passes of the whole graph give, on every committed export (with `CANDOR_FORMS`, on all).
#![allow(clippy::unwrap_used, reason = "a test may stop")]
#![allow(clippy::print_stderr, reason = "a test says what it skips")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use candor::causal::{Blockwise, Change, DEFAULT_BUDGET, Engine, Row, Runs, To};
use candor::fault::Kind;
use candor::model::{Architecture, Layout, Model, Point, SiteName};
use candor::run::{Memory, Runtime, RuntimeOptions, Traffic};
use ndarray::{Array1, Array2, ArrayView1};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

fn runtime() -> Runtime {
    Runtime::obtain(&RuntimeOptions::default(), &mut |_| ()).unwrap()
}

/// Models that are compared with a reference, by the name of their folder.
fn models() -> BTreeMap<String, PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut roots = vec![here.join("tests/fixtures/export/models")];
    let zoo = here.join("../shared/zoo");
    if zoo.is_dir() {
        roots.push(zoo);
    } else {
        eprintln!("skipped: no ../shared/zoo");
    }
    roots.extend(std::env::var_os("CANDOR_FORMS").map(PathBuf::from));
    let mut found = BTreeMap::new();
    for root in roots {
        for entry in fs::read_dir(root).unwrap() {
            let folder = entry.unwrap().path();
            let about = fs::read_to_string(folder.join("form.json")).unwrap_or_default();
            let runs = !about.contains("\"refused\"") && !about.contains("\"unrunnable\"");
            let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
            if runs && folder.join("model.onnx").is_file() {
                found.entry(name).or_insert(folder.join("model.onnx"));
            }
        }
    }
    found
}

const SEQ: usize = 6;

/// A site's values for one position, of about the size of real ones.
fn noise(rng: &mut ChaCha8Rng, n: usize) -> Array1<f32> {
    (0..n).map(|_| rng.random_range(-1.0..1.0)).collect()
}

fn halved(x: ArrayView1<f32>) -> Array1<f32> {
    x.mapv(|x| 0.5 * x + 0.1)
}

/// Rows that change every kind of site in every way.
fn rows<'a>(arch: &Architecture, prompts: &'a [Vec<i64>], rng: &mut ChaCha8Rng) -> Vec<Row<'a>> {
    let mut rows: Vec<Row<'_>> = prompts.iter().map(|ids| Row::plain(ids)).collect();
    let sites: Vec<(SiteName, Layout)> = arch
        .sites
        .iter()
        .filter(|site| {
            matches!(
                site.name.point,
                Point::ResidPre
                    | Point::ResidMid
                    | Point::ResidPost
                    | Point::AttnOut
                    | Point::MlpOut
                    | Point::HookZ
            )
        })
        .map(|site| (site.name, site.layout))
        .collect();
    let mut next = 0;
    let mut push = |changes: Vec<Change<'static>>, rng: &mut ChaCha8Rng| {
        next += 1;
        rows.push(Row {
            ids: &prompts[next % prompts.len()],
            changes,
            read: if rng.random_bool(0.5) {
                vec![SEQ - 1]
            } else {
                vec![2, SEQ - 1]
            },
        });
    };
    for &(site, layout) in &sites {
        let width = layout.per_position().unwrap();
        let position = rng.random_range(0..SEQ);
        let mut change = |positions: Vec<usize>,
                          heads: Option<Vec<usize>>,
                          to: To<'static>,
                          rng: &mut ChaCha8Rng| {
            push(
                vec![Change {
                    site,
                    positions,
                    heads,
                    to,
                }],
                rng,
            );
        };
        let value = noise(rng, width).insert_axis(ndarray::Axis(0));
        change(vec![position], None, To::Values(value), rng);
        let all = (0..SEQ).collect::<Vec<_>>();
        let values = Array2::from_shape_fn((SEQ, width), |_| rng.random_range(-1.0..1.0));
        change(all.clone(), None, To::Values(values), rng);
        change(vec![position], None, To::Add(noise(rng, width)), rng);
        change(all.clone(), None, To::Map(&halved), rng);
        if let Layout::Heads { heads, d_head } = layout {
            let some = vec![heads - 1, 0];
            let values = Array2::from_shape_fn((SEQ, 2 * d_head), |_| rng.random_range(-1.0..1.0));
            change(all, Some(some), To::Values(values), rng);
            change(vec![position], Some(vec![heads / 2]), To::Map(&halved), rng);
        }
    }
    // Several places in one row: a direction removed everywhere, and a later change on top of an earlier one.
    let stream = |point: Point| sites.iter().filter(move |(site, _)| site.point == point);
    let mut direction = noise(rng, arch.d_model);
    direction /= direction.dot(&direction).sqrt();
    let removed = stream(Point::ResidPost).map(|(site, _)| Change {
        site: *site,
        positions: (1..SEQ).collect(),
        heads: None,
        to: To::Project {
            direction: direction.clone(),
            target: 0.25,
        },
    });
    push(removed.collect(), rng);
    let mixed = sites.iter().enumerate().filter(|(index, _)| index % 3 == 0);
    let mixed = mixed.map(|(index, (site, layout))| {
        let width = layout.per_position().unwrap();
        Change {
            site: *site,
            positions: vec![index % SEQ],
            heads: None,
            to: if index % 2 == 0 {
                To::Add(noise(rng, width))
            } else {
                To::Map(&halved)
            },
        }
    });
    let mixed = mixed.collect();
    push(mixed, rng);
    rows
}

fn prompts(arch: &Architecture, rng: &mut ChaCha8Rng) -> Vec<Vec<i64>> {
    let vocab = i64::try_from(arch.vocab_size).unwrap();
    (0..3)
        .map(|_| (0..SEQ).map(|_| rng.random_range(0..vocab)).collect())
        .collect()
}

/// The largest difference, relative to the largest value.
fn apart(found: &[Array2<f32>], expected: &[Array2<f32>]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let mut worst = 0.0_f32;
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.dim(), expected.dim());
        let finite = expected.iter().filter(|value| value.is_finite());
        let scale = finite.fold(1e-6_f32, |most, value| most.max(value.abs()));
        for (a, b) in found.iter().zip(expected) {
            if a.to_bits() != b.to_bits() {
                worst = worst.max((a - b).abs() / scale);
            }
        }
    }
    worst
}

fn activations(engine: &dyn Runs, rows: &[Row<'_>], sites: &[SiteName]) -> Vec<Array2<f32>> {
    type Read = Vec<(usize, Array1<f32>)>;
    let mut all: BTreeMap<(usize, usize), Read> = BTreeMap::new();
    engine
        .each_activation(rows, sites, &mut |row, site, position, values| {
            all.entry((row, site))
                .or_default()
                .push((position, values.to_owned()));
            Ok(())
        })
        .unwrap();
    assert_eq!(all.len(), rows.len() * sites.len());
    all.into_values()
        .map(|mut read| {
            read.sort_by_key(|(position, _)| *position);
            let views: Vec<_> = read.iter().map(|(_, values)| values.view()).collect();
            ndarray::stack(ndarray::Axis(0), &views).unwrap()
        })
        .collect()
}

#[test]
fn blocks_give_what_whole_passes_give() {
    let runtime = runtime();
    let mut wrong = Vec::new();
    let mut uncut: BTreeMap<String, usize> = BTreeMap::new();
    let (mut cut, mut all) = (0, 0);
    let only = std::env::var("CANDOR_ONLY").unwrap_or_default();
    for (name, path) in models()
        .into_iter()
        .filter(|(name, _)| name.contains(&only))
    {
        let model = Model::open(&path).unwrap();
        let arch = Architecture::find(&model).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let prompts = prompts(&arch, &mut rng);
        let rows = rows(&arch, &prompts, &mut rng);
        all += 1;
        let blocks = match Blockwise::open(&runtime, &model, &arch, DEFAULT_BUDGET) {
            Ok(blocks) => blocks,
            Err(fault) => {
                assert!(!fault.found.is_empty());
                *uncut
                    .entry(format!("{}: {}", fault.doing, fault.found))
                    .or_default() += 1;
                continue;
            }
        };
        cut += 1;
        let sites: Vec<SiteName> = arch
            .sites
            .iter()
            .map(|site| site.name)
            .filter(|site| {
                rows.iter()
                    .any(|row| row.changes.iter().any(|change| change.site == *site))
            })
            .collect();
        let whole = Engine::open(&runtime, &model, &arch, &sites, &sites, Vec::new()).unwrap();
        let early = Row {
            read: vec![2],
            ..Row::plain(&prompts[0])
        };
        let mut rows = rows;
        if whole.logits(&[early]).is_err() {
            // Some models put out the logits of the last token alone.
            for row in &mut rows {
                row.read = vec![SEQ - 1];
            }
        }
        let allowed = match fs::read_to_string(path.with_file_name("form.json")) {
            Ok(about)
                if about.contains("fp16") || about.contains("bf16") || about.contains("exact") =>
            {
                3e-2
            }
            _ if name.contains("int4") => 1e-3,
            _ => 1e-5,
        };
        let expected = whole.logits(&rows).unwrap();
        let held = activations(&whole, &rows, &sites);
        // What lies on the device takes the way that it takes on a GPU, in the processor's memory.
        let device = Blockwise::open_in(&runtime, &model, &arch, DEFAULT_BUDGET, Memory::Device);
        for (way, blocks) in [("host", blocks), ("device", device.unwrap())] {
            match blocks.logits(&rows).map(|found| apart(&found, &expected)) {
                Ok(off) if off <= allowed => {}
                Ok(off) => wrong.push(format!("{name}, {way}: logits differ by {off:.1e}")),
                Err(fault) => {
                    wrong.push(format!("{name}, {way}: {}: {}", fault.doing, fault.found));
                }
            }
            let off = apart(&activations(&blocks, &rows, &sites), &held);
            if off > allowed {
                wrong.push(format!("{name}, {way}: activations differ by {off:.1e}"));
            }
        }
    }
    eprintln!("{cut} of {all} models are cut; not cut: {uncut:#?}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!only.is_empty() || 10 * cut >= 8 * all, "{cut} of {all}");
}

#[test]
fn a_budget_changes_nothing_but_the_number_of_runs_and_too_small_a_one_is_refused() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/export/models/attn_only.dynamo-18/model.onnx");
    let model = Model::open(&path).unwrap();
    let arch = Architecture::find(&model).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let prompts = prompts(&arch, &mut rng);
    let rows = rows(&arch, &prompts, &mut rng);
    let open =
        |budget, memory| Blockwise::open_in(&runtime(), &model, &arch, budget, memory).unwrap();
    let whole = open(DEFAULT_BUDGET, Memory::Host).logits(&rows).unwrap();
    for memory in [Memory::Host, Memory::Device] {
        let off = apart(&open(40 << 10, memory).logits(&rows).unwrap(), &whole);
        assert!(off <= 1e-6, "{memory:?}: {off:.1e}");
    }
    let fault = open(1 << 10, Memory::Host).logits(&rows).unwrap_err();
    assert_eq!(fault.kind, Kind::Usage);
    insta::assert_snapshot!(format!(
        "{}\nfound {}\nexpected {}",
        fault.doing, fault.found, fault.expected
    ));
}

/// What a sweep hands to the device and back: clean activations of `site` at each position, one row for each.
fn swept(name: &str, site: Point, chosen: Option<&[usize]>) -> (Traffic, Architecture, usize) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("tests/fixtures/export/models/{name}/model.onnx"));
    let model = Model::open(&path).unwrap();
    let arch = Architecture::find(&model).unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let prompts = prompts(&arch, &mut rng);
    let [clean, corrupted, _] = prompts.as_slice() else {
        unreachable!()
    };
    let blocks = Blockwise::open_in(&runtime(), &model, &arch, DEFAULT_BUDGET, Memory::Device);
    let blocks = blocks.unwrap();
    let sites: Vec<SiteName> = arch
        .sites
        .iter()
        .map(|own| own.name)
        .filter(|own| own.point == site)
        .collect();
    let activations = blocks.plain_activations(&[clean], &sites).unwrap();
    let mut rows = vec![Row::plain(corrupted)];
    for (site, values) in sites.iter().zip(&activations[0]) {
        for position in 0..SEQ {
            let value = values.row(position).to_owned();
            rows.push(Row {
                ids: corrupted,
                changes: vec![Change {
                    site: *site,
                    positions: vec![position],
                    heads: None,
                    to: To::Values(value.insert_axis(ndarray::Axis(0))),
                }],
                read: vec![SEQ - 1],
            });
        }
    }
    let before = blocks.blocks().traffic().unwrap();
    match chosen {
        Some(chosen) => blocks
            .each_of(&rows, chosen, &mut |_, _, _| Ok(()))
            .unwrap(),
        None => blocks.each_logits(&rows, &mut |_, _, _| Ok(())).unwrap(),
    }
    let after = blocks.blocks().traffic().unwrap();
    let moved = Traffic {
        written: after.written - before.written,
        read: after.read - before.read,
        indices: after.indices - before.indices,
    };
    (moved, arch, rows.len())
}

#[test]
fn a_sweep_on_the_device_sends_what_is_patched_up_and_brings_metrics_down() {
    for (site, chosen) in [
        (Point::ResidPre, Some(&[3_usize, 1][..])),
        (Point::ResidPre, None),
        (Point::HookZ, Some(&[3, 1][..])),
    ] {
        let (moved, arch, rows) = swept("attn_only.dynamo-18", site, chosen);
        // Behind the last attention a change at a token that is not read reaches nothing, and is left out.
        let idle = if site == Point::HookZ { SEQ - 1 } else { 0 };
        let patched = u64::try_from(rows - 1 - idle).unwrap();
        let width = arch.sites.iter().find(|own| own.name.point == site);
        let width = width.unwrap().layout.per_position().unwrap();
        assert_eq!(moved.written, patched * 4 * u64::try_from(width).unwrap());
        // The logits that are read, and for each patch whether it changes anything. Rows that are as the plain run's share its logits.
        let logits = chosen.map_or(arch.vocab_size, <[usize]>::len);
        let logits = 4 * u64::try_from(logits).unwrap();
        assert!(
            moved.read <= (patched + 1) * logits + 4 * patched,
            "{site:?}: {moved:?}"
        );
        assert!(moved.read >= 4 * patched + logits, "{site:?}: {moved:?}");
        // Token ids and places are integers, one for each token and run: nothing that grows with the model's width.
        let tokens = u64::try_from((rows + 1) * SEQ + 16).unwrap();
        let runs = u64::try_from(6 * arch.n_layers + 4).unwrap();
        assert!(moved.indices <= 8 * tokens * runs, "{site:?}: {moved:?}");
    }
}
