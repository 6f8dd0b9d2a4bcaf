//! Logits at the end of a pass: of the tokens at which they are read, and of no others where the unembedding runs token by token.

use std::collections::HashMap;
use std::sync::Arc;

use ndarray::{Array2, ArrayView1};

use super::super::engine::unread;
use super::super::row::SeeLogits;
use super::batch::Batch;
use super::pass::{Pass, SHARE, broken, sound};
use crate::fault::{Fault, Result};
use crate::instrument::Cut;
use crate::run::{Blocks, Chosen, Held, Piece};

/// The last piece.
pub(super) struct Head {
    pub piece: Arc<Piece>,
    /// Whether it makes the logits of some tokens alone.
    pub narrow: bool,
}

/// The piece that makes the logits, of some tokens alone where that is wanted and the graph allows.
pub(super) fn head(blocks: &Blocks, narrow: bool) -> Result<Head> {
    let last = Cut::Stream(blocks.arch().n_layers);
    if narrow && let Ok(piece) = blocks.piece(&[last], &[Cut::SomeLogits]) {
        return Ok(Head { piece, narrow });
    }
    Ok(Head {
        piece: blocks.piece(&[last], &[Cut::Logits])?,
        narrow: false,
    })
}

/// Who reads which logits, and what of them.
struct Readers {
    /// Where the tokens lie that are read, each once.
    places: Vec<usize>,
    /// Rows and positions by place.
    rows: HashMap<usize, Vec<(usize, usize)>>,
    /// The ids whose logits are made.
    made: Vec<i64>,
    /// Those that are read of what is made, `None` for all.
    picked: Option<Vec<usize>>,
}

impl Readers {
    fn of(batch: &Batch<'_>) -> Self {
        let mut rows: HashMap<usize, Vec<(usize, usize)>> = HashMap::new();
        let mut places: Vec<usize> = Vec::new();
        for member in batch.rows() {
            for &position in &member.row.read {
                let at = member.place(position, batch.seq());
                let known = rows.entry(at).or_default();
                if known.is_empty() {
                    places.push(at);
                }
                known.push((member.index, position));
            }
        }
        Self {
            places,
            rows,
            made: Vec::new(),
            picked: None,
        }
    }

    /// Shows logits to their readers; `entries` are a place and where its logits lie in what was made.
    fn show(
        &self,
        logits: &Held<'_>,
        entries: &[(usize, usize)],
        see: &mut SeeLogits<'_>,
    ) -> Result<()> {
        let wanted: Vec<usize> = entries.iter().map(|(_, entry)| *entry).collect();
        let looked = logits.look(&wanted, self.picked.as_deref())?;
        for (at, entry) in entries {
            let logits: ArrayView1<'_, f32> = looked.row(*entry)?;
            sound(logits.iter(), |value| !value.is_nan(), "the logits")?;
            for (row, position) in self.rows.get(at).into_iter().flatten() {
                see(*row, *position, logits)?;
            }
        }
        Ok(())
    }

    /// The unembedding on single tokens.
    fn by_place(
        &self,
        batch: &Batch<'_>,
        piece: &Piece,
        stream: &str,
        some: usize,
        see: &mut SeeLogits<'_>,
    ) -> Result<()> {
        let ids = batch.ids();
        let given = [(stream, batch.held(stream)?)];
        for places in self.places.chunks(some) {
            crate::interrupt::check()?;
            let own = places.iter().map(|&at| ids[(at, 0)]).collect();
            let own =
                Array2::from_shape_vec((places.len(), 1), own).map_err(|error| broken(&error))?;
            let from = Chosen::At(places);
            piece.run_held(&own, &given, &from, &self.made, |_, logits| {
                let entries = places.iter().enumerate().map(|(entry, &at)| (at, entry));
                self.show(&logits, &entries.collect::<Vec<_>>(), see)
            })?;
        }
        Ok(())
    }

    /// The unembedding on whole rows, of which some tokens are read.
    fn by_row(
        &self,
        batch: &Batch<'_>,
        piece: &Piece,
        stream: &str,
        some: usize,
        see: &mut SeeLogits<'_>,
    ) -> Result<()> {
        let seq = batch.seq();
        let ids = batch.ids();
        let given = [(stream, batch.held(stream)?)];
        let mut rows: Vec<usize> = self.places.iter().map(|at| at / seq).collect();
        rows.sort_unstable();
        rows.dedup();
        for rows in rows.chunks(some) {
            crate::interrupt::check()?;
            let from: Vec<usize> = rows
                .iter()
                .flat_map(|row| row * seq..(row + 1) * seq)
                .collect();
            let own = from.iter().map(|&at| ids[(at, 0)]).collect();
            let own =
                Array2::from_shape_vec((rows.len(), seq), own).map_err(|error| broken(&error))?;
            let from = Chosen::At(&from);
            piece.run_held(&own, &given, &from, &self.made, |_, logits| {
                let each = logits.tokens() / rows.len().max(1);
                let mut entries: Vec<(usize, usize)> = Vec::new();
                for (place, &row) in rows.iter().enumerate() {
                    for position in 0..seq {
                        let at = row * seq + position;
                        if !self.rows.contains_key(&at) {
                            continue;
                        }
                        let entry = (position + each).checked_sub(seq);
                        let entry = entry.ok_or_else(|| unread(position, seq))?;
                        entries.push((at, place * each + entry));
                    }
                }
                self.show(&logits, &entries, see)
            })?;
        }
        Ok(())
    }
}

impl Pass<'_> {
    /// Shows the logits that the rows of a batch read, `chosen` of them where these are given.
    ///
    /// # Errors
    /// A run fails, or the model puts out those of the last token alone where others are read.
    pub(super) fn logits(
        &self,
        batch: &Batch<'_>,
        chosen: Option<&[i64]>,
        see: &mut SeeLogits<'_>,
    ) -> Result<()> {
        let arch = self.blocks.arch();
        let Some(Head { piece, narrow }) = &self.head else {
            return Ok(());
        };
        let mut readers = Readers::of(batch);
        let mut width = arch.vocab_size;
        if let Some(chosen) = chosen {
            if *narrow {
                readers.made = chosen.to_vec();
                width = chosen.len();
            } else {
                let ids = chosen.iter().map(|id| usize::try_from(*id));
                readers.picked = Some(ids.map(|id| id.unwrap_or(usize::MAX)).collect());
            }
        }
        let [stream] = self.blocks.tensors(Cut::Stream(arch.n_layers))? else {
            return Err(Fault::failed(
                "computing logits",
                "a stream of several tensors",
            ));
        };
        let room = |tokens: usize| {
            (self.budget / SHARE / (width * tokens * size_of::<f32>()).max(1)).max(1)
        };
        if self.apart {
            readers.by_place(batch, piece, stream, room(1), see)
        } else {
            let some = if piece.together { room(batch.seq()) } else { 1 };
            readers.by_row(batch, piece, stream, some, see)
        }
    }
}
