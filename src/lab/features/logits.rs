//! What a feature's direction does to the logits when the unembedding alone reads it.
//!
//! The last norm is not linear, so the direction is not multiplied with the unembedding's weights: it is added to the mean of the
//! stream behind the last block, as long as the feature makes it on average where it is active, and the model's own last norm and
//! unembedding say what changes. Blocks between the dictionary and the end are passed by: this is the direct effect alone.

use ndarray::{Array1, ArrayView1, Axis};

use super::super::subject::Subject;
use super::file::{LogitEffect, Logits};
use super::survey::{Reader, Survey};
use crate::causal::{Change, Row, Runs as _, To};
use crate::fault::Result;

/// Tokens that are shown on each side.
const SHOWN: usize = 10;

/// The effect of each write; why there are none, where the end of the stream cannot be written or is of another width.
pub fn direct_effects(
    reader: &Reader<'_>,
    survey: &Survey,
    subject: &Subject,
    writes: &[Option<Array1<f32>>],
) -> Result<(Vec<Option<Logits>>, Option<String>)> {
    let none = |why: String| Ok((vec![None; writes.len()], Some(why)));
    let end = match &reader.end {
        Ok(end) => *end,
        Err(why) => return none(why.clone()),
    };
    let Some(mean) = survey.mean_end() else {
        return none("nothing was read at the end of the stream".to_owned());
    };
    if let Some(write) = writes
        .iter()
        .flatten()
        .find(|write| write.len() != mean.len())
    {
        return none(format!(
            "directions of {} values, where the stream has {}",
            write.len(),
            mean.len()
        ));
    }
    // Which tokens are run does not matter, since what is behind them is replaced: the shortest text costs least.
    let texts = reader.texts.iter().map(|text| text.encoded.ids.as_slice());
    let ids = texts.min_by_key(|ids| ids.len()).unwrap_or_default();
    let last = ids.len().saturating_sub(1);
    let row = |stream: Array1<f32>| {
        let to = To::Values(stream.insert_axis(Axis(0)));
        Row::with(ids, Change::at(end, last, to), last)
    };
    let rows: Vec<Row<'_>> = std::iter::once(row(mean.clone()))
        .chain(writes.iter().flatten().map(|write| row(&mean + write)))
        .collect();
    let logits = reader.engine.logits(&rows)?;
    let mut logits = logits.iter().map(|logits| logits.row(0));
    let Some(plain) = logits.next() else {
        return none("no logits".to_owned());
    };
    let effects = writes.iter().map(|write| {
        write.as_ref()?;
        Some(effect(plain, logits.next()?, subject))
    });
    Ok((effects.collect(), None))
}

fn effect(plain: ArrayView1<f32>, with: ArrayView1<f32>, subject: &Subject) -> Logits {
    let change = &with - &plain;
    let mean = change.mean().unwrap_or_default();
    let mut order: Vec<(usize, f32)> = change
        .iter()
        .map(|change| change - mean)
        .enumerate()
        .collect();
    order.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let shown = |(id, effect): &(usize, f32)| LogitEffect {
        id: *id,
        token: u32::try_from(*id)
            .map_or_else(|_| String::new(), |id| subject.tokenizer.token_text(id)),
        effect: *effect,
    };
    Logits {
        raised: order
            .iter()
            .take(SHOWN)
            .filter(|(_, effect)| *effect > 0.0)
            .map(shown)
            .collect(),
        lowered: order
            .iter()
            .rev()
            .take(SHOWN)
            .filter(|(_, effect)| *effect < 0.0)
            .map(shown)
            .collect(),
    }
}
