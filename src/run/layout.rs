//! Which axis of an output counts rows and which counts tokens.

use crate::fault::{Fault, Result};

/// Refuses an output that does not count the feed's rows on its first axis and its tokens on the second, or, after the
/// heads, on the third of four or more. Outputs of fewer than three axes may leave the tokens out, those of fewer than
/// two the rows.
///
/// Of the logits, those of the last token alone are enough.
pub(super) fn check(
    name: &str,
    shape: &[usize],
    (batch, seq): (usize, usize),
    is_logits: bool,
) -> Result<()> {
    let axes = shape.len();
    if is_logits && of_last(shape, (batch, seq)) {
        return Ok(());
    }
    let rows = axes < 2 || shape.first() == Some(&batch);
    let tokens = axes < 3 || shape.get(1) == Some(&seq) || (axes > 3 && shape.get(2) == Some(&seq));
    if rows && tokens {
        return Ok(());
    }
    Err(Fault::failed(
        format!("reading the model's output `{name}`"),
        format!("the shape {shape:?}"),
    )
    .expected(format!(
        "[{batch}, {seq}, …], the {batch} rows and {seq} tokens of the batch"
    ))
    .hint("export the model with batch and sequence as the first two axes of its outputs"))
}

/// Whether an output `[batch, 1, …]` says something of the last of several tokens alone.
pub(super) fn of_last(shape: &[usize], (batch, seq): (usize, usize)) -> bool {
    matches!(*shape, [rows, 1, _] if rows == batch && seq > 1)
}

/// A graph whose fixed sizes leave open which axis is which.
pub(super) fn untold(names: &[&str], size: usize) -> Fault {
    Fault::failed(
        format!("reading the model's output `{}`", names.join("`, `")),
        format!("an export of fixed size, {size} rows of {size} tokens"),
    )
    .expected("sizes that tell rows from tokens")
    .hint("export the model with a dynamic batch or sequence axis")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_first_and_tokens_next_or_behind_the_heads() {
        let fits = |shape: &[usize]| check("tap", shape, (2, 5), false).is_ok();
        assert!(fits(&[2, 5, 64]));
        assert!(fits(&[2, 5, 4, 16]));
        assert!(fits(&[2, 4, 5, 5]));
        assert!(fits(&[2, 5]));
        assert!(fits(&[7]));
        assert!(!fits(&[5, 2, 64]));
        assert!(!fits(&[2, 64, 5]));
        assert!(!fits(&[2, 1, 64]));
        assert!(!fits(&[4, 2, 5, 5]));
        assert!(!fits(&[5, 2]));
        assert!(!fits(&[10, 64]));
        assert!(check("logits", &[2, 1, 64], (2, 5), true).is_ok());
        assert!(check("logits", &[1, 1, 64], (2, 5), true).is_err());
    }
}
