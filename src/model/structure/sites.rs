//! The list of sites, and of what a graph does not show with the reason.

use std::collections::HashSet;

use super::super::architecture::{Absent, Form, Layout, Site, SiteTensor};
use super::super::site::{Point, SiteName};
use super::attention::{Inside, Shown};
use super::blocks::{Added, Layer};
use super::reach::Reach;
use super::value::{Value, is_codes};
use super::{branch, embedding, shape, turn};
use crate::fault::Result;

/// What was found of a graph.
pub(super) struct Found<'a, 'g> {
    pub embedding: &'g str,
    pub layers: &'a [Layer<'g>],
    /// One for each layer.
    pub attentions: &'a [Inside<'g>],
    pub ln_final: Option<&'g str>,
    pub post_norm: bool,
    pub logits: &'g str,
    /// The input that holds the token ids.
    pub tokens: &'a str,
    pub d_model: usize,
    pub vocab_size: usize,
}

const PARALLEL: &str =
    "attention and MLP of a parallel block read the same stream, and nothing lies between them";
const POST_NORM: &str = "every block ends in its own norm; there is no other after the last";
const BARE_HEAD: &str = "the unembedding reads the stream itself, without a norm";

const CODES: &str =
    "the graph holds it as codes of few bits, which each of its readers turns into values apart";

/// Every site in the order of the model, and every missing one.
///
/// # Errors
/// The graph is too tangled.
pub(super) fn list<'g>(
    reach: &Reach<'_, 'g>,
    found: &Found<'_, 'g>,
) -> Result<(Vec<Site>, Vec<Absent>)> {
    let mut list = List::new(reach, found.d_model);
    let of_tokens = |tensor| turn::since_tokens(reach, tensor, found.tokens);
    let embed = SiteName::outside(Point::Embed);
    match embedding::of_tokens(reach, found.embedding, found.tokens)? {
        Ok(tensor) => list.stream(embed, Value::Named(tensor), of_tokens(tensor)?),
        Err(why) => list.missing(embed, why),
    }
    let mut pre = Placed {
        value: Value::Named(found.embedding),
        turned: of_tokens(found.embedding)?,
    };
    for (number, (layer, inside)) in found.layers.iter().zip(found.attentions).enumerate() {
        pre = list.block(number, layer, inside, pre)?;
    }
    let ln_final = SiteName::outside(Point::LnFinal);
    match found.ln_final {
        Some(norm) => {
            let norm = pre.then(reach, Value::Named(norm))?;
            list.stream(ln_final, norm.value, norm.turned);
        }
        None if found.post_norm => list.missing(ln_final, POST_NORM),
        None => list.missing(ln_final, BARE_HEAD),
    }
    let width = found.vocab_size;
    let logits = pre.then(reach, Value::Named(found.logits))?;
    list.add(
        SiteName::outside(Point::Logits),
        SiteTensor::Named(found.logits.to_owned()),
        Layout::Token { width },
        logits.turned,
    );
    Ok((list.found, list.absent))
}

/// A value on the stream, and whether its sequence stands before its batch.
#[derive(Clone, Copy)]
struct Placed<'g> {
    value: Value<'g>,
    turned: bool,
}

impl<'g> Placed<'g> {
    /// A value that is computed from this one.
    fn then(self, reach: &Reach<'_, 'g>, value: Value<'g>) -> Result<Self> {
        let turned = match (self.value, value) {
            (Value::Named(before), Value::Named(after)) => turn::between(reach, after, before)?,
            // Between sums inside fused norms there are no other axes.
            _ => false,
        };
        Ok(Self {
            value,
            turned: self.turned ^ turned,
        })
    }

    /// Whether the sequence stands first in a tensor that this value is computed from.
    fn before(self, reach: &Reach<'_, 'g>, tensor: &str) -> Result<bool> {
        Ok(self.turned
            ^ match self.value {
                Value::Named(after) => turn::between(reach, after, tensor)?,
                Value::SkipSum(_) => false,
            })
    }
}

/// Collects sites and gives unnamed sums a name that nothing else has.
struct List<'r, 'i, 'g> {
    reach: &'r Reach<'i, 'g>,
    taken: HashSet<&'g str>,
    d_model: usize,
    found: Vec<Site>,
    absent: Vec<Absent>,
}

impl<'r, 'i, 'g> List<'r, 'i, 'g> {
    fn new(reach: &'r Reach<'i, 'g>, d_model: usize) -> Self {
        let graph = reach.index.graph();
        let made = graph.node.iter().flat_map(|node| &node.output);
        let taken = made.map(String::as_str).collect();
        Self {
            reach,
            taken,
            d_model,
            found: Vec::new(),
            absent: Vec::new(),
        }
    }

    /// Adds the sites of a block that begins with `pre`; returns what it ends with.
    fn block(
        &mut self,
        number: usize,
        layer: &Layer<'g>,
        inside: &Inside<'g>,
        pre: Placed<'g>,
    ) -> Result<Placed<'g>> {
        let at = |point| SiteName::block(number, point);
        let mid = layer.mid.map(|mid| pre.then(self.reach, mid)).transpose()?;
        let post = mid.unwrap_or(pre).then(self.reach, layer.post)?;
        let attended = mid.unwrap_or(post);
        self.stream(at(Point::ResidPre), pre.value, pre.turned);
        // A pattern has a sequence on two axes, behind the batch and the heads.
        self.shown(at(Point::Pattern), &inside.pattern, false);
        let turned = match &inside.z {
            Ok((z, _)) => {
                attended.before(self.reach, layer.branch)?
                    ^ turn::between(self.reach, layer.branch, z)?
            }
            Err(_) => false,
        };
        self.shown(at(Point::HookZ), &inside.z, turned);
        self.branch(at(Point::AttnOut), &layer.attn_out, attended)?;
        match (mid, layer.parallel, &layer.mlp_out) {
            (Some(mid), _, _) => self.stream(at(Point::ResidMid), mid.value, mid.turned),
            (None, false, Err(why)) => self.missing(at(Point::ResidMid), *why),
            (None, _, _) => self.missing(at(Point::ResidMid), PARALLEL),
        }
        self.branch(at(Point::MlpOut), &layer.mlp_out, post)?;
        self.stream(at(Point::ResidPost), post.value, post.turned);
        Ok(post)
    }

    fn stream(&mut self, name: SiteName, value: Value<'g>, turned: bool) {
        let tensor = match value {
            Value::Named(tensor) => SiteTensor::Named(tensor.to_owned()),
            Value::SkipSum(node) => {
                let mut name = format!("node_{node}_input_skip_bias_sum");
                while self.taken.contains(name.as_str()) || self.reach.index.info(&name).is_some() {
                    name.push('_');
                }
                SiteTensor::SkipSum { node, name }
            }
        };
        let own = match value {
            Value::Named(tensor) if is_codes(self.reach, tensor) => {
                return self.missing(name, CODES);
            }
            Value::Named(tensor) => shape::width(self.reach, tensor),
            Value::SkipSum(_) => None,
        };
        let width = own.unwrap_or(self.d_model);
        self.add(name, tensor, Layout::Token { width }, turned);
    }

    /// What is added to the stream where it becomes `sum`.
    fn branch(&mut self, name: SiteName, added: &Added<'g>, sum: Placed<'g>) -> Result<()> {
        let parts = match added {
            Ok(parts) => parts,
            Err(why) => {
                self.missing(name, *why);
                return Ok(());
            }
        };
        let turned = match parts.first() {
            Some(part) => sum.before(self.reach, part)?,
            None => false,
        };
        let width = self.d_model;
        let tensor = match parts.as_slice() {
            [only] => SiteTensor::Named((*only).to_owned()),
            parts => {
                let mut parts = parts.to_vec();
                let made = |name: &&str| self.reach.index.producer(name).map(|(node, _)| node + 1);
                parts.sort_by_key(|name| std::cmp::Reverse(made(name)));
                SiteTensor::Sum(parts.into_iter().map(str::to_owned).collect())
            }
        };
        self.add(name, tensor, Layout::Token { width }, turned);
        Ok(())
    }

    fn shown(&mut self, name: SiteName, shown: &Shown<'g>, turned: bool) {
        match shown {
            Ok((tensor, layout)) => {
                self.add(
                    name,
                    SiteTensor::Named((*tensor).to_owned()),
                    *layout,
                    turned,
                );
            }
            Err(why) => self.missing(name, why.as_str()),
        }
    }

    fn add(&mut self, name: SiteName, tensor: SiteTensor, layout: Layout, turned: bool) {
        let stated = || shape::symbolic(self.reach.index.info(tensor.name())?);
        let (axes, shape): (usize, Vec<String>) = match layout {
            Layout::Token { width } => (3, vec!["batch".into(), "seq".into(), width.to_string()]),
            Layout::Heads { heads, d_head } => (
                4,
                vec![
                    "batch".into(),
                    "seq".into(),
                    heads.to_string(),
                    d_head.to_string(),
                ],
            ),
            Layout::Pattern { heads } => (
                4,
                vec![
                    "batch".into(),
                    heads.to_string(),
                    "query".into(),
                    "key".into(),
                ],
            ),
        };
        let rank = shape::rank(self.reach, tensor.name());
        // The stream is taken as `[batch, seq, d_model]` where nothing is said; attention has too many shapes for that.
        let reshaped = match layout {
            Layout::Token { .. } => rank.is_some_and(|rank| rank != axes),
            Layout::Heads { .. } | Layout::Pattern { .. } => rank != Some(axes),
        };
        let form = match (turned, reshaped) {
            (true, _) => Form::SequenceFirst,
            (false, true) => Form::Reshaped,
            (false, false) => Form::Same,
        };
        let shape = match stated() {
            Some(stated) if form == Form::Same && stated.len() == axes => stated,
            _ => shape,
        };
        let is_module = matches!(name.point, Point::Embed | Point::AttnOut | Point::MlpOut);
        self.found.push(Site {
            name,
            processed: is_module
                .then(|| branch::processed(self.reach, tensor.name()))
                .flatten(),
            tensor,
            layout,
            form,
            shape,
        });
    }

    fn missing(&mut self, name: SiteName, why: impl Into<String>) {
        self.absent.push(Absent {
            name,
            why: why.into(),
        });
    }
}
