//! Reads every text through the runtime and writes its activations to the work folder.

use half::bf16;
use half::slice::HalfFloatSliceExt as _;

use super::folder::{Folder, Identity, Manifest};
use super::shards::{Dealer, put};
use super::texts::{Text, held_out};
use crate::causal::{Engine, Runs as _};
use crate::fault::{Fault, Result};
use crate::interrupt;
use crate::lab::{Progress, Subject, check_ids};
use crate::model::{Layout, Point, SiteName};
use crate::run::Runtime;

/// Tokens that are read before rows are written.
const TOKENS: usize = 1 << 14;
/// Tokens of held-out texts that the loss with the reconstruction is measured on.
const TO_SPLICE: usize = 1 << 13;

/// The width of a site's rows, and whether they are heads side by side.
///
/// # Errors
/// The model has no such site, or it does not hold one vector for each token.
pub fn width(subject: &Subject, site: SiteName) -> Result<(usize, bool)> {
    let found = subject.arch.site(site).map(|site| site.layout);
    match (found, site.point) {
        (_, Point::Logits) | (None | Some(Layout::Pattern { .. }), _) => Err(Fault::usage(
            format!("reading activations at `{site}`"),
            "no vector for each token",
        )
        .expected("a site of the stream, of a branch or of the heads (hook_z)")),
        (Some(Layout::Token { width }), _) => Ok((width, false)),
        (Some(Layout::Heads { heads, d_head }), _) => Ok((heads * d_head, true)),
    }
}

/// Captures the activations of `texts`.
///
/// # Errors
/// Too few texts, a token that the model has no embedding for, an activation that is not finite, activations that are all the
/// same, or a run or a write that fails.
pub fn capture(
    runtime: &Runtime,
    subject: &Subject,
    site: SiteName,
    texts: &[Text],
    folder: &Folder,
    identity: Identity,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let (d_in, _) = width(subject, site)?;
    folder.clear()?;
    let held = held_out(texts, identity.held_out, identity.seed)?;
    let prompts: Vec<Vec<i64>> = texts.iter().map(|text| text.ids.clone()).collect();
    check_ids(&subject.arch, &prompts)?;
    let rows: usize = of_side(texts, &held, false).map(Text::rows).sum();
    let dealer = Dealer::new(
        folder.path(),
        rows.div_ceil(identity.shard_size).max(1),
        identity.seed,
    );
    let mut taken = Taken {
        site,
        dealer,
        held_out: Vec::new(),
        held_rows: 0,
        most_held: identity.shard_size,
        moments: Moments::new(d_in),
    };
    let engine = Engine::open(
        runtime,
        &subject.model,
        &subject.arch,
        &[site],
        &[],
        Vec::new(),
    )?;
    progress.stage("reading activations", texts.len());
    let mut from = 0;
    while from < texts.len() {
        interrupt::check()?;
        let mut tokens = 0;
        let more = texts[from..].iter().take_while(|text| {
            tokens += text.ids.len();
            tokens <= TOKENS
        });
        let to = from + more.count().max(1);
        let ids: Vec<&[i64]> = prompts[from..to].iter().map(Vec::as_slice).collect();
        let captured = engine.plain_activations(&ids, &[site])?;
        for (place, of_text) in (from..to).zip(captured) {
            for values in of_text {
                taken.take(&texts[place], held[place], &values, place)?;
            }
        }
        progress.step(to - from);
        from = to;
    }
    let mean_norm = taken.moments.check(site)?;
    let mut left = TO_SPLICE;
    let to_splice = of_side(texts, &held, true)
        .take_while(|text| {
            let room = left > 0;
            left = left.saturating_sub(text.ids.len());
            room
        })
        .cloned()
        .collect();
    let manifest = Manifest {
        identity,
        d_in,
        shards: taken.dealer.finish()?,
        held_out: taken.held_rows,
        texts: (texts.len(), held.iter().filter(|held| **held).count()),
        mean_norm,
        to_splice,
    };
    folder.finish(&manifest, &taken.held_out)?;
    Ok(manifest)
}

fn of_side<'a>(
    texts: &'a [Text],
    held: &'a [bool],
    side: bool,
) -> impl Iterator<Item = &'a Text> + 'a {
    texts
        .iter()
        .zip(held)
        .filter(move |(_, held)| **held == side)
        .map(|(text, _)| text)
}

/// Where rows go.
struct Taken {
    site: SiteName,
    dealer: Dealer,
    held_out: Vec<u8>,
    held_rows: usize,
    /// No more than a shard is held out: it is in memory while training.
    most_held: usize,
    moments: Moments,
}

impl Taken {
    fn take(
        &mut self,
        text: &Text,
        held: bool,
        values: &ndarray::Array2<f32>,
        place: usize,
    ) -> Result<()> {
        let mut row = vec![bf16::ZERO; values.ncols()];
        for (position, (values, keep)) in values.rows().into_iter().zip(&text.keep).enumerate() {
            if !keep {
                continue;
            }
            row.convert_from_f32_slice(&values.to_vec());
            // The runtime lets nothing else through than what rounds to an infinity.
            if let Some(value) = row.iter().find(|value| !value.is_finite()) {
                return Err(Fault::failed(
                    format!("reading activations at `{}`", self.site),
                    format!("{value} in bfloat16 at token {position} of text {place}"),
                )
                .expected("finite activations")
                .hint("the model overflows here: train at another site, or on other texts"));
            }
            if !held {
                self.moments.add(&row);
                self.dealer.deal(&row)?;
            } else if self.held_rows < self.most_held {
                put(&row, &mut self.held_out);
                self.held_rows += 1;
            }
        }
        Ok(())
    }
}

/// Sums over the rows to learn from.
struct Moments {
    rows: f64,
    norms: f64,
    sums: Vec<f64>,
    squares: f64,
}

impl Moments {
    fn new(d_in: usize) -> Self {
        Self {
            rows: 0.0,
            norms: 0.0,
            sums: vec![0.0; d_in],
            squares: 0.0,
        }
    }

    fn add(&mut self, row: &[bf16]) {
        let mut squares = 0.0;
        for (sum, value) in self.sums.iter_mut().zip(row) {
            let value = value.to_f64();
            *sum += value;
            squares += value * value;
        }
        self.rows += 1.0;
        self.squares += squares;
        self.norms += squares.sqrt();
    }

    /// The mean norm, of rows that differ.
    fn check(&self, site: SiteName) -> Result<f64> {
        let mean_squares: f64 = self.sums.iter().map(|sum| (sum / self.rows).powi(2)).sum();
        let variance = self.squares / self.rows - mean_squares;
        // What rounding leaves of equal rows.
        if variance > 1e-9 * self.squares / self.rows {
            return Ok(self.norms / self.rows);
        }
        Err(Fault::failed(
            format!("reading activations at `{site}`"),
            format!("{} rows that are all the same", self.rows),
        )
        .expected("activations that differ from token to token")
        .hint("train at another site, or on other texts"))
    }
}
