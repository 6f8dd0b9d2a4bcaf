//! `candor train sae`: captures activations through the runtime, learns a sparse autoencoder from them and writes it in
//! SAELens's format.

mod capture;
mod folder;
mod learn;
mod shards;
mod texts;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use serde_json::{Map, Value, json};

pub use self::learn::{Every, Line};
pub use self::texts::{Own, Text};

use self::folder::{Folder, Identity, Manifest};
use self::learn::{Learning, jsonl};
use super::{Progress, SpliceLoss, Subject, splice_loss};
use crate::detect::Sae;
use crate::detect::sae::Measured;
use crate::detect::sae::train::{Described, Settings};
use crate::fault::{Fault, Result};
use crate::model::SiteName;
use crate::run::Runtime;

/// Bytes of a shard where nothing else is said.
const SHARD: usize = 128 << 20;
/// Metrics, beside the weights.
const METRICS: &str = "training.jsonl";

/// What the model reads.
pub enum Source {
    /// Texts, and what they are called.
    Given(Vec<Text>, String),
    /// Texts that it writes itself.
    Own(Own),
}

/// How long a training takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So many steps.
    Steps(u64),
    /// As many whole batches as these rows fill, with repetition.
    Samples(u64),
    /// So many passes over the rows.
    Passes(u64),
}

/// What to train.
pub struct SaeRequest<'a> {
    /// Where activations are read.
    pub site: SiteName,
    /// What is read.
    pub source: Source,
    /// How it is learnt, given the number of steps.
    pub settings: &'a dyn Fn(u64) -> Settings,
    /// How long.
    pub length: Length,
    /// Rows of a step.
    pub batch: usize,
    /// Share of the texts that is held out.
    pub held_out: f64,
    /// Rows of a shard; 128 MiB if not given.
    pub shard_size: Option<usize>,
    /// Steps between two lines of metrics, and between two checkpoints; a twentieth and a tenth of the training if not given.
    pub every: (Option<u64>, Option<u64>),
    /// The folder for activations and checkpoints; a temporary one beside the result if not given.
    pub work: Option<PathBuf>,
    /// Whether to go on from the checkpoint in the work folder.
    pub resume: bool,
    /// Seeds texts, shards and weights.
    pub seed: u64,
    /// The folder to write.
    pub out: &'a Path,
}

/// A trained SAE, measured on the rows held out.
#[derive(Debug)]
pub struct TrainedSae {
    /// On the rows held out, as the saved SAE encodes them.
    pub measured: Measured,
    /// What its reconstruction costs the model on held-out texts; `None` at a site that cannot be written.
    pub loss: Option<SpliceLoss>,
    /// Features that were not active for the window at the end of the training.
    pub dead: usize,
    /// Rows to learn from.
    pub rows: usize,
    /// Steps.
    pub steps: u64,
    /// Seconds that capturing and training took; none are written, for a file must not depend on them.
    pub seconds: (f64, f64),
}

/// Captures, trains, measures and writes. Nothing stays at `out` unless all of it does.
///
/// # Errors
/// The model has no such site, there is too little text, activations are not finite or all the same, settings mean nothing, the work
/// folder is of something else, or a run or a write fails.
pub fn train_sae(
    runtime: &Runtime,
    subject: &Subject,
    request: &SaeRequest<'_>,
    progress: &dyn Progress,
) -> Result<TrainedSae> {
    let (d_in, flattens_heads) = capture::width(subject, request.site)?;
    // What is wrong whatever the number of rows is said before they are captured.
    (request.settings)(u64::MAX).check(d_in)?;
    let parent = place(request.out)?;
    let scratch = tempfile::Builder::new()
        .prefix(".candor-sae-")
        .tempdir_in(parent)
        .map_err(|error| unwritable(request.out, &error))?;
    let own_work = scratch.path().join("work");
    let folder = Folder::open(request.work.as_deref().unwrap_or(&own_work))?;
    let begun = Instant::now();
    let manifest = captured(runtime, subject, request, d_in, &folder, progress)?;
    let captured = begun.elapsed().as_secs_f64();

    let steps = steps(request, manifest.rows());
    let settings = (request.settings)(steps);
    settings.check(d_in)?;
    let described = Described {
        scale: manifest.scale(),
        flattens_heads,
        metadata: metadata(subject, request, &manifest, &settings),
    };
    let (log, checkpoint) = request.every;
    let learning = Learning {
        folder: &folder,
        manifest: &manifest,
        settings: &settings,
        described: &described,
        every: Every {
            log: log.unwrap_or(steps / 20).max(1),
            checkpoint: checkpoint.unwrap_or(steps / 10).max(1),
        },
        lasting: request.work.is_some(),
    };
    let begun = Instant::now();
    let learnt = learning.run(request.resume, progress)?;
    let seconds = (captured, begun.elapsed().as_secs_f64());

    let staged = scratch.path().join("sae");
    let disk = |error: std::io::Error| unwritable(request.out, &error);
    fs::create_dir(&staged).map_err(disk)?;
    for (name, bytes) in learnt.trainer.export(&described)? {
        fs::write(staged.join(name), bytes).map_err(disk)?;
    }
    fs::write(staged.join(METRICS), jsonl(&learnt.lines)?).map_err(disk)?;
    // What is measured is what was written.
    let sae = Sae::open(&staged)?;
    let measured = sae.measure(folder.held_out(&manifest)?.view())?;
    let loss = loss(runtime, subject, request.site, &manifest.to_splice, &sae);
    fs::rename(&staged, request.out).map_err(disk)?;
    Ok(TrainedSae {
        measured,
        loss,
        dead: learnt.trainer.dead().iter().filter(|dead| **dead).count(),
        rows: manifest.rows(),
        steps,
        seconds,
    })
}

/// A site may be one that can be read and not written, and texts may hold no token that follows another: the SAE is none the worse.
fn loss(
    runtime: &Runtime,
    subject: &Subject,
    site: SiteName,
    texts: &[Text],
    sae: &Sae,
) -> Option<SpliceLoss> {
    let prompts: Vec<Vec<i64>> = texts.iter().map(|text| text.ids.clone()).collect();
    let keep: Vec<Vec<bool>> = texts.iter().map(|text| text.keep.clone()).collect();
    let loss = splice_loss(
        runtime,
        &subject.model,
        &subject.arch,
        site,
        site,
        &prompts,
        &mut |x| sae.decode(sae.encode(x)?.view(), x),
        &keep,
    );
    loss.inspect_err(|fault| tracing::warn!("no loss with the reconstruction: {fault}"))
        .ok()
}

/// The folder that `out` is to lie in, and that there is nothing there yet.
fn place(out: &Path) -> Result<&Path> {
    if out.exists() {
        return Err(Fault::usage(
            "preparing the SAE's folder",
            format!("`{}` is there already", out.display()),
        )
        .expected("a folder that does not exist yet")
        .hint("remove it first, or give another --out"));
    }
    crate::files::writable(out)?;
    let parent = out.parent().filter(|parent| *parent != Path::new(""));
    Ok(parent.unwrap_or(Path::new(".")))
}

fn captured(
    runtime: &Runtime,
    subject: &Subject,
    request: &SaeRequest<'_>,
    d_in: usize,
    folder: &Folder,
    progress: &dyn Progress,
) -> Result<Manifest> {
    let data = match &request.source {
        Source::Given(texts, _) => texts::digest_of(texts),
        Source::Own(own) => format!(
            "{} tokens of its own in texts of {} at temperature {}",
            own.tokens, own.context, own.temperature
        ),
    };
    let identity = Identity {
        model: subject
            .files
            .iter()
            .map(|file| file.sha256.clone())
            .collect(),
        tokenizer: subject.tokenizer.sha256().to_owned(),
        site: request.site.to_string(),
        data,
        held_out: request.held_out,
        shard_size: request
            .shard_size
            .unwrap_or(SHARD / size_of::<half::bf16>() / d_in)
            .max(1),
        seed: request.seed,
    };
    if let Some(manifest) = folder.captured(&identity)? {
        return Ok(manifest);
    }
    let written;
    let texts = match &request.source {
        Source::Given(texts, _) => texts,
        Source::Own(own) => {
            written = texts::write(runtime, subject, *own, request.seed, progress)?;
            &written
        }
    };
    capture::capture(
        runtime,
        subject,
        request.site,
        texts,
        folder,
        identity,
        progress,
    )
}

fn steps(request: &SaeRequest<'_>, rows: usize) -> u64 {
    let batch = request.batch.max(1) as u64;
    match request.length {
        Length::Steps(steps) => steps,
        Length::Samples(samples) => samples / batch,
        Length::Passes(passes) => passes.saturating_mul(rows as u64) / batch,
    }
}

/// `metadata` of `cfg.json`: SAELens's own fields, and under `candor` how the SAE is made again.
fn metadata(
    subject: &Subject,
    request: &SaeRequest<'_>,
    manifest: &Manifest,
    settings: &Settings,
) -> Map<String, Value> {
    let (texts, held_out) = manifest.texts;
    let source = match &request.source {
        Source::Given(_, name) => json!({ "texts": name, "digest": manifest.identity.data }),
        Source::Own(own) => json!({
            "written_by_the_model": own.tokens,
            "temperature": own.temperature,
            "context_size": own.context,
        }),
    };
    let fields = json!({
        "model_name": subject.name,
        "hook_name": request.site.to_string(),
        "hook_head_index": Value::Null,
        "exclude_special_tokens": true,
        "prepend_bos": true,
        "candor": {
            "model_sha256": subject.sha256(),
            "data": source,
            "texts": texts,
            "texts_held_out": held_out,
            "rows": manifest.rows(),
            "scaled_by": manifest.scale(),
            "training": settings.to_json(),
        },
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

fn unwritable(out: &Path, error: &std::io::Error) -> Fault {
    Fault::failed(format!("writing `{}`", out.display()), error.to_string())
        .expected("a folder that can be written and has room")
        .hint("nothing was left half-written; free space or name another place")
}
