//! One batch from the embedding to the logits.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use ndarray::{Array2, Axis, s};

use super::super::row::{SeeActivation, SeeLogits};
use super::batch::{Batch, Member};
use super::head::{Head, head};
use super::making::Making;
use super::place::Place;
use crate::fault::{Fault, Result};
use crate::instrument::Cut;
use crate::model::{Layout, Point, SiteName};
use crate::run::{Blocks, Chosen, Held, Piece};

/// What is read of the rows.
pub(super) enum Wanted<'w, 'v> {
    /// Of all tokens, or of some.
    Logits(Option<&'w [i64]>, &'w mut SeeLogits<'v>),
    Activations(&'w [SiteName], &'w mut SeeActivation<'v>),
}

impl Wanted<'_, '_> {
    pub fn sites(&self) -> &[SiteName] {
        match self {
            Self::Logits(..) => &[],
            Self::Activations(sites, _) => sites,
        }
    }
}

/// How rows are taken through a model.
pub(super) struct Pass<'b> {
    pub(super) blocks: &'b Blocks,
    layers: Vec<Layer>,
    pub(super) budget: usize,
    /// Whether tokens are run apart from one another.
    pub(super) apart: bool,
    /// Whether rows are run together.
    pub(super) together: bool,
    /// Values that a token takes in the widest layer.
    widest: usize,
    d_head: usize,
    pub(super) head: Option<Head>,
}

/// The pieces of a block.
struct Layer {
    enters: Arc<Piece>,
    attends: Arc<Piece>,
    /// From what the heads have gathered to the next block, each piece with what it makes.
    rest: Vec<(Arc<Piece>, Vec<Cut>)>,
}

/// Bytes that whole rows are put together in for one run of an attention, and half of what a run of other pieces may take: what is
/// copied stays in the processor's caches, and the allocator hands the same memory out again instead of asking the system for fresh
/// pages. More than twice or less than half of it was slower on GPT-2 small.
const AT_ONCE: usize = 16 << 20;

/// How much of what is held a piece of the model may take beside it on its way.
pub(super) const SHARE: usize = 8;

impl<'b> Pass<'b> {
    /// Loads the pieces between the places at which rows are changed or read.
    ///
    /// # Errors
    /// The graph cannot be cut there.
    pub fn new(
        blocks: &'b Blocks,
        places: &BTreeSet<Cut>,
        budget: usize,
        wanted: &Wanted<'_, '_>,
    ) -> Result<Self> {
        let arch = blocks.arch();
        let reached = places.iter().map(|cut| depth(*cut)).max().unwrap_or(0);
        let head = match wanted {
            Wanted::Logits(chosen, _) => Some(head(blocks, chosen.is_some())?),
            Wanted::Activations(..) => None,
        };
        let depth = match head {
            Some(_) => arch.n_layers,
            None => reached.min(arch.n_layers),
        };
        let layers = (0..depth)
            .map(|layer| {
                Ok(Layer {
                    enters: blocks.piece(&[Cut::Stream(layer)], &[Cut::Crossing(layer)])?,
                    attends: blocks.piece(&[Cut::Crossing(layer)], &[Cut::Gathered(layer)])?,
                    rest: rest(blocks, layer, places)?,
                })
            })
            .collect::<Result<Vec<_>>>()?;
        let by_token = layers.iter().flat_map(|layer| {
            let rest = layer.rest.iter().map(|(piece, _)| piece);
            std::iter::once(&layer.enters).chain(rest)
        });
        let all = || by_token.clone().chain(head.iter().map(|head| &head.piece));
        let apart = all().all(|piece| piece.packs);
        let together = all()
            .chain(layers.iter().map(|layer| &layer.attends))
            .all(|piece| piece.together);
        let mut widest = 0;
        for (layer, pieces) in layers.iter().enumerate() {
            let crossing = blocks.tensors(Cut::Crossing(layer))?.iter();
            let crossing: usize = crossing
                .map(|name| pieces.enters.width(name).max(pieces.attends.width(name)))
                .sum();
            let gathered: usize = pieces
                .attends
                .wanted()
                .iter()
                .map(|name| pieces.attends.width(name))
                .sum();
            widest = widest.max(2 * crossing + 2 * gathered);
        }
        let d_head = arch
            .sites
            .iter()
            .find_map(|site| match (site.name.point, site.layout) {
                (Point::HookZ, Layout::Heads { d_head, .. }) => Some(d_head),
                _ => None,
            });
        Ok(Self {
            blocks,
            layers,
            budget,
            apart: apart && together,
            together,
            widest: widest + 6 * arch.d_model,
            d_head: d_head.unwrap_or(1),
            head,
        })
    }

    /// Whether rows that differ anywhere are computed as a whole.
    pub fn whole_rows(&self) -> bool {
        !self.apart
    }

    /// Bytes that one row of that length may take.
    pub fn bytes_of(&self, seq: usize) -> usize {
        seq.saturating_mul(self.widest)
            .saturating_mul(size_of::<f32>())
            .saturating_mul(SHARE)
            / (SHARE - 1)
    }

    /// Takes a batch through the model and shows what is wanted of it.
    ///
    /// # Errors
    /// A run fails, or those of the wanted.
    pub fn run(&self, mut batch: Batch<'_>, wanted: &mut Wanted<'_, '_>) -> Result<()> {
        self.embed(&mut batch)?;
        self.visit(&mut batch, Cut::Stream(0), false, wanted)?;
        for layer in 0..self.layers.len() {
            self.layer(&mut batch, layer, wanted)?;
        }
        match wanted {
            Wanted::Logits(chosen, see) => self.logits(&batch, *chosen, *see),
            Wanted::Activations(..) => Ok(()),
        }
    }

    fn embed(&self, batch: &mut Batch<'_>) -> Result<()> {
        let piece = self.blocks.piece(&[], &[Cut::Stream(0)])?;
        let ids = batch
            .prompts()
            .iter()
            .flat_map(|ids| ids.iter().copied())
            .collect();
        let shape = (batch.prompts().len(), batch.seq());
        let ids = Array2::from_shape_vec(shape, ids).map_err(|error| broken(&error))?;
        let mut made: HashMap<String, Vec<Held<'static>>> = HashMap::new();
        let size = if piece.together { shape.0.max(1) } else { 1 };
        for some in ids.axis_chunks_iter(Axis(0), size) {
            let all = Chosen::Range(0..some.len());
            piece.run_held(&some.to_owned(), &[], &all, &[], |name, values| {
                made.entry(name.to_owned()).or_default().push(values.kept());
                Ok(())
            })?;
        }
        for (name, parts) in made {
            batch.hold(&name, Held::joined(parts)?);
        }
        Ok(())
    }

    fn layer(
        &self,
        batch: &mut Batch<'_>,
        layer: usize,
        wanted: &mut Wanted<'_, '_>,
    ) -> Result<()> {
        let Some(pieces) = self.layers.get(layer) else {
            return Ok(());
        };
        // Behind the last attention no token tells another anything.
        let ends = layer + 1 == self.blocks.arch().n_layers && self.apart;
        self.by_token(batch, &pieces.enters)?;
        self.attend(batch, layer, pieces, ends)?;
        self.visit(batch, Cut::Gathered(layer), ends, wanted)?;
        for (piece, made) in &pieces.rest {
            self.by_token(batch, piece)?;
            for cut in made {
                self.visit(batch, *cut, ends, wanted)?;
            }
        }
        let next = self.blocks.tensors(Cut::Stream(layer + 1))?;
        batch.keep(&next.iter().map(String::as_str).collect::<Vec<_>>());
        Ok(())
    }

    /// Changes rows at a place, and shows what is read there.
    fn visit(
        &self,
        batch: &mut Batch<'_>,
        cut: Cut,
        ends: bool,
        wanted: &mut Wanted<'_, '_>,
    ) -> Result<()> {
        let arch = self.blocks.arch();
        let here = |site: SiteName| Place::of(arch, site).is_ok_and(|own| own == cut);
        let names = self.blocks.tensors(cut)?;
        let changes =
            |member: &Member<'_>| member.row.changes.iter().any(|change| here(change.site));
        if batch.rows().iter().any(changes) {
            batch.apply(
                names,
                |member| {
                    member
                        .row
                        .changes
                        .iter()
                        .filter(|change| here(change.site))
                        .collect()
                },
                self.d_head,
                |member, position| !ends || member.row.read.contains(&position),
            )?;
        }
        let Wanted::Activations(sites, see) = wanted else {
            return Ok(());
        };
        if !sites.iter().any(|site| here(*site)) {
            return Ok(());
        }
        let seq = batch.seq();
        let places: Vec<usize> = batch
            .rows()
            .iter()
            .flat_map(|member| {
                let read = member.row.read.iter();
                read.map(|&position| member.place(position, seq))
            })
            .collect();
        let there = names
            .iter()
            .map(|name| batch.held(name)?.look(&places, None))
            .collect::<Result<Vec<_>>>()?;
        let [first, others @ ..] = there.as_slice() else {
            return Ok(());
        };
        for (site, _) in sites.iter().enumerate().filter(|(_, site)| here(**site)) {
            for member in batch.rows() {
                for &position in &member.row.read {
                    let at = member.place(position, seq);
                    let mut value = first.row(at)?.to_owned();
                    for other in others {
                        value += &other.row(at)?;
                    }
                    sound(value.iter(), f32::is_finite, "a site")?;
                    see(member.index, site, position, value.view())?;
                }
            }
        }
        Ok(())
    }

    /// Runs a piece that treats each token by itself, or whole rows where it does not.
    fn by_token(&self, batch: &mut Batch<'_>, piece: &Piece) -> Result<()> {
        let tokens = batch.tokens();
        let ids = batch.ids();
        let widths = piece
            .needs()
            .iter()
            .chain(piece.wanted())
            .map(|name| piece.width(name));
        // An MLP is some times wider inside than the stream.
        let width = widths.sum::<usize>() + 8 * self.blocks.arch().d_model;
        let room = (self.budget / SHARE).min(2 * AT_ONCE);
        let some = (room / (width * size_of::<f32>()).max(1)).max(1);
        let seq = batch.seq();
        let step = match (self.apart, self.together) {
            (true, _) => some,
            (false, true) => (some / seq).max(1) * seq,
            (false, false) => seq,
        };
        let mut made = Making::of(piece.wanted(), tokens);
        let mut start = 0;
        while start < tokens {
            crate::interrupt::check()?;
            let range = start..(start + step).min(tokens);
            let own = ids.slice(s![range.clone(), ..]).to_owned();
            let own = if self.apart {
                own
            } else {
                own.into_shape_with_order((range.len() / seq, seq))
                    .map_err(|error| broken(&error))?
            };
            let given = piece
                .needs()
                .iter()
                .map(|name| Ok((name.as_str(), batch.held(name)?)))
                .collect::<Result<Vec<_>>>()?;
            start = range.end;
            let range = Chosen::Range(range);
            piece.run_held(&own, &given, &range, &[], |name, values| {
                made.add(name, values, None)
            })?;
        }
        made.held(batch)?;
        Ok(())
    }

    /// Runs the attention on whole rows, put together from what differs in them and what does not, and takes from it what the
    /// difference reaches.
    fn attend(
        &self,
        batch: &mut Batch<'_>,
        layer: usize,
        pieces: &Layer,
        ends: bool,
    ) -> Result<()> {
        let seq = batch.seq();
        let causal = self.blocks.causal();
        let reached = |member: &Member<'_>| -> Vec<usize> {
            let Some(&first) = member.active().first() else {
                return Vec::new();
            };
            let from = if causal { first } else { 0 };
            let all = from..seq;
            if ends {
                all.filter(|position| member.row.read.contains(position))
                    .collect()
            } else {
                all.collect()
            }
        };
        let names = self.blocks.tensors(Cut::Crossing(layer))?;
        let mut rows: Vec<(&[i64], Vec<usize>, Vec<usize>)> = Vec::new();
        for (prompt, ids) in batch.prompts().iter().enumerate() {
            let all: Vec<usize> = (0..seq).collect();
            rows.push((
                ids,
                all.iter().map(|position| prompt * seq + position).collect(),
                all,
            ));
        }
        for member in batch.differing() {
            let places = (0..seq)
                .map(|position| member.place(position, seq))
                .collect();
            let takes = if self.apart {
                reached(member)
            } else {
                (0..seq).collect()
            };
            rows.push((member.row.ids, places, takes));
        }
        let heads = self.blocks.arch().n_heads.unwrap_or(1);
        let crossing: usize = names.iter().map(|name| pieces.attends.width(name)).sum();
        let of_row = seq * (2 * crossing + 3 * heads * seq) * size_of::<f32>();
        let step = if self.together {
            ((self.budget / SHARE).min(AT_ONCE) / of_row.max(1)).max(1)
        } else {
            1
        };
        let reaches = rows.iter().map(|(_, _, takes)| takes.len()).sum();
        let mut made = Making::of(pieces.attends.wanted(), reaches);
        for some in rows.chunks(step) {
            crate::interrupt::check()?;
            let ids = some
                .iter()
                .flat_map(|(ids, _, _)| ids.iter().copied())
                .collect();
            let ids =
                Array2::from_shape_vec((some.len(), seq), ids).map_err(|error| broken(&error))?;
            let from: Vec<usize> = some
                .iter()
                .flat_map(|(_, places, _)| places.iter().copied())
                .collect();
            let given = names
                .iter()
                .map(|name| Ok((name.as_str(), batch.held(name)?)))
                .collect::<Result<Vec<_>>>()?;
            let takes: Vec<usize> = some
                .iter()
                .enumerate()
                .flat_map(|(row, (_, _, takes))| {
                    takes.iter().map(move |position| row * seq + position)
                })
                .collect();
            let from = Chosen::At(&from);
            let attends = &pieces.attends;
            attends.run_held(&ids, &given, &from, &[], |name, values| {
                let all = takes.len() == values.tokens();
                made.add(name, values, (!all).then_some(&takes))
            })?;
        }
        drop(rows);
        let stream = self.blocks.tensors(Cut::Stream(layer))?.iter();
        let kept: Vec<&str> = stream.map(String::as_str).collect();
        batch.keep(&kept);
        batch.reach(reached)?;
        made.held(batch)?;
        Ok(())
    }
}

/// Number of blocks that have to be run to reach a place.
fn depth(cut: Cut) -> usize {
    match cut {
        Cut::Stream(layer) => layer,
        Cut::Crossing(layer)
        | Cut::Gathered(layer)
        | Cut::AttnOut(layer)
        | Cut::Mid(layer)
        | Cut::MlpOut(layer) => layer + 1,
        Cut::Logits | Cut::SomeLogits => usize::MAX,
    }
}

/// The pieces from what the heads of a block have gathered to the next block, cut where rows are changed or read.
fn rest(
    blocks: &Blocks,
    layer: usize,
    places: &BTreeSet<Cut>,
) -> Result<Vec<(Arc<Piece>, Vec<Cut>)>> {
    let parallel = blocks
        .arch()
        .blocks
        .get(layer)
        .is_some_and(|block| block.parallel);
    let (attn, mid, mlp) = (Cut::AttnOut(layer), Cut::Mid(layer), Cut::MlpOut(layer));
    let next = Cut::Stream(layer + 1);
    let mut from = blocks.before_branches(layer).to_vec();
    let mut pieces = Vec::new();
    if places.contains(&attn) || (parallel && places.contains(&mlp)) {
        pieces.push((blocks.piece(&from, &[attn])?, vec![attn]));
        from = vec![attn, Cut::Stream(layer)];
    }
    if places.contains(&mid) || (!parallel && places.contains(&mlp)) {
        pieces.push((blocks.piece(&from, &[mid])?, vec![mid]));
        from = vec![mid];
    }
    if places.contains(&mlp) {
        pieces.push((blocks.piece(&from, &[mlp])?, vec![mlp]));
        from.push(mlp);
    }
    pieces.push((blocks.piece(&from, &[next])?, vec![next]));
    Ok(pieces)
}

pub(super) fn broken(error: &ndarray::ShapeError) -> Fault {
    Fault::failed("running blocks", error.to_string())
}

pub(super) fn sound<'v>(
    mut values: impl Iterator<Item = &'v f32>,
    is_sound: impl Fn(f32) -> bool,
    what: &str,
) -> Result<()> {
    match values.find(|value| !is_sound(**value)) {
        None => Ok(()),
        Some(value) => Err(Fault::failed(
            format!("running blocks and reading {what}"),
            value.to_string(),
        )
        .expected("finite activations")),
    }
}
