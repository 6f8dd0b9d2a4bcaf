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

use candor::instrument::{Activation, Head, Normalization, Plan, Write};
use candor::model::{Layout, Point, Site, SiteName};
use candor::run::{Feed, Tensor};
use lab::{Lab, Prepared, Reading, all_labs, difference};
use ndarray::{Array1, Array2, Array3, ArrayD, ArrayView, Axis, Dimension, s};
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

/// Any numbers of about unit size.
#[allow(clippy::cast_precision_loss, reason = "small counts")]
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

fn largest<D: Dimension>(values: &ArrayView<'_, f32, D>) -> f32 {
    values.iter().fold(0.0, |most, value| value.abs().max(most))
}

/// A model that can be tapped and written at every site, of which each run uses a few. What a run does not use is fed
/// as NaN, which would show.
struct Stage {
    prepared: Prepared,
    sites: Vec<SiteName>,
}

impl Stage {
    fn of(lab: &Lab) -> Self {
        let width = lab.arch.d_model;
        let of_width = |site: &&Site| site.layout == Layout::Token { width };
        let sites = lab.arch.sites.iter().filter(of_width);
        let sites: Vec<_> = sites.map(|site| site.name).collect();
        let plan = Plan {
            taps: sites.clone(),
            heads: vec![],
            scores: None,
            writes: sites
                .iter()
                .flat_map(|&site| [replace(site), project(site)])
                .collect(),
        };
        Self {
            prepared: lab.prepare(&plan),
            sites,
        }
    }

    fn still(&self, lab: &Lab) -> Reading {
        self.prepared
            .run(&self.feed(lab, None, vec![], &mask(lab, |_, _| false)))
    }

    fn replace(&self, lab: &Lab, site: SiteName, value: ArrayD<f32>, mask: &Tensor) -> Reading {
        let given = vec![("candor.in.v", value)];
        self.prepared
            .run(&self.feed(lab, Some((site, 0)), given, mask))
    }

    fn project(
        &self,
        lab: &Lab,
        site: SiteName,
        v: &Array2<f32>,
        c: &Array1<f32>,
        mask: &Tensor,
    ) -> Reading {
        let given = vec![
            ("candor.in.d", v.clone().into_dyn()),
            ("candor.in.c", c.clone().into_dyn()),
        ];
        self.prepared
            .run(&self.feed(lab, Some((site, 1)), given, mask))
    }

    /// `active` says which of the two writes of a site gets the mask.
    fn feed(
        &self,
        lab: &Lab,
        active: Option<(SiteName, usize)>,
        mut given: Vec<(&'static str, ArrayD<f32>)>,
        active_mask: &Tensor,
    ) -> Feed {
        let (rows, length) = lab.ids.dim();
        let width = lab.arch.d_model;
        let shapes = [
            ("candor.in.v", vec![rows, length, width]),
            ("candor.in.d", vec![rows, width]),
            ("candor.in.c", vec![rows]),
        ];
        for (name, shape) in shapes {
            if given.iter().all(|(other, _)| *other != name) {
                given.push((name, ArrayD::from_elem(shape, f32::NAN)));
            }
        }
        let feed = given.into_iter().fold(lab.feed(), |feed, (name, value)| {
            feed.with(name, Tensor::F32(value))
        });
        let masks = self.prepared.manifest.masks.iter().enumerate();
        masks.fold(feed, |feed, (index, (site, name))| {
            let on = active == Some((*site, index % 2));
            feed.with(
                name,
                if on {
                    active_mask.clone()
                } else {
                    mask(lab, |_, _| false)
                },
            )
        })
    }
}

#[test]
fn taps_are_the_stream_that_pytorch_recorded() {
    for lab in all_labs() {
        let names = lab.reference.keys();
        let taps: Vec<SiteName> = names.filter_map(|name| name.parse().ok()).collect();
        assert!(taps.len() >= 2 * lab.arch.n_layers - 1, "{}", lab.name);
        let read = lab
            .prepare(&Plan {
                taps: taps.clone(),
                ..Plan::default()
            })
            .run(&lab.feed());
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
fn masks_that_are_all_false_and_a_sites_own_value_change_nothing() {
    for lab in all_labs() {
        let stage = Stage::of(&lab);
        let still = stage.still(&lab);
        let off = difference(still.logits(), lab.plain());
        assert!(off <= 1e-6, "{}: {off:e}", lab.name);
        for &site in &stage.sites {
            let read = stage.replace(
                &lab,
                site,
                still.tap(site).clone(),
                &mask(&lab, |_, _| true),
            );
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
        let stage = Stage::of(&lab);
        let theirs = stage.still(&other);
        let on_stream = |site: &&SiteName| {
            matches!(
                site.point,
                Point::ResidPre | Point::ResidMid | Point::ResidPost
            )
        };
        for &site in stage.sites.iter().filter(on_stream) {
            let read = stage.replace(
                &lab,
                site,
                theirs.tap(site).clone(),
                &mask(&lab, |_, _| true),
            );
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
        let stage = Stage::of(&lab);
        let before = stage.still(&lab);
        let threes = ArrayD::from_elem(vec![rows, length, lab.arch.d_model], 3.0);
        for &site in &stage.sites {
            let here = &mask(&lab, |r, p| (r, p) == (row, position));
            let read = stage.replace(&lab, site, threes.clone(), here);
            let mut expected = before.tap(site).clone();
            expected.slice_mut(s![row, position, ..]).fill(3.0);
            let off = difference(read.tap(site), &expected);
            assert!(off <= 1e-6, "{} {site}: {off:e}", lab.name);

            let moved = read.logits() - lab.plain();
            let at = |p: usize| largest(&moved.slice(s![row, p, ..]));
            assert!(
                at(position) > 1e-4,
                "{} {site}: the write has no effect",
                lab.name
            );
            for p in 0..position {
                assert!(
                    at(p) <= 1e-6,
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
        let stage = Stage::of(&lab);
        let before = stage.still(&lab);
        for &site in &stage.sites {
            let later = &mask(&lab, |_, position| position > 0);
            let read = stage.project(&lab, site, &directions, &targets, later);
            let moved = read.tap(site) - before.tap(site);
            for row in 0..rows {
                let v = directions.row(row);
                let first = largest(&moved.slice(s![row, 0, ..]));
                assert!(
                    first <= 1e-6,
                    "{} {site}: the mask is false at position 0",
                    lab.name
                );
                for position in 1..length {
                    let x = read.tap(site).slice(s![row, position, ..]);
                    let scale = largest(&x).max(1.0);
                    let off = (x.dot(&v) - targets[row]).abs();
                    assert!(
                        off <= 1e-5 * scale,
                        "{} {site}: component off by {off:e}",
                        lab.name
                    );
                    let moved = moved.slice(s![row, position, ..]);
                    let across = largest(&(&moved - &(&v * moved.dot(&v))).view());
                    assert!(
                        across <= 1e-5 * scale,
                        "{} {site}: moved across by {across:e}",
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
        let tapped = Plan {
            taps: vec![site],
            ..Plan::default()
        };
        let read = lab.prepare(&tapped).run(&lab.feed());
        let x = read.tap(site).to_shape((lab.ids.len(), width)).unwrap();
        let h = x.dot(&weight) + &bias;
        // Thresholds amid the values, so that every gate opens for some tokens only.
        let thresholds = h.mean_axis(Axis(0)).unwrap();
        let head = |id: &str, activation| Head {
            id: id.into(),
            site,
            normalization: Normalization::None,
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
            scores: None,
        };
        let read = lab.prepare(&plan).run(&lab.feed());
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
        for (one, other) in [
            (&h, &jump),
            (&jump, &h.mapv(|h| h.max(0.0))),
            (&jump, &(&jump * 0.0)),
        ] {
            assert_ne!(one, other, "{}: the activations are told apart", lab.name);
        }
        let read_from_x = largest(&(&h - &bias).view());
        assert!(read_from_x > 1e-2, "{}: {read_from_x:e}", lab.name);
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

/// In the graph's own precision: a stream of 16 bits is rounded once more.
#[test]
fn a_vector_is_added_where_the_mask_says() {
    for (name, tiny, tolerance) in tiny_labs() {
        let point = if name.contains("norm") || name.contains("simplified") {
            Point::ResidMid
        } else {
            Point::ResidPost
        };
        let site = SiteName::block(0, point);
        let ids = Array2::from_shape_vec((2, 3), vec![1, 4, 7, 2, 0, 8]).unwrap();
        let lab = Lab::of_tiny(name, tiny, ids);
        let plan = Plan {
            taps: vec![site],
            writes: vec![Write::Add {
                site,
                vector: "v".into(),
            }],
            ..Plan::default()
        };
        let prepared = lab.prepare(&plan);
        let vectors = Array2::from_shape_vec((2, 4), numbers(8, 6.0)).unwrap();
        let run = |vectors: &Array2<f32>, on: &dyn Fn(usize, usize) -> bool| {
            let feed = lab
                .feed()
                .with("candor.in.v", Tensor::F32(vectors.clone().into_dyn()))
                .with(&prepared.manifest.masks[0].1, mask(&lab, on));
            prepared.run(&feed)
        };
        let none = run(&Array2::from_elem((2, 4), f32::NAN), &|_, _| false);
        assert!(
            difference(none.logits(), lab.plain()) <= tolerance,
            "{name}"
        );
        let some = |row: usize, token: usize| row == 1 || token == 2;
        let added = run(&vectors, &some);
        let moved = added.tap(site) - none.tap(site);
        for ((row, token, x), moved) in moved
            .into_dimensionality::<ndarray::Ix3>()
            .unwrap()
            .indexed_iter()
        {
            let expected = if some(row, token) {
                vectors[[row, x]]
            } else {
                0.0
            };
            assert!(
                (moved - expected).abs() <= 1e-6 + 2.0 * tolerance,
                "{name}: {moved} {expected}"
            );
        }
        assert!(
            difference(added.logits(), lab.plain()) > 1e-3,
            "{name}: the rest reads it"
        );
    }
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
            normalization: Normalization::None,
            weight: Array2::eye(tiny::WIDTH),
            bias: Array1::zeros(tiny::WIDTH),
            activation: Activation::JumpRelu(Array1::from_elem(tiny::WIDTH, 0.2)),
        };
        let plan = Plan {
            taps: vec![site],
            heads: vec![head],
            writes: vec![replace(site), project(site)],
            scores: None,
        };
        let values = ArrayD::from_shape_vec(vec![2, 3, 4], numbers(24, 5.0)).unwrap();
        let values = values.mapv(|value| half::f16::from_f32(value).to_f32());
        let prepared = lab.prepare(&plan);
        let masks = &prepared.manifest.masks;
        let run = |write: bool, turn: bool| {
            let mut directions = ArrayD::zeros(vec![2, 4]);
            directions.slice_mut(s![.., 1]).fill(1.0);
            let feed = lab
                .feed()
                .with("candor.in.v", Tensor::F32(values.clone()))
                .with("candor.in.d", Tensor::F32(directions))
                .with("candor.in.c", Tensor::F32(ArrayD::from_elem(vec![2], 0.25)))
                .with(&masks[0].1, mask(&lab, |_, _| write))
                .with(&masks[1].1, mask(&lab, |row, _| turn && row == 1));
            prepared.run(&feed)
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
