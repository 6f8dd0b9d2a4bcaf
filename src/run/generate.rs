//! The next-token logits and greedy responses of a model.

use ndarray::{Array2, ArrayView1, Ix3, s};

use super::{Session, batches};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, InputRole};

/// Floats that the logits of one batch may hold: they are by far the largest output (64 MiB).
const LOGITS: usize = 1 << 24;

/// Cells that a batch may have where the logits are small.
const CELLS: usize = 4096;

/// How many cells (`batch × seq`) of this model run well at once.
#[must_use]
pub fn token_budget(arch: &Architecture) -> usize {
    (LOGITS / arch.vocab_size.max(1)).clamp(1, CELLS)
}

/// The logits `[prompts, vocab]` after the last token of each prompt.
///
/// # Errors
/// Those of [`Session::run`]; a prompt without tokens is a usage fault.
pub fn last_logits(
    session: &Session,
    arch: &Architecture,
    prompts: &[Vec<i64>],
) -> Result<Array2<f32>> {
    let mut last = Array2::zeros((prompts.len(), arch.vocab_size));
    each_last(session, arch, prompts, |prompt, logits| {
        last.row_mut(prompt).assign(&logits);
    })?;
    Ok(last)
}

/// What the model writes after each prompt when it always takes the likeliest token (of equals, the one with the lowest id).
///
/// A response ends before the first token of `stop`, which is not part of it, or after `max_new_tokens` tokens.
///
/// # Errors
/// Those of [`last_logits`].
pub fn greedy(
    session: &Session,
    arch: &Architecture,
    prompts: &[Vec<i64>],
    max_new_tokens: usize,
    stop: &[i64],
) -> Result<Vec<Vec<i64>>> {
    let mut responses = vec![Vec::new(); prompts.len()];
    let mut open: Vec<usize> = (0..prompts.len()).collect();
    for _ in 0..max_new_tokens {
        if open.is_empty() {
            break;
        }
        let so_far: Vec<Vec<i64>> = open
            .iter()
            .map(|prompt| [prompts[*prompt].as_slice(), &responses[*prompt]].concat())
            .collect();
        let mut next = vec![0; open.len()];
        each_last(session, arch, &so_far, |row, logits| {
            next[row] = likeliest(&logits);
        })?;
        let mut row = 0;
        open.retain(|prompt| {
            let token = next[row];
            row += 1;
            let goes_on = !stop.contains(&token);
            if goes_on {
                responses[*prompt].push(token);
            }
            goes_on
        });
    }
    Ok(responses)
}

/// Shows the logits `[vocab]` after the last token of each prompt, with the prompt's index.
fn each_last(
    session: &Session,
    arch: &Architecture,
    prompts: &[Vec<i64>],
    mut see: impl FnMut(usize, ArrayView1<'_, f32>),
) -> Result<()> {
    let has_mask = arch
        .inputs
        .iter()
        .any(|input| input.role == InputRole::AttentionMask);
    for batch in batches(prompts, has_mask, token_budget(arch)) {
        let (rows, width) = batch.ids.dim();
        session.visit(&batch.feed(), &[&arch.logits], |name, logits| {
            let shape = logits.shape().to_vec();
            let logits = logits
                .into_dimensionality::<Ix3>()
                .ok()
                .filter(|logits| logits.dim() == (rows, width, arch.vocab_size))
                .ok_or_else(|| {
                    Fault::failed(
                        format!("reading the logits `{name}`"),
                        format!("the shape {shape:?}"),
                    )
                    .expected(format!("[{rows}, {width}, {}]", arch.vocab_size))
                })?;
            for (row, prompt) in batch.rows.iter().enumerate() {
                // Every row of a batch that ran has a token.
                let last = prompts[*prompt].len().saturating_sub(1);
                see(*prompt, logits.slice(s![row, last, ..]));
            }
            Ok(())
        })?;
    }
    Ok(())
}

fn likeliest(logits: &ArrayView1<'_, f32>) -> i64 {
    let mut best = (0, f32::NEG_INFINITY);
    for (token, logit) in (0..).zip(logits) {
        if *logit > best.1 {
            best = (token, *logit);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn of_equals_the_lowest_id_is_taken() {
        assert_eq!(likeliest(&array![1.0, 3.0, 3.0, 2.0].view()), 1);
        assert_eq!(likeliest(&array![f32::NEG_INFINITY, -5.0].view()), 1);
    }
}
