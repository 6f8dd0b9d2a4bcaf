//! Detector heads: `activation(N(x)·W + b)` beside a site's tensor.

use super::build;
use super::editor::{Editor, Place};
use super::normalize::normalize;
use super::plan::{Activation, Head, Normalization, Ranking, Scores, TopK};
use super::read::values;
use super::sites::Held;
use crate::model::Layout;
use crate::model::onnx::tensor_proto::DataType;

/// The last axis of `[batch, seq, columns]`.
const COLUMNS: i64 = 2;

/// The heads of a plan, and what later ones can share with earlier ones.
#[derive(Default)]
pub(super) struct Heads<'plan> {
    done: Vec<Done<'plan>>,
    rows: Vec<Rows<'plan>>,
    encoded: Vec<Encoded<'plan>>,
    ranked: Vec<Ranked>,
}

/// A head whose values are computed.
struct Done<'plan> {
    head: &'plan Head,
    place: Place,
    tensor: String,
}

/// The normalised values of a site, `[batch, seq, d]`.
#[derive(Clone)]
struct Rows<'plan> {
    held: &'plan Held,
    normalization: Normalization,
    place: Place,
    tensor: String,
}

/// All pre-activations `[batch, seq, n]` of an encoder on some rows.
struct Encoded<'plan> {
    rows: String,
    head: &'plan Head,
    tensor: String,
}

/// What the last of the `k` kept columns has: its key and its index, `[batch, seq, 1]` each.
#[derive(Clone)]
struct Ranked {
    encoded: String,
    k: usize,
    ranking: Ranking,
    key: String,
    index: String,
}

impl<'plan> Heads<'plan> {
    /// Computes a head.
    pub(super) fn add(&mut self, editor: &mut Editor, head: &'plan Head, held: &'plan Held) {
        let tensor = editor.fresh(&format!("candor.head.{}", head.id));
        let rows = self.rows(editor, head, held);
        let place = rows.place;
        if let Activation::TopK(top) = &head.activation {
            let h = self.encode(editor, head, &rows, &tensor);
            let last = self.rank(editor, place, &h, top);
            keep(editor, place, &h, top, &last, tensor.clone());
        } else {
            element_wise(editor, place, head, &rows.tensor, tensor.clone());
        }
        self.done.push(Done {
            head,
            place,
            tensor,
        });
    }

    /// Declares an output for each head: its id and the output's name.
    pub(super) fn declare(self, editor: &mut Editor) -> Vec<(String, String)> {
        let declared = self.done.into_iter().map(|done| {
            let width = done.head.columns();
            editor.output(done.tensor.clone(), Layout::Token { width });
            (done.head.id.clone(), done.tensor)
        });
        declared.collect()
    }

    /// Declares one output for all heads and returns its name.
    pub(super) fn join(self, editor: &mut Editor, scores: &Scores) -> String {
        let place = self.done.iter().map(|done| done.place).max().flatten();
        let parts: Vec<&str> = self.done.iter().map(|done| done.tensor.as_str()).collect();
        let output = editor.fresh(&scores.output);
        let width = scores.factors.len();
        if scores
            .factors
            .iter()
            .all(|factor| factor.total_cmp(&1.0).is_eq())
        {
            editor.along(place, "Concat", COLUMNS, &parts, output.clone());
        } else {
            let joined = editor.fresh(&format!("{output}.unsigned"));
            let joined = editor.along(place, "Concat", COLUMNS, &parts, joined);
            let factors = scores.factors.iter().copied();
            let factors = editor.floats(&format!("{output}.factors"), &[width], factors);
            editor.compute_as(place, "Mul", &[&joined, &factors], output.clone());
        }
        editor.output(output.clone(), Layout::Token { width });
        output
    }

    fn rows(&mut self, editor: &mut Editor, head: &Head, held: &'plan Held) -> Rows<'plan> {
        let known = self
            .rows
            .iter()
            .find(|rows| rows.held == held && rows.normalization == head.normalization);
        if let Some(rows) = known {
            return rows.clone();
        }
        let width = head.weight.nrows();
        let (place, x) = values(editor, held, Layout::Token { width });
        let rows = Rows {
            held,
            normalization: head.normalization,
            place,
            tensor: normalize(editor, place, x, width, head.normalization),
        };
        self.rows.push(rows.clone());
        rows
    }

    fn encode(
        &mut self,
        editor: &mut Editor,
        head: &'plan Head,
        rows: &Rows,
        stem: &str,
    ) -> String {
        let known = self.encoded.iter().find(|other| {
            other.rows == rows.tensor
                && other.head.weight == head.weight
                && other.head.bias == head.bias
        });
        if let Some(encoded) = known {
            return encoded.tensor.clone();
        }
        let tensor = affine(editor, rows.place, head, &rows.tensor, stem);
        self.encoded.push(Encoded {
            rows: rows.tensor.clone(),
            head,
            tensor: tensor.clone(),
        });
        tensor
    }

    fn rank(&mut self, editor: &mut Editor, place: Place, h: &str, top: &TopK) -> Ranked {
        let same = |other: &&Ranked| {
            other.encoded == h && other.k == top.k && other.ranking == top.ranking
        };
        if let Some(ranked) = self.ranked.iter().find(same) {
            return ranked.clone();
        }
        let keys = key(editor, place, h, top.ranking);
        let (largest, indices) = largest(editor, place, &keys, top.k);
        let count = |k: usize| i64::try_from(k).unwrap_or(i64::MAX);
        let last = editor.integers(&[count(top.k - 1)]);
        let mut of_last = |values: &str, stem: &str| {
            let output = editor.fresh(stem);
            editor.along(place, "Gather", COLUMNS, &[values, &last], output)
        };
        let ranked = Ranked {
            encoded: h.to_owned(),
            k: top.k,
            ranking: top.ranking,
            key: of_last(&largest, "candor.last"),
            index: of_last(&indices, "candor.last_index"),
        };
        self.ranked.push(ranked.clone());
        ranked
    }
}

/// `x·W + b`.
fn affine(editor: &mut Editor, place: Place, head: &Head, x: &str, stem: &str) -> String {
    let product = product(editor, place, head, x, stem);
    let bias = bias(editor, head, stem);
    editor.compute(place, "Add", &[&product, &bias], &format!("{stem}.pre"))
}

fn product(editor: &mut Editor, place: Place, head: &Head, x: &str, stem: &str) -> String {
    let (rows, columns) = head.weight.dim();
    let weight = head.weight.iter().copied();
    let weight = editor.floats(&format!("{stem}.weight"), &[rows, columns], weight);
    editor.compute(place, "MatMul", &[x, &weight], &format!("{stem}.product"))
}

fn bias(editor: &mut Editor, head: &Head, stem: &str) -> String {
    let values = head.bias.iter().copied();
    editor.floats(&format!("{stem}.bias"), &[head.bias.len()], values)
}

fn element_wise(editor: &mut Editor, place: Place, head: &Head, x: &str, output: String) {
    match &head.activation {
        Activation::Linear => {
            let product = product(editor, place, head, x, &output);
            let bias = bias(editor, head, &output);
            editor.compute_as(place, "Add", &[&product, &bias], output);
        }
        Activation::Relu => {
            let h = affine(editor, place, head, x, &output);
            editor.compute_as(place, "Relu", &[&h], output);
        }
        Activation::JumpRelu(thresholds) => {
            let h = affine(editor, place, head, x, &output);
            // h > θ and h > 0 is h > max(θ, 0).
            let floors = thresholds.iter().map(|threshold| threshold.max(0.0));
            let floor = editor.floats(&format!("{output}.threshold"), &[thresholds.len()], floors);
            let open = editor.compute(place, "Greater", &[&h, &floor], &format!("{output}.open"));
            gate(editor, place, &h, &open, output);
        }
        // Computed from all columns.
        Activation::TopK(_) => {}
    }
}

/// The chosen columns of `h`, 0 where a column is not among those that are kept.
fn keep(editor: &mut Editor, place: Place, h: &str, top: &TopK, last: &Ranked, output: String) {
    let columns = top.columns.iter();
    let columns: Vec<i64> = columns
        .map(|&column| i64::try_from(column).unwrap_or(i64::MAX))
        .collect();
    let columns = editor.integers(&columns);
    let own = editor.fresh(&format!("{output}.pre"));
    let own = editor.along(place, "Gather", COLUMNS, &[h, &columns], own);
    let own_key = key(editor, place, &own, top.ranking);
    // Of equals the lower index is kept, so that the last one that is kept bounds the indices of its equals. `Equal` on
    // floats came with operator set 11: what is neither above nor below is equal.
    let mut flag = |op: &str, inputs: &[&str]| {
        let stem = format!("{output}.{}", op.to_lowercase());
        editor.compute(place, op, inputs, &stem)
    };
    let above = flag("Greater", &[&own_key, &last.key]);
    let below = flag("Less", &[&own_key, &last.key]);
    let behind = flag("Greater", &[&columns, &last.index]);
    let lost = flag("Or", &[&below, &behind]);
    let tied = flag("Not", &[&lost]);
    let mut open = flag("Or", &[&above, &tied]);
    if top.ranking == Ranking::Largest {
        let zero = editor.floats(&format!("{output}.zero"), &[], std::iter::once(0.0));
        let stem = format!("{output}.positive");
        let positive = editor.compute(place, "Greater", &[&own, &zero], &stem);
        open = editor.compute(place, "And", &[&open, &positive], &format!("{output}.open"));
    }
    gate(editor, place, &own, &open, output);
}

/// `h` where `open`, else 0. The product keeps a NaN visible where a selection would turn it into 0.
fn gate(editor: &mut Editor, place: Place, h: &str, open: &str, output: String) {
    let gate = editor.cast(place, open, DataType::Float, &format!("{output}.gate"));
    editor.compute_as(place, "Mul", &[h, &gate], output);
}

fn key(editor: &mut Editor, place: Place, h: &str, ranking: Ranking) -> String {
    match ranking {
        Ranking::Largest => h.to_owned(),
        Ranking::Magnitude => editor.compute(place, "Abs", &[h], "candor.magnitude"),
    }
}

/// The `k` largest keys, falling, and their indices; of equals the lower index comes first.
fn largest(editor: &mut Editor, place: Place, keys: &str, k: usize) -> (String, String) {
    const K_AS_INPUT: i64 = 10;
    let k = i64::try_from(k).unwrap_or(i64::MAX);
    let (largest, indices) = (
        editor.fresh("candor.largest"),
        editor.fresh("candor.indices"),
    );
    let name = editor.fresh(&format!("{largest}/TopK"));
    let mut node = if editor.opset >= K_AS_INPUT {
        let k = editor.integers(&[k]);
        build::node(name, "TopK", &[keys, &k], largest.clone())
    } else {
        let mut node = build::node(name, "TopK", &[keys], largest.clone());
        node.attribute.push(build::int_attribute("k", k));
        node
    };
    node.attribute.push(build::int_attribute("axis", COLUMNS));
    node.output.push(indices.clone());
    editor.push(place, node);
    (largest, indices)
}
