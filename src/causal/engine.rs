//! Runs rows as whole forward passes of one graph, in batches of equal length.

use std::path::Path;

use ndarray::Array2;

use super::row::{Row, Runs, SeeActivation, SeeLogits};
use super::rows::{self, EditFeed, Fixed};
use super::staged::{self, Pass};
use crate::fault::{Fault, Result};
use crate::instrument::{ExtraInput, Head, Plan, Write, instrument};
use crate::interrupt;
use crate::model::{Architecture, Layout, Model, SiteName};
use crate::run::{Cells, Feed, Generation, Runtime, Session, batches, generate};

/// Bytes of activations and logits that a batch of several rows may hold where nothing else is said.
const BATCH_BYTES: usize = 128 << 20;

/// Tokens beyond which a batch gains nothing: of small models very many would fit, and what lies between their layers with them.
const CELLS: usize = 4096;

/// An instrumented model on the runtime: every site of `writes` can be changed, every site of `taps` read.
///
/// Given values are written as they are. What a change needs to know of its own run (`Add`, `Project` and `Map`) is read
/// first, at sites that are tapped as well: one more pass for each place behind which such a change stands.
pub struct Engine {
    session: Session,
    arch: Architecture,
    writes: Vec<WritePort>,
    taps: Vec<Port>,
    heads: Vec<Port>,
    logits: Port,
    budget: Option<usize>,
}

/// A site that can be written.
pub(super) struct WritePort {
    pub site: SiteName,
    pub layout: Layout,
    pub mask: String,
    pub value: String,
    /// Whether the export gives a size to the batch, and to the sequence.
    pub fixed: (bool, bool),
}

/// An output that is read.
pub(super) struct Port {
    site: Option<SiteName>,
    output: String,
    layout: Layout,
}

impl Engine {
    /// Whether a model can be instrumented so, which takes no runtime and hardly any time.
    ///
    /// # Errors
    /// A site is missing or cannot be written.
    pub fn check(
        model: &Model,
        arch: &Architecture,
        taps: &[SiteName],
        writes: &[SiteName],
        heads: Vec<Head>,
    ) -> Result<()> {
        instrument(model, arch, &Self::plan(arch, taps, writes, heads)?).map(|_| ())
    }

    fn plan(
        arch: &Architecture,
        taps: &[SiteName],
        writes: &[SiteName],
        heads: Vec<Head>,
    ) -> Result<Plan> {
        if let Some(&site) = writes.iter().find(|site| arch.site(**site).is_none()) {
            return Err(missing(arch, site));
        }
        Ok(Plan {
            taps: taps.to_vec(),
            heads,
            writes: writes
                .iter()
                .map(|&site| Write::Replace {
                    site,
                    value: format!("value.{site}"),
                })
                .collect(),
            ..Plan::default()
        })
    }

    /// Instruments the model and opens a session on it.
    ///
    /// # Errors
    /// A site is missing or cannot be written, or the runtime refuses the graph.
    pub fn open(
        runtime: &Runtime,
        model: &Model,
        arch: &Architecture,
        taps: &[SiteName],
        writes: &[SiteName],
        heads: Vec<Head>,
    ) -> Result<Self> {
        let plan = Self::plan(arch, taps, writes, heads)?;
        let instrumented = instrument(model, arch, &plan)?;
        let session = Session::open(
            runtime,
            &instrumented.bytes,
            Path::new(&instrumented.folder),
            arch,
        )?;
        session.check_context()?;
        let fixed = (session.fixed(0).is_some(), session.fixed(1).is_some());
        let manifest = instrumented.manifest;
        let layouts = |sites: &[SiteName]| {
            let layout = |site: &SiteName| arch.site(*site).map(|site| site.layout);
            sites.iter().filter_map(layout).collect::<Vec<_>>()
        };
        let widths = plan.heads.iter().map(|head| head.weight.ncols());
        let values = manifest
            .inputs
            .into_iter()
            .filter_map(|(name, kind)| matches!(kind, ExtraInput::Value(_)).then_some(name));
        Ok(Self {
            arch: arch.clone(),
            writes: manifest
                .masks
                .into_iter()
                .zip(values)
                .zip(layouts(writes))
                .map(|(((site, mask), value), layout)| WritePort {
                    site,
                    layout,
                    mask,
                    value,
                    fixed,
                })
                .collect(),
            taps: manifest
                .taps
                .into_iter()
                .zip(layouts(taps))
                .map(|((site, output), layout)| Port {
                    site: Some(site),
                    output,
                    layout,
                })
                .collect(),
            heads: manifest
                .heads
                .into_iter()
                .zip(widths)
                .map(|((_, output), width)| Port {
                    site: None,
                    output,
                    layout: Layout::Token { width },
                })
                .collect(),
            logits: Port {
                site: None,
                output: arch.logits.clone(),
                layout: Layout::Token {
                    width: arch.vocab_size,
                },
            },
            session,
            budget: None,
        })
    }

    /// The same, with a batch holding at most so many bytes of activations and logits.
    #[must_use]
    pub fn within(mut self, budget: usize) -> Self {
        self.budget = Some(budget);
        self
    }

    /// How many cells a batch may have, given the length of its longest prompt; 0 stands for prompts one by one.
    ///
    /// # Errors
    /// The budget does not hold one row.
    fn max_tokens(&self, longest: usize, written: impl Iterator<Item = Layout>) -> Result<usize> {
        let width = |layout: Layout| match layout {
            Layout::Pattern { heads } => heads.saturating_mul(longest),
            fixed => fixed.per_position().unwrap_or(0),
        };
        let read = self.taps.iter().chain(&self.heads).chain([&self.logits]);
        let floats: usize = read.map(|port| port.layout).chain(written).map(width).sum();
        let of_token = floats.saturating_mul(size_of::<f32>()).max(1);
        let of_row = of_token.saturating_mul(longest);
        if let Some(budget) = self.budget.filter(|budget| *budget < of_row) {
            return Err(too_small(longest, budget, of_row));
        }
        // Some exports round by what else runs beside a prompt, or take one at a time.
        if self.session.batching().together.is_err() {
            return Ok(0);
        }
        Ok((self.budget.unwrap_or(BATCH_BYTES) / of_token).clamp(1, CELLS))
    }

    /// Outputs `[seq, k]` of every detector head: one list for each prompt, in the order of the heads.
    ///
    /// # Errors
    /// A run fails.
    pub fn head_scores(&self, prompts: &[&[i64]]) -> Result<Vec<Vec<Array2<f32>>>> {
        self.outputs(prompts, self.heads.iter().collect())
    }

    /// What the model writes after one prompt that runs alone, unedited, when it always takes the likeliest token; see
    /// [`crate::run::greedy`].
    ///
    /// # Errors
    /// A run fails.
    pub fn greedy(&self, prompt: &[i64], max_new_tokens: usize, stop: &[i64]) -> Result<Vec<i64>> {
        let unedited = |cells: &Cells| {
            let (rows, tokens) = cells.positions.dim();
            Ok(EditFeed::new(&self.writes, rows, tokens).finish())
        };
        let how = Generation {
            max_new_tokens,
            stop,
            extra: Some(&unedited),
            ..Generation::default()
        };
        let written = generate(&self.session, &[prompt.to_vec()], &how)?;
        Ok(written.into_iter().flat_map(|text| text.ids).collect())
    }

    /// Activations of every tapped site, as [`Runs::plain_activations`] has them, with the logits `[seq, vocab]` last.
    ///
    /// # Errors
    /// A run fails.
    pub fn activations_and_logits(&self, prompts: &[&[i64]]) -> Result<Vec<Vec<Array2<f32>>>> {
        self.outputs(prompts, self.taps.iter().chain([&self.logits]).collect())
    }

    /// Sites that are tapped.
    pub fn taps(&self) -> impl Iterator<Item = SiteName> + '_ {
        self.taps.iter().filter_map(|port| port.site)
    }

    /// What is read at that site.
    pub(super) fn tap(&self, site: SiteName) -> Result<&Port> {
        let port = self.taps.iter().find(|port| port.site == Some(site));
        port.ok_or_else(|| not_opened(site, "reading"))
    }

    /// The index of the write at that site.
    pub(super) fn write(&self, site: SiteName) -> Result<usize> {
        let port = self.writes.iter().position(|port| port.site == site);
        port.ok_or_else(|| not_opened(site, "writing"))
    }

    fn outputs(&self, prompts: &[&[i64]], ports: Vec<&Port>) -> Result<Vec<Vec<Array2<f32>>>> {
        let mut all = vec![vec![Array2::zeros((0, 0)); ports.len()]; prompts.len()];
        let passes: Vec<Pass<'_>> = prompts.iter().map(|ids| Pass::plain(ids)).collect();
        self.pass(&passes, &ports, &mut |row, port, values| {
            all[row][port] = values;
            Ok(())
        })?;
        Ok(all)
    }

    /// Runs passes and shows every port of each as `[positions, width]`.
    pub(super) fn pass(
        &self,
        passes: &[Pass<'_>],
        ports: &[&Port],
        see: &mut dyn FnMut(usize, usize, Array2<f32>) -> Result<()>,
    ) -> Result<()> {
        if ports.is_empty() {
            return Ok(());
        }
        let names: Vec<&str> = ports.iter().map(|port| port.output.as_str()).collect();
        let prompts: Vec<Vec<i64>> = passes.iter().map(|pass| pass.ids.to_vec()).collect();
        let longest = prompts.iter().map(Vec::len).max().unwrap_or(0);
        let used = |port: usize| {
            let mut fixed = passes.iter().flat_map(|pass| &pass.fixed);
            fixed.any(|fixed| fixed.port == port)
        };
        let written = (0..self.writes.len()).filter(|&port| used(port));
        let written = written.map(|port| self.writes[port].layout);
        for batch in batches(&prompts, false, self.max_tokens(longest, written)?) {
            interrupt::check()?;
            let dim = batch.ids.dim();
            let mut fed = EditFeed::new(&self.writes, dim.0, dim.1);
            for (place, &row) in batch.rows.iter().enumerate() {
                let fixed: &[Fixed] = passes.get(row).map_or(&[], |pass| &pass.fixed);
                fixed.iter().try_for_each(|fixed| fed.set(place, fixed))?;
            }
            let feed = Feed {
                mask: Array2::ones(dim),
                ids: batch.ids,
                extra: fed.finish(),
            };
            let outputs = self.session.run(&feed, &names)?;
            for (index, port) in ports.iter().enumerate() {
                let values = rows::output(&outputs, &port.output)?;
                for (place, &row) in batch.rows.iter().enumerate() {
                    let values = if port.output == self.logits.output {
                        rows::logits(values, place, port.layout, dim)?
                    } else {
                        rows::by_position(values, place, port.layout, dim)?
                    };
                    see(row, index, values)?;
                }
            }
        }
        Ok(())
    }
}

impl Runs for Engine {
    fn arch(&self) -> &Architecture {
        &self.arch
    }

    fn each_logits(&self, rows: &[Row<'_>], see: &mut SeeLogits<'_>) -> Result<()> {
        let passes = staged::passes(self, rows)?;
        self.pass(&passes, &[&self.logits], &mut |row, _, logits| {
            let Some(of) = rows.get(row) else {
                return Ok(());
            };
            let seq = of.ids.len();
            for &position in &of.read {
                // Logits of the last token alone stand at the end of the prompt.
                let at = (position + logits.nrows()).checked_sub(seq);
                match at.filter(|&at| at < logits.nrows()) {
                    Some(at) => see(row, position, logits.row(at))?,
                    None => return Err(unread(position, seq)),
                }
            }
            Ok(())
        })
    }

    fn each_activation(
        &self,
        rows: &[Row<'_>],
        sites: &[SiteName],
        see: &mut SeeActivation<'_>,
    ) -> Result<()> {
        let ports = sites
            .iter()
            .map(|&site| self.tap(site))
            .collect::<Result<Vec<_>>>()?;
        let passes = staged::passes(self, rows)?;
        self.pass(&passes, &ports, &mut |row, site, values| {
            let Some(of) = rows.get(row) else {
                return Ok(());
            };
            of.read
                .iter()
                .try_for_each(|&position| see(row, site, position, values.row(position)))
        })
    }
}

/// A budget that does not hold one row of so many tokens.
pub(super) fn too_small(seq: usize, budget: usize, needed: usize) -> Fault {
    Fault::usage(
        format!("running rows of {seq} tokens"),
        format!("a budget of {} MiB", budget >> 20),
    )
    .expected(format!("at least {} MiB", (needed >> 20) + 1))
    .hint("give more memory, or shorter prompts")
}

fn not_opened(site: SiteName, what: &str) -> Fault {
    Fault::usage("patching", format!("the site `{site}`"))
        .expected(format!("a site that was opened for {what}"))
}

/// Logits that a model does not put out.
pub(super) fn unread(position: usize, seq: usize) -> Fault {
    Fault::usage(
        format!("reading the logits at position {position} of {seq}"),
        "a model that puts out those of the last token alone",
    )
    .expected("logits of every token")
    .hint("export the model so that it puts out logits [batch, seq, vocab]")
}

fn missing(arch: &Architecture, site: SiteName) -> Fault {
    let why = arch.why_absent(site).unwrap_or("the model has none");
    Fault::usage(format!("opening `{site}` for writing"), why)
        .expected("a site of the model")
        .hint("`candor inspect MODEL` lists all sites")
}
