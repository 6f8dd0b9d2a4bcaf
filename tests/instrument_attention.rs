//! Writing inside attention: one head's values, one query's weights, and the logits.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that cannot go on says so"
)]

#[allow(dead_code, reason = "other tests use the rest")]
#[path = "instrument/lab.rs"]
mod lab;
#[allow(dead_code, reason = "the structural tests use the rest")]
#[path = "instrument/tiny.rs"]
mod tiny;

use candor::instrument::{Plan, Write};
use candor::model::{Layout, Point, SiteName};
use candor::run::Tensor;
use lab::{Lab, Prepared, Reading, all_labs, difference};
use ndarray::{Array4, ArrayD, Axis, s};

const Z: SiteName = SiteName::block(0, Point::HookZ);
const PATTERN: SiteName = SiteName::block(0, Point::Pattern);
const ATTN_OUT: SiteName = SiteName::block(0, Point::AttnOut);

/// A model with one write, which is fed a value and a mask.
struct Written {
    prepared: Prepared,
}

impl Written {
    fn at(lab: &Lab, site: SiteName, taps: &[SiteName]) -> Self {
        let plan = Plan {
            taps: taps.to_vec(),
            heads: vec![],
            writes: vec![Write::Replace {
                site,
                value: "v".into(),
            }],
            ..Plan::default()
        };
        Self {
            prepared: lab.prepare(&plan),
        }
    }

    fn run(&self, lab: &Lab, value: ArrayD<f32>, mask: ArrayD<bool>) -> Reading {
        let feed = lab.feed().with("candor.in.v", Tensor::F32(value));
        let (_, name) = &self.prepared.manifest.masks[0];
        self.prepared.run(&feed.with(name, Tensor::Bool(mask)))
    }
}

fn heads(lab: &Lab) -> (usize, usize) {
    match lab.arch.site(Z).unwrap().layout {
        Layout::Heads { heads, d_head } => (heads, d_head),
        other => panic!("{other:?}"),
    }
}

/// At the first position a causal head can gather that position alone. A later query that is told to look only there
/// gathers the same.
#[test]
fn a_query_that_looks_at_the_first_token_alone_gathers_its_value() {
    for lab in all_labs() {
        if lab.arch.site(PATTERN).is_none() {
            continue;
        }
        let (rows, seq) = lab.ids.dim();
        let (heads, _) = heads(&lab);
        let (row, head, query) = (rows - 1, heads - 1, seq - 1);
        let written = Written::at(&lab, PATTERN, &[Z, PATTERN]);
        let mut value = Array4::<f32>::zeros((rows, heads, seq, seq));
        value[[row, head, query, 0]] = 1.0;
        let mut mask = Array4::from_elem((rows, heads, seq, 1), false);
        let before = written.run(&lab, value.clone().into_dyn(), mask.clone().into_dyn());
        mask[[row, head, query, 0]] = true;
        let after = written.run(&lab, value.into_dyn(), mask.into_dyn());

        let sums = before.tap(PATTERN).sum_axis(Axis(3));
        assert!(
            sums.iter().all(|sum| (sum - 1.0).abs() <= 1e-5),
            "{}",
            lab.name
        );
        let mut expected = before.tap(Z).clone();
        let first = expected.slice(s![row, 0, head, ..]).to_owned();
        expected.slice_mut(s![row, query, head, ..]).assign(&first);
        let off = difference(after.tap(Z), &expected);
        assert!(off <= 1e-6, "{}: {off:e}", lab.name);
        let moved = difference(before.tap(Z), &expected);
        assert!(moved > 1e-3, "{}: the write moves nothing", lab.name);
    }
}

#[test]
fn one_heads_values_are_written_and_no_others() {
    for lab in all_labs() {
        let (rows, seq) = lab.ids.dim();
        let (heads, d_head) = heads(&lab);
        let (row, position, head) = (0, seq / 2, heads - 1);
        let written = Written::at(&lab, Z, &[Z, ATTN_OUT]);
        let value = Array4::from_elem((rows, seq, heads, d_head), 3.0_f32).into_dyn();
        let mut mask = Array4::from_elem((rows, seq, heads, 1), false);
        let before = written.run(&lab, value.clone(), mask.clone().into_dyn());
        mask[[row, position, head, 0]] = true;
        let after = written.run(&lab, value, mask.into_dyn());

        let mut expected = before.tap(Z).clone();
        expected.slice_mut(s![row, position, head, ..]).fill(3.0);
        assert_eq!(after.tap(Z), &expected, "{}", lab.name);
        let off = difference(before.logits(), lab.plain());
        assert!(
            off <= 1e-6,
            "{}: an empty mask moves the logits by {off:e}",
            lab.name
        );
        let moved = after.tap(ATTN_OUT) - before.tap(ATTN_OUT);
        for ((r, p, _), change) in moved
            .view()
            .into_dimensionality::<ndarray::Ix3>()
            .unwrap()
            .indexed_iter()
        {
            if (r, p) != (row, position) {
                assert!(change.abs() <= 1e-6, "{}: row {r}, position {p}", lab.name);
            }
        }
        let here = moved.slice(s![row, position, ..]);
        assert!(
            here.iter().any(|change| change.abs() > 1e-3),
            "{}",
            lab.name
        );
    }
}

#[test]
fn the_logits_are_a_site_too() {
    let site = SiteName::outside(Point::Logits);
    for lab in all_labs() {
        let (rows, seq) = lab.ids.dim();
        let vocabulary = lab.arch.vocab_size;
        let written = Written::at(&lab, site, &[site]);
        let value = ArrayD::from_elem(vec![rows, seq, vocabulary], 2.0);
        let mut mask = ArrayD::from_elem(vec![rows, seq, 1], false);
        mask[[0, seq - 1, 0]] = true;
        let read = written.run(&lab, value, mask);
        let mut expected = lab.plain().clone();
        expected.slice_mut(s![0, seq - 1, ..]).fill(2.0);
        let off = difference(read.logits(), &expected);
        assert!(off <= 1e-6, "{}: {off:e}", lab.name);
        assert_eq!(read.tap(site), read.logits(), "{}", lab.name);
    }
}
