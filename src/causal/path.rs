//! Path patching: what one node tells another, all other ways closed (Wang et al., arXiv 2211.00593, section 3.1; Goldowsky-Dill et
//! al., arXiv 2304.05969).
//!
//! In a second run on the clean prompt every head writes what it wrote there, but the sender what it wrote on the corrupt prompt. What
//! the receivers read in that run they read in a third one, on the clean prompt, in which everything behind them follows.

use ndarray::{Array3, ArrayView2};

use super::circuit::{Graph, Node, Pieces, Receiver, only_head};
use crate::fault::{Fault, Result};

/// Which ways from the sender to the receivers are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// The direct one alone: MLPs, too, write what they wrote on the clean prompt.
    Nothing,
    /// Also those through MLPs, which are computed again; Wang et al. do so.
    Mlps,
}

/// The logits `[rows, seq, vocab]` of clean prompts `[rows, seq]` on which `receivers` read what `sender` wrote on the corrupt ones.
///
/// # Errors
/// Usage: prompts of unequal length, no receiver, a node or receiver that the model lacks, or a sender that writes after a
/// receiver has read. Failed: a run fails.
pub fn path_patch(
    pieces: &dyn Pieces,
    clean: ArrayView2<'_, i64>,
    corrupt: ArrayView2<'_, i64>,
    sender: &Node,
    receivers: &[Receiver],
    through: Through,
) -> Result<Array3<f32>> {
    check(pieces, clean.dim(), corrupt.dim(), sender, receivers)?;
    let run = Run {
        pieces,
        ids: clean,
        receivers,
    };
    let ends = [run.written(clean, sender)?, run.written(corrupt, sender)?];
    let change = &ends[1].0 - &ends[0].0;
    let read = run.second(&ends[0].1, &change, sender, through)?;
    run.third(&read)
}

fn check(
    pieces: &dyn Pieces,
    clean: (usize, usize),
    corrupt: (usize, usize),
    sender: &Node,
    receivers: &[Receiver],
) -> Result<()> {
    let doing = || {
        let names: Vec<String> = receivers.iter().map(ToString::to_string).collect();
        format!("patching the path from {sender} to {}", names.join(", "))
    };
    if clean != corrupt || clean.1 == 0 {
        return Err(Fault::usage(
            doing(),
            format!("prompts of {clean:?} and {corrupt:?} rows and tokens"),
        )
        .expected("clean and corrupt prompts of equal length"));
    }
    if receivers.is_empty() {
        return Err(Fault::usage("patching a path", "no receiver").expected("at least one"));
    }
    let graph = Graph::of(pieces.anatomy());
    for receiver in receivers {
        graph
            .edge_between(sender, receiver)
            .map_err(|fault| Fault {
                doing: doing(),
                ..fault
            })?;
    }
    Ok(())
}

/// What the clean run held: the stream as it enters and in the middle of each block, and what its MLPs read and wrote.
struct Held {
    pre: Vec<Array3<f32>>,
    mid: Vec<Array3<f32>>,
    mlp: Vec<Option<Array3<f32>>>,
    post: Array3<f32>,
}

/// What receivers read in the second run: before each attention, before each MLP, before the logits.
struct Read {
    attention: Vec<Array3<f32>>,
    mlp: Vec<Array3<f32>>,
    logits: Array3<f32>,
}

struct Run<'a> {
    pieces: &'a dyn Pieces,
    ids: ArrayView2<'a, i64>,
    receivers: &'a [Receiver],
}

impl Run<'_> {
    /// What the sender writes on some prompts, and what else the run held.
    fn written(&self, ids: ArrayView2<'_, i64>, sender: &Node) -> Result<(Array3<f32>, Held)> {
        let mut stream = self.pieces.embed(ids)?;
        let mut own = (*sender == Node::Input).then(|| stream.clone());
        let (mut pre, mut mids, mut mlps) = (Vec::new(), Vec::new(), Vec::new());
        for (layer, parts) in self.pieces.anatomy().layers.iter().enumerate() {
            let qkv = self.pieces.qkv(layer, ids, stream.view())?;
            let z = self.pieces.attend(layer, ids, qkv)?;
            match sender {
                Node::Head { layer: at, head } if *at == layer => {
                    let alone = only_head(z.view(), *head, parts.d_head);
                    own = Some(self.pieces.attn_out(layer, ids, alone.view())?);
                }
                _ => {}
            }
            let mid = &stream + &self.pieces.attn_out(layer, ids, z.view())?;
            let mlp = self.mlp(layer, ids, &stream, &mid)?;
            let post = match &mlp {
                Some(mlp) => &mid + mlp,
                None => mid.clone(),
            };
            if *sender == (Node::Mlp { layer }) {
                own.clone_from(&mlp);
            }
            pre.push(std::mem::replace(&mut stream, post));
            mids.push(mid);
            mlps.push(mlp);
        }
        let own =
            own.ok_or_else(|| Fault::failed("patching a path", format!("{sender} wrote nothing")))?;
        let held = Held {
            pre,
            mid: mids,
            mlp: mlps,
            post: stream,
        };
        Ok((own, held))
    }

    fn mlp(
        &self,
        layer: usize,
        ids: ArrayView2<'_, i64>,
        pre: &Array3<f32>,
        mid: &Array3<f32>,
    ) -> Result<Option<Array3<f32>>> {
        let parts = self.pieces.anatomy().layers.get(layer);
        let Some(parts) = parts.filter(|parts| parts.mlp) else {
            return Ok(None);
        };
        let read = if parts.parallel { pre } else { mid };
        self.pieces.mlp_out(layer, ids, read.view()).map(Some)
    }

    /// The clean run with the sender's change in it.
    fn second(
        &self,
        clean: &Held,
        change: &Array3<f32>,
        sender: &Node,
        through: Through,
    ) -> Result<Read> {
        let mut moved = match sender {
            Node::Input => change.clone(),
            _ => Array3::zeros(change.dim()),
        };
        let (mut attention, mut before_mlp) = (Vec::new(), Vec::new());
        let blocks = clean.pre.iter().zip(&clean.mid).zip(&clean.mlp);
        for (layer, ((pre, mid), mlp)) in blocks.enumerate() {
            let pre = pre + &moved;
            match sender {
                Node::Head { layer: at, .. } if *at == layer => moved += change,
                _ => {}
            }
            let mid = mid + &moved;
            let of_mlp = match (mlp, through) {
                _ if *sender == (Node::Mlp { layer }) => Some(change.clone()),
                (Some(mlp), Through::Mlps) => {
                    let again = self.mlp(layer, self.ids, &pre, &mid)?;
                    again.map(|again| again - mlp)
                }
                _ => None,
            };
            if let Some(of_mlp) = of_mlp {
                moved += &of_mlp;
            }
            let parts = self.pieces.anatomy().layers.get(layer);
            let parallel = parts.is_some_and(|parts| parts.parallel);
            before_mlp.push(if parallel { pre.clone() } else { mid });
            attention.push(pre);
        }
        Ok(Read {
            attention,
            mlp: before_mlp,
            logits: &clean.post + &moved,
        })
    }

    /// A run on the clean prompt in which the receivers read what they read in the second.
    fn third(&self, read: &Read) -> Result<Array3<f32>> {
        let ids = self.ids;
        if self.receivers.contains(&Receiver::Logits) {
            return self.pieces.logits(ids, read.logits.view());
        }
        let mut stream = self.pieces.embed(ids)?;
        let layers = self.pieces.anatomy().layers.iter();
        let reads = read.attention.iter().zip(&read.mlp);
        for (layer, (parts, (attention, mlp))) in layers.zip(reads).enumerate() {
            let mut qkv = self.pieces.qkv(layer, ids, stream.view())?;
            let own: Vec<_> = (parts.inputs.iter())
                .filter(|input| self.reads(layer, input))
                .collect();
            if !own.is_empty() {
                let patched = self.pieces.qkv(layer, ids, attention.view())?;
                for input in own {
                    input.copy(&patched, &mut qkv);
                }
            }
            let z = self.pieces.attend(layer, ids, qkv)?;
            let mid = &stream + &self.pieces.attn_out(layer, ids, z.view())?;
            stream = if self.receivers.contains(&Receiver::Mlp { layer }) {
                mid + &self.pieces.mlp_out(layer, ids, mlp.view())?
            } else {
                match self.mlp(layer, ids, &stream, &mid)? {
                    Some(of_mlp) => mid + &of_mlp,
                    None => mid,
                }
            };
        }
        self.pieces.logits(ids, stream.view())
    }

    fn reads(&self, layer: usize, input: &super::circuit::HeadInput) -> bool {
        self.receivers.iter().any(|receiver| {
            matches!(receiver, Receiver::Head { layer: at, part, heads }
                if *at == layer && *part == input.part && *heads == input.heads)
        })
    }
}
