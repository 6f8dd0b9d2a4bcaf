//! Runs many forward passes, each with at most one edit of the residual stream, in batches of equal length.

use std::path::Path;

use ndarray::{Array1, Array2, Array3, ArrayD, ArrayView1, Axis, Ix3, s};

use crate::fault::{Fault, Result};
use crate::instrument::{Head, Plan, Write, instrument};
use crate::interrupt;
use crate::model::{Architecture, Model, SiteName};
use crate::run::{Feed, Runtime, Session, Tensor, batches};

const VALUE: &str = "value";
/// Bytes of activations and logits that one batch may hold.
const BATCH_BYTES: usize = 128 << 20;

/// An instrumented model on the runtime: every site of `writes` can be overwritten, every site of `taps` read.
pub struct Engine {
    session: Session,
    arch: Architecture,
    writes: Vec<WritePort>,
    value_input: Option<String>,
    taps: Vec<(SiteName, String)>,
    heads: Vec<(String, String)>,
    max_tokens: usize,
}

struct WritePort {
    site: SiteName,
    mask: String,
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

/// Positions of one site and the activations `[d_model]` that they are given.
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
        let plan = Plan {
            taps: taps.to_vec(),
            heads,
            writes: writes
                .iter()
                .map(|&site| Write::Replace {
                    site,
                    value: VALUE.to_owned(),
                })
                .collect(),
        };
        let instrumented = instrument(model, arch, &plan)?;
        let session = Session::open(
            runtime,
            &instrumented.bytes,
            Path::new(&instrumented.folder),
            arch,
        )?;
        let manifest = instrumented.manifest;
        let token_bytes = (arch.vocab_size + arch.d_model * (2 + taps.len())) * size_of::<f32>();
        Ok(Self {
            session,
            arch: arch.clone(),
            writes: manifest
                .masks
                .into_iter()
                .map(|(site, mask)| WritePort { site, mask })
                .collect(),
            value_input: manifest.inputs.into_iter().next().map(|(name, _)| name),
            taps: manifest.taps,
            heads: manifest.heads,
            max_tokens: (BATCH_BYTES / token_bytes).max(1),
        })
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
        for batch in batches(&lengths, false, self.max_tokens) {
            interrupt::check()?;
            let edits: Vec<Option<&Edit>> = batch
                .rows
                .iter()
                .map(|&row| rows[row].edit.as_ref())
                .collect();
            let feed = self.feed(batch.ids, &edits)?;
            let outputs = self.session.run(&feed, &[&self.arch.logits])?;
            let logits = rank3(&outputs, &self.arch.logits)?;
            for (place, &row) in batch.rows.iter().enumerate() {
                let read = rows[row].read;
                if read >= logits.len_of(Axis(1)) {
                    return Err(outside("reading logits", read, logits.len_of(Axis(1))));
                }
                visit(row, logits.slice(s![place, read, ..]))?;
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

    /// Activations `[seq, d_model]` of every tapped site: one list for each prompt, in the order of the taps.
    ///
    /// # Errors
    /// A run fails.
    pub fn activations(&self, prompts: &[&[i64]]) -> Result<Vec<Vec<Array2<f32>>>> {
        self.outputs(
            prompts,
            &self
                .taps
                .iter()
                .map(|(_, name)| name.as_str())
                .collect::<Vec<_>>(),
        )
    }

    /// Outputs `[seq, k]` of every detector head: one list for each prompt, in the order of the heads.
    ///
    /// # Errors
    /// A run fails.
    pub fn head_scores(&self, prompts: &[&[i64]]) -> Result<Vec<Vec<Array2<f32>>>> {
        self.outputs(
            prompts,
            &self
                .heads
                .iter()
                .map(|(_, name)| name.as_str())
                .collect::<Vec<_>>(),
        )
    }

    /// As [`Engine::activations`], with the logits `[seq, vocab]` last.
    ///
    /// # Errors
    /// A run fails.
    pub fn activations_and_logits(&self, prompts: &[&[i64]]) -> Result<Vec<Vec<Array2<f32>>>> {
        let taps = self.taps.iter().map(|(_, name)| name.as_str());
        self.outputs(
            prompts,
            &taps.chain([self.arch.logits.as_str()]).collect::<Vec<_>>(),
        )
    }

    /// Sites that are tapped, in the order of [`Engine::activations`].
    pub fn taps(&self) -> impl Iterator<Item = SiteName> + '_ {
        self.taps.iter().map(|(site, _)| *site)
    }

    fn outputs(&self, prompts: &[&[i64]], names: &[&str]) -> Result<Vec<Vec<Array2<f32>>>> {
        let mut all: Vec<Vec<Array2<f32>>> = vec![Vec::with_capacity(names.len()); prompts.len()];
        if names.is_empty() {
            return Ok(all);
        }
        let lengths: Vec<Vec<i64>> = prompts.iter().map(|ids| ids.to_vec()).collect();
        for batch in batches(&lengths, false, self.max_tokens) {
            interrupt::check()?;
            let feed = self.feed(batch.ids, &vec![None; batch.rows.len()])?;
            let outputs = self.session.run(&feed, names)?;
            for name in names {
                let values = rank3(&outputs, name)?;
                for (place, &row) in batch.rows.iter().enumerate() {
                    all[row].push(values.index_axis(Axis(0), place).to_owned());
                }
            }
        }
        Ok(all)
    }

    fn feed(&self, ids: Array2<i64>, edits: &[Option<&Edit>]) -> Result<Feed> {
        let (n_rows, seq) = ids.dim();
        let mut extra = Vec::with_capacity(self.writes.len() + 1);
        if let Some(name) = &self.value_input {
            let mut values = Array3::<f32>::zeros((n_rows, seq, self.arch.d_model));
            let mut masks: Vec<Array3<bool>> =
                vec![Array3::from_elem((n_rows, seq, 1), false); self.writes.len()];
            for (row, edit) in edits.iter().enumerate() {
                let Some(edit) = edit else { continue };
                let port = self
                    .writes
                    .iter()
                    .position(|port| port.site == edit.site)
                    .ok_or_else(|| {
                        Fault::usage("patching", format!("the site `{}`", edit.site))
                            .expected("a site that was opened for writing")
                    })?;
                for (position, value) in &edit.values {
                    if *position >= seq {
                        return Err(outside("patching", *position, seq));
                    }
                    values.slice_mut(s![row, *position, ..]).assign(value);
                    masks[port][[row, *position, 0]] = true;
                }
            }
            extra.push((name.clone(), Tensor::F32(values.into_dyn())));
            for (port, mask) in self.writes.iter().zip(masks) {
                extra.push((port.mask.clone(), Tensor::Bool(mask.into_dyn())));
            }
        }
        Ok(Feed {
            mask: Array2::ones(ids.dim()),
            ids,
            extra,
        })
    }
}

fn rank3(
    outputs: &std::collections::BTreeMap<String, ArrayD<f32>>,
    name: &str,
) -> Result<Array3<f32>> {
    let array = outputs.get(name).ok_or_else(|| {
        Fault::failed(
            "reading the runtime's outputs",
            format!("no output `{name}`"),
        )
    })?;
    array.clone().into_dimensionality::<Ix3>().map_err(|_| {
        Fault::failed(
            format!("reading the output `{name}`"),
            format!("shape {:?}", array.shape()),
        )
        .expected("three dimensions: batch, sequence, width")
    })
}

fn outside(doing: &str, position: usize, seq: usize) -> Fault {
    Fault::usage(doing, format!("position {position}"))
        .expected(format!("a position below {seq}, the prompt's length"))
}
