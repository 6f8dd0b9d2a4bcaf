//! Runs many forward passes, each with at most one edit of the residual stream, in batches of equal length.

use std::path::Path;

use ndarray::{Array1, Array2, ArrayView1};

use super::rows::{self, EditFeed};
use crate::fault::{Fault, Result};
use crate::instrument::{ExtraInput, Head, Plan, Write, instrument};
use crate::interrupt;
use crate::model::{Architecture, Layout, Model, SiteName};
use crate::run::{Feed, Runtime, Session, batches};

/// Bytes of activations and logits that one batch may hold.
const BATCH_BYTES: usize = 128 << 20;

/// An instrumented model on the runtime: every site of `writes` can be overwritten, every site of `taps` read.
pub struct Engine {
    session: Session,
    arch: Architecture,
    writes: Vec<WritePort>,
    /// Inputs that hold the values of writes, one for each layout.
    values: Vec<(String, Layout)>,
    taps: Vec<Port>,
    heads: Vec<Port>,
    logits: Port,
}

/// A site that can be written.
pub(super) struct WritePort {
    pub site: SiteName,
    pub layout: Layout,
    pub mask: String,
}

/// An output that is read.
struct Port {
    site: Option<SiteName>,
    output: String,
    layout: Layout,
}

/// One forward pass.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    /// Token ids `[seq]`.
    pub ids: &'a [i64],
    /// What is overwritten, if anything.
    pub edit: Option<Edit>,
    /// The position whose logits are read.
    pub read: usize,
}

impl<'a> Row<'a> {
    /// An untouched pass, read at the last position.
    #[must_use]
    pub fn plain(ids: &'a [i64]) -> Self {
        Self {
            ids,
            edit: None,
            read: ids.len().saturating_sub(1),
        }
    }
}

/// Positions of one site and the activations that they are given, as rows of [`Engine::activations`].
#[derive(Debug, Clone)]
pub struct Edit {
    /// Which site.
    pub site: SiteName,
    /// Position and its new activation.
    pub values: Vec<(usize, Array1<f32>)>,
}

impl Engine {
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
        let layouts = |sites: &[SiteName]| {
            let layout = |site: &SiteName| arch.site(*site).map(|site| site.layout);
            sites.iter().filter_map(layout).collect::<Vec<_>>()
        };
        let mut shared: Vec<Layout> = Vec::new();
        let plan = Plan {
            taps: taps.to_vec(),
            heads,
            writes: writes
                .iter()
                .zip(layouts(writes))
                .map(|(&site, layout)| {
                    let known = shared.iter().position(|other| *other == layout);
                    let at = known.unwrap_or_else(|| {
                        shared.push(layout);
                        shared.len() - 1
                    });
                    Write::Replace {
                        site,
                        value: format!("value.{at}"),
                    }
                })
                .collect(),
            ..Plan::default()
        };
        if let Some(&site) = writes.iter().find(|site| arch.site(**site).is_none()) {
            return Err(missing(arch, site));
        }
        let instrumented = instrument(model, arch, &plan)?;
        let session = Session::open(
            runtime,
            &instrumented.bytes,
            Path::new(&instrumented.folder),
            arch,
        )?;
        session.check_context()?;
        let manifest = instrumented.manifest;
        let widths = plan.heads.iter().map(|head| head.weight.ncols());
        Ok(Self {
            session,
            arch: arch.clone(),
            writes: manifest
                .masks
                .into_iter()
                .zip(layouts(writes))
                .map(|((site, mask), layout)| WritePort { site, layout, mask })
                .collect(),
            values: manifest
                .inputs
                .into_iter()
                .filter_map(|(name, kind)| match kind {
                    ExtraInput::Value(layout) => Some((name, layout)),
                    ExtraInput::Direction | ExtraInput::Target => None,
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
        })
    }

    /// How many cells a batch may have, given the length of its longest prompt; 0 stands for prompts one by one.
    fn max_tokens(&self, longest: usize) -> usize {
        // Some exports round by what else runs beside a prompt, or take one at a time.
        if self.session.batching().together.is_err() {
            return 0;
        }
        let width = |layout: Layout| match layout {
            Layout::Pattern { heads } => heads.saturating_mul(longest),
            fixed => fixed.per_position().unwrap_or(0),
        };
        let read = self.taps.iter().chain(&self.heads).chain([&self.logits]);
        let fed = self.values.iter().map(|(_, layout)| *layout);
        let floats: usize = read.map(|port| port.layout).chain(fed).map(width).sum();
        (BATCH_BYTES / floats.saturating_mul(size_of::<f32>()).max(1)).max(1)
    }

    /// The architecture that the engine was opened with.
    #[must_use]
    pub fn arch(&self) -> &Architecture {
        &self.arch
    }

    /// Calls `visit` with each row's index and its logits `[vocab]` at the row's `read` position.
    ///
    /// # Errors
    /// A site was not opened for writing, a position lies outside the prompt, or a run fails.
    pub fn each_logits(
        &self,
        rows: &[Row<'_>],
        mut visit: impl FnMut(usize, ArrayView1<f32>) -> Result<()>,
    ) -> Result<()> {
        let lengths: Vec<Vec<i64>> = rows.iter().map(|row| row.ids.to_vec()).collect();
        let longest = lengths.iter().map(Vec::len).max().unwrap_or(0);
        for batch in batches(&lengths, false, self.max_tokens(longest)) {
            interrupt::check()?;
            let edits: Vec<Option<&Edit>> = batch
                .rows
                .iter()
                .map(|&row| rows[row].edit.as_ref())
                .collect();
            let dim = batch.ids.dim();
            let feed = self.feed(batch.ids, &edits)?;
            let outputs = self.session.run(&feed, &[&self.arch.logits])?;
            let logits = rows::output(&outputs, &self.logits.output)?;
            for (place, &row) in batch.rows.iter().enumerate() {
                let read = rows[row].read;
                let of_row = rows::logits(logits, place, self.logits.layout, dim)?;
                // Logits of the last token alone stand at the end of the prompt.
                let (_, seq) = dim;
                let at = (read + of_row.nrows()).checked_sub(seq);
                match at.filter(|&at| at < of_row.nrows()) {
                    Some(at) => visit(row, of_row.row(at))?,
                    None => return Err(unread(read, seq)),
                }
            }
        }
        Ok(())
    }

    /// The logits `[vocab]` of every row at its `read` position.
    ///
    /// # Errors
    /// As [`Engine::each_logits`].
    pub fn logits(&self, rows: &[Row<'_>]) -> Result<Vec<Array1<f32>>> {
        let mut all = vec![Array1::default(0); rows.len()];
        self.each_logits(rows, |row, logits| {
            all[row] = logits.to_owned();
            Ok(())
        })?;
        Ok(all)
    }

    /// Activations of every tapped site: one list for each prompt, in the order of the taps.
    ///
    /// Each is `[seq, d]`. What `hook_z` has for a position are its heads side by side, `head × d_head`; what
    /// `hook_pattern` has are the weights of that query, `head × key`.
    ///
    /// # Errors
    /// A run fails.
    pub fn activations(&self, prompts: &[&[i64]]) -> Result<Vec<Vec<Array2<f32>>>> {
        self.outputs(prompts, &self.taps.iter().collect::<Vec<_>>())
    }

    /// Outputs `[seq, k]` of every detector head: one list for each prompt, in the order of the heads.
    ///
    /// # Errors
    /// A run fails.
    pub fn head_scores(&self, prompts: &[&[i64]]) -> Result<Vec<Vec<Array2<f32>>>> {
        self.outputs(prompts, &self.heads.iter().collect::<Vec<_>>())
    }

    /// As [`Engine::activations`], with the logits `[seq, vocab]` last.
    ///
    /// # Errors
    /// A run fails.
    pub fn activations_and_logits(&self, prompts: &[&[i64]]) -> Result<Vec<Vec<Array2<f32>>>> {
        self.outputs(
            prompts,
            &self.taps.iter().chain([&self.logits]).collect::<Vec<_>>(),
        )
    }

    /// Sites that are tapped, in the order of [`Engine::activations`].
    pub fn taps(&self) -> impl Iterator<Item = SiteName> + '_ {
        self.taps.iter().filter_map(|port| port.site)
    }

    fn outputs(&self, prompts: &[&[i64]], ports: &[&Port]) -> Result<Vec<Vec<Array2<f32>>>> {
        let mut all: Vec<Vec<Array2<f32>>> = vec![Vec::with_capacity(ports.len()); prompts.len()];
        if ports.is_empty() {
            return Ok(all);
        }
        let names: Vec<&str> = ports.iter().map(|port| port.output.as_str()).collect();
        let lengths: Vec<Vec<i64>> = prompts.iter().map(|ids| ids.to_vec()).collect();
        let longest = lengths.iter().map(Vec::len).max().unwrap_or(0);
        for batch in batches(&lengths, false, self.max_tokens(longest)) {
            interrupt::check()?;
            let dim = batch.ids.dim();
            let feed = self.feed(batch.ids, &vec![None; batch.rows.len()])?;
            let outputs = self.session.run(&feed, &names)?;
            for port in ports {
                let values = rows::output(&outputs, &port.output)?;
                for (place, &row) in batch.rows.iter().enumerate() {
                    all[row].push(if port.output == self.logits.output {
                        rows::logits(values, place, port.layout, dim)?
                    } else {
                        rows::by_position(values, place, port.layout, dim)?
                    });
                }
            }
        }
        Ok(all)
    }

    fn feed(&self, ids: Array2<i64>, edits: &[Option<&Edit>]) -> Result<Feed> {
        let (n_rows, seq) = ids.dim();
        let mut fed = EditFeed::new(&self.writes, &self.values, n_rows, seq);
        for (row, edit) in edits.iter().enumerate() {
            if let Some(edit) = edit {
                fed.set(row, edit)?;
            }
        }
        Ok(Feed {
            mask: Array2::ones(ids.dim()),
            ids,
            extra: fed.finish(),
        })
    }
}

fn unread(position: usize, seq: usize) -> Fault {
    if position >= seq {
        return rows::outside("reading logits", position, seq);
    }
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
