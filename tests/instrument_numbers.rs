//! Instrumented graphs in real sessions: against `PyTorch`'s recorded residual stream, and against what an edit must do.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on says so"
)]

#[path = "instrument/lab.rs"]
mod lab;
#[allow(dead_code, reason = "the structural tests use the rest")]
#[path = "instrument/tiny.rs"]
mod tiny;

use candor::instrument::{Activation, Head, Plan, Write};
use candor::model::{Point, SiteName};
use candor::run::{Feed, Tensor};
use lab::{Lab, all_labs, difference};
use ndarray::{Array1, Array2, Array3, ArrayD, Axis, Ix3, s};
use tiny::Tiny;

fn replace(site: SiteName) -> Write {
    Write::Replace {
        site,
        value: "v".into(),
    }
}

fn project(site: SiteName) -> Write {
    Write::Project {
        site,
        direction: "d".into(),
        target: "c".into(),
    }
}

fn one_write(write: Write, taps: &[SiteName]) -> Plan {
    Plan {
        taps: taps.to_vec(),
        writes: vec![write],
        ..Plan::default()
    }
}

fn writable(lab: &Lab) -> Vec<SiteName> {
    let sites = lab.arch.sites.iter().map(|site| site.name);
    sites.filter(|site| site.point != Point::LnFinal).collect()
}

/// Any numbers of about unit size.
fn numbers(count: usize, seed: f32) -> Vec<f32> {
    (0..count)
        .map(|index| (seed + index as f32 * 0.7).sin())
        .collect()
}

fn mask(lab: &Lab, on: impl Fn(usize, usize) -> bool) -> Tensor {
    let (rows, length) = lab.ids.dim();
    let flags = Array3::from_shape_fn((rows, length, 1), |(row, position, _)| on(row, position));
    Tensor::Bool(flags.into_dyn())
}

#[test]
fn taps_are_the_stream_that_pytorch_recorded() {
    for lab in all_labs() {
        let taps: Vec<_> = lab
            .reference
            .keys()
            .filter_map(|name| name.parse::<SiteName>().ok())
            .collect();
        assert!(taps.len() >= 2 * lab.arch.n_layers - 1, "{}", lab.name);
        let plan = Plan {
            taps: taps.clone(),
            ..Plan::default()
        };
        let read = lab.run(&plan, |feed, _| feed);
        for site in taps {
            let off = difference(read.tap(site), &lab.reference[&site.to_string()]);
            assert!(off <= 5e-5, "{} {site}: {off:e}", lab.name);
        }
        let off = difference(read.logits(), lab.plain());
        assert!(
            off <= 1e-6,
            "{}: taps moved the logits by {off:e}",
            lab.name
        );
    }
}

#[test]
fn masks_that_are_all_false_change_nothing() {
    for lab in all_labs() {
        let sites = writable(&lab);
        let plan = Plan {
            writes: sites
                .iter()
                .flat_map(|&site| [replace(site), project(site)])
                .collect(),
            ..Plan::default()
        };
        let (rows, length) = lab.ids.dim();
        let width = lab.arch.d_model;
        let poison = |shape: &[usize]| Tensor::F32(ArrayD::from_elem(shape, f32::NAN));
        let read = lab.run(&plan, |feed, manifest| {
            let feed = feed
                .with("candor.in.v", poison(&[rows, length, width]))
                .with("candor.in.d", poison(&[rows, width]))
                .with("candor.in.c", poison(&[rows]));
            let masks = manifest.masks.iter();
            masks.fold(feed, |feed, (_, name)| {
                feed.with(name, mask(&lab, |_, _| false))
            })
        });
        let off = difference(read.logits(), lab.plain());
        assert!(off <= 1e-6, "{}: {off:e}", lab.name);
    }
}

#[test]
fn writing_a_sites_own_value_changes_nothing() {
    for lab in all_labs() {
        for site in writable(&lab) {
            let own = lab.run(
                &Plan {
                    taps: vec![site],
                    ..Plan::default()
                },
                |feed, _| feed,
            );
            let read = lab.run(&one_write(replace(site), &[]), |feed, manifest| {
                feed.with("candor.in.v", Tensor::F32(own.tap(site).clone()))
                    .with(&manifest.masks[0].1, mask(&lab, |_, _| true))
            });
            let off = difference(read.logits(), lab.plain());
            assert!(off <= 1e-6, "{} {site}: {off:e}", lab.name);
        }
    }
}

#[test]
fn writing_another_prompts_stream_everywhere_gives_that_prompts_logits() {
    for lab in all_labs() {
        let other = lab.with_ids(lab.ids.slice(s![.., ..;-1]).to_owned());
        assert!(
            difference(lab.plain(), other.plain()) > 1e-2,
            "{}: the prompts differ",
            lab.name
        );
        let stream = |site: &SiteName| {
            matches!(
                site.point,
                Point::ResidPre | Point::ResidMid | Point::ResidPost
            )
        };
        for site in writable(&lab).into_iter().filter(stream) {
            let theirs = other.run(
                &Plan {
                    taps: vec![site],
                    ..Plan::default()
                },
                |feed, _| feed,
            );
            let read = lab.run(&one_write(replace(site), &[site]), |feed, manifest| {
                feed.with("candor.in.v", Tensor::F32(theirs.tap(site).clone()))
                    .with(&manifest.masks[0].1, mask(&lab, |_, _| true))
            });
            let off = difference(read.logits(), other.plain());
            assert!(off <= 1e-5, "{} {site}: {off:e}", lab.name);
            assert_eq!(
                read.tap(site),
                theirs.tap(site),
                "{} {site}: a tap reads the edited value",
                lab.name
            );
        }
    }
}

#[test]
fn a_written_position_changes_itself_and_what_comes_after_it() {
    for lab in all_labs() {
        let (rows, length) = lab.ids.dim();
        let (row, position) = (rows - 1, length / 2);
        for site in writable(&lab) {
            let before = lab.run(
                &Plan {
                    taps: vec![site],
                    ..Plan::default()
                },
                |feed, _| feed,
            );
            let shape = [rows, length, lab.arch.d_model];
            let read = lab.run(&one_write(replace(site), &[site]), |feed, manifest| {
                feed.with(
                    "candor.in.v",
                    Tensor::F32(ArrayD::from_elem(&shape[..], 3.0)),
                )
                .with(
                    &manifest.masks[0].1,
                    mask(&lab, |r, p| (r, p) == (row, position)),
                )
            });
            let mut expected = before.tap(site).clone();
            expected.slice_mut(s![row, position, ..]).fill(3.0);
            let off = difference(read.tap(site), &expected);
            assert!(off <= 1e-6, "{} {site}: {off:e}", lab.name);

            let plain = lab.plain();
            let moved = |r: usize, p: usize| {
                difference(
                    &read.logits().slice(s![r, p, ..]).to_owned().into_dyn(),
                    &plain.slice(s![r, p, ..]).to_owned().into_dyn(),
                )
            };
            assert!(
                moved(row, position) > 1e-4,
                "{} {site}: the write has no effect",
                lab.name
            );
            for p in 0..position {
                assert!(
                    moved(row, p) <= 1e-6,
                    "{} {site}: position {p} is before the write",
                    lab.name
                );
            }
        }
    }
}

#[test]
fn a_projection_sets_the_component_along_the_direction_of_each_row() {
    for lab in all_labs() {
        let (rows, length) = lab.ids.dim();
        let width = lab.arch.d_model;
        let mut directions =
            Array2::from_shape_vec((rows, width), numbers(rows * width, 1.0)).unwrap();
        for mut row in directions.rows_mut() {
            let norm = row.dot(&row).sqrt();
            row /= norm;
        }
        let targets = Array1::from_vec(numbers(rows, 2.0));
        for site in writable(&lab) {
            let before = lab.run(
                &Plan {
                    taps: vec![site],
                    ..Plan::default()
                },
                |feed, _| feed,
            );
            let read = lab.run(&one_write(project(site), &[site]), |feed, manifest| {
                feed.with("candor.in.d", Tensor::F32(directions.clone().into_dyn()))
                    .with("candor.in.c", Tensor::F32(targets.clone().into_dyn()))
                    .with(&manifest.masks[0].1, mask(&lab, |_, position| position > 0))
            });
            let three = |values: &ArrayD<f32>| values.clone().into_dimensionality::<Ix3>().unwrap();
            let (old, new) = (three(before.tap(site)), three(read.tap(site)));
            for row in 0..rows {
                let v = directions.row(row);
                let untouched = difference(
                    &new.slice(s![row, 0, ..]).to_owned().into_dyn(),
                    &old.slice(s![row, 0, ..]).to_owned().into_dyn(),
                );
                assert!(
                    untouched <= 1e-6,
                    "{} {site}: the mask is false at position 0",
                    lab.name
                );
                for position in 1..length {
                    let x = new.slice(s![row, position, ..]);
                    let scale = x.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
                    let off = (x.dot(&v) - targets[row]).abs();
                    assert!(
                        off <= 1e-5 * scale,
                        "{} {site}: component off by {off:e}",
                        lab.name
                    );
                    let moved = &x - &old.slice(s![row, position, ..]);
                    let across = &moved - &(&v * moved.dot(&v));
                    let most = across
                        .iter()
                        .fold(0.0_f32, |most, value| most.max(value.abs()));
                    assert!(
                        most <= 1e-5 * scale,
                        "{} {site}: moved across by {most:e}",
                        lab.name
                    );
                }
            }
        }
    }
}

#[test]
fn heads_are_the_taps_times_the_weights() {
    for lab in all_labs() {
        let site = SiteName::block(lab.arch.n_layers - 1, Point::ResidPre);
        let width = lab.arch.d_model;
        let columns = 5;
        let weight =
            Array2::from_shape_vec((width, columns), numbers(width * columns, 3.0)).unwrap() / 8.0;
        let bias = Array1::from_vec(numbers(columns, 4.0));
        let thresholds = Array1::from_vec(vec![-1.0, 0.0, 0.1, 0.5, 1.0]);
        let head = |id: &str, activation| Head {
            id: id.into(),
            site,
            weight: weight.clone(),
            bias: bias.clone(),
            activation,
        };
        let plan = Plan {
            taps: vec![site],
            heads: vec![
                head("linear", Activation::Linear),
                head("relu", Activation::Relu),
                head("jump", Activation::JumpRelu(thresholds.clone())),
            ],
            writes: vec![],
        };
        let read = lab.run(&plan, |feed, _| feed);
        let x = read.tap(site).clone().into_dimensionality::<Ix3>().unwrap();
        let flat = x.to_shape((x.len() / width, width)).unwrap();
        let h = flat.dot(&weight) + &bias;
        let (rows, length) = lab.ids.dim();
        let shaped = |h: Array2<f32>| {
            h.into_shape_with_order((rows, length, columns))
                .unwrap()
                .into_dyn()
        };
        let mut jump = h.clone();
        for (mut column, &threshold) in jump.axis_iter_mut(Axis(1)).zip(&thresholds) {
            column.mapv_inplace(|h| if h > threshold && h > 0.0 { h } else { 0.0 });
        }
        let expected = [
            ("linear", shaped(h.clone())),
            ("relu", shaped(h.mapv(|h| h.max(0.0)))),
            ("jump", shaped(jump)),
        ];
        for (id, expected) in expected {
            let off = difference(read.head(id), &expected);
            assert!(off <= 1e-5, "{} {id}: {off:e}", lab.name);
        }
    }
}

/// Every form of a fused norm, half precision, and old operator sets, with the difference that an inert plan may make. On
/// the CPU the runtime keeps float16 sums in float32 until something else reads them, so that they round once more.
fn tiny_labs() -> Vec<(&'static str, Tiny, f32)> {
    vec![
        ("simplified", Tiny::fused(true, false), 0.0),
        ("simplified with bias", Tiny::fused(true, true), 0.0),
        ("layer norm", Tiny::fused(false, false), 0.0),
        ("layer norm with bias", Tiny::fused(false, true), 0.0),
        ("float16", Tiny::plain(tiny::F16, 20), 2e-3),
        ("operator set 11", Tiny::plain(tiny::F32, 11), 0.0),
        ("operator set 12", Tiny::plain(tiny::F32, 12), 0.0),
    ]
}

#[test]
fn small_graphs_of_every_form_run_and_obey() {
    for (name, tiny, tolerance) in tiny_labs() {
        let site = if name.contains("norm") || name.contains("simplified") {
            SiteName::block(0, Point::ResidMid)
        } else {
            SiteName::block(0, Point::ResidPost)
        };
        let lab = Lab::of_tiny(
            name,
            tiny,
            Array2::from_shape_vec((2, 3), vec![1, 4, 7, 2, 0, 8]).unwrap(),
        );
        let head = Head {
            id: "h".into(),
            site,
            weight: Array2::eye(tiny::WIDTH),
            bias: Array1::zeros(tiny::WIDTH),
            activation: Activation::JumpRelu(Array1::from_elem(tiny::WIDTH, 0.2)),
        };
        let plan = Plan {
            taps: vec![site],
            heads: vec![head],
            writes: vec![replace(site), project(site)],
        };
        let values = ArrayD::from_shape_vec(vec![2, 3, 4], numbers(24, 5.0)).unwrap();
        let values = values.mapv(|value| half::f16::from_f32(value).to_f32());
        let run = |write: bool, turn: bool| {
            lab.run(&plan, |feed: Feed, manifest| {
                let mut directions = ArrayD::zeros(vec![2, 4]);
                directions.slice_mut(s![.., 1]).fill(1.0);
                feed.with("candor.in.v", Tensor::F32(values.clone()))
                    .with("candor.in.d", Tensor::F32(directions))
                    .with("candor.in.c", Tensor::F32(ArrayD::from_elem(vec![2], 0.25)))
                    .with(&manifest.masks[0].1, mask(&lab, |_, _| write))
                    .with(&manifest.masks[1].1, mask(&lab, |row, _| turn && row == 1))
            })
        };
        let still = run(false, false);
        let off = difference(still.logits(), lab.plain());
        assert!(off <= tolerance, "{name}: {off:e}");

        let mut expected = values.clone();
        assert_eq!(run(true, false).tap(site), &expected, "{name}");
        expected.slice_mut(s![1, .., 1]).fill(0.25);
        let turned = run(true, true);
        assert!(
            difference(turned.tap(site), &expected) <= 1e-6,
            "{name}: writes chain in order"
        );
        let gated = turned.tap(site).mapv(|h| if h > 0.2 { h } else { 0.0 });
        assert!(
            difference(turned.head("h"), &gated) <= 1e-6,
            "{name}: heads read the edited value"
        );
        assert!(
            difference(turned.logits(), lab.plain()) > 1e-3,
            "{name}: the rest of the model reads it"
        );
    }
}
