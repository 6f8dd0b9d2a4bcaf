//! File formats of SAEs and transcoders: one file each, one registration line each in [`FORMATS`].
//!
//! A format is recognised by what the files hold, the names and shapes of tensors and the fields of configs, never by what
//! folders are called.

mod circuit_tracer;
mod dictionary_learning;
mod fields;
mod gemma_scope;
mod gemma_scope_2;
mod listing;
mod llama_scope;
mod openai;
mod saelens;
mod sparsify;

use std::path::{Path, PathBuf};

use fields::Fields;
use listing::Listing;
pub(in crate::detect) use saelens::{CONFIG_FILE, SCALER_FILE, WEIGHTS_FILE, read_config};

use super::parts::Parts;
use super::{Sae, SaeConfig};
use crate::detect::tensors;
use crate::fault::{Fault, Result};
use crate::model::{Point, SiteName};

/// Every format that can be read.
pub const FORMATS: &[Format] = &[
    saelens::FORMAT,
    gemma_scope::FORMAT,
    gemma_scope_2::FORMAT,
    sparsify::FORMAT,
    dictionary_learning::FORMAT,
    openai::FORMAT,
    llama_scope::FORMAT,
    circuit_tracer::FORMAT,
];

/// A file format.
#[derive(Debug, Clone, Copy)]
pub struct Format {
    /// Its name on cards and in messages.
    pub name: &'static str,
    /// What it is known by, for people.
    pub about: &'static str,
    /// The Python line that makes a safetensors file of its pickle.
    pub(super) conversion: &'static str,
    /// Whether the files are of this format.
    pub(super) recognise: fn(&Listing) -> bool,
    /// Reads them.
    pub(super) read: fn(&Listing, &Asked) -> Result<Read>,
}

/// What the caller knows and files of some formats do not say.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    /// Which activation is read.
    pub site: Option<SiteName>,
    /// Which activation is reconstructed, if another: the weights are a transcoder's.
    pub site_out: Option<SiteName>,
}

/// What a format has read.
pub(super) struct Read {
    pub(super) parts: Parts,
    /// The files that were read.
    pub(super) files: Vec<PathBuf>,
}

/// An SAE and where it comes from.
#[derive(Debug)]
pub struct Opened {
    /// The SAE.
    pub sae: Sae,
    /// Its format.
    pub format: &'static Format,
    /// The files that were read.
    pub files: Vec<PathBuf>,
}

impl Sae {
    /// Opens an SAE or transcoder of any format: a folder, or a weights file with its config beside it.
    ///
    /// # Errors
    /// Files that are missing, damaged, or of no or several formats; pickles; a config that cannot be computed or that
    /// contradicts the tensors; weights that are not finite or do not fit into memory; a scaling that is not known, as
    /// unfolded weights would give wrong activations silently.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Opened::open(path, &Asked::default())?.sae)
    }

    /// As [`Sae::open`], of SAELens's format alone: what a detector's card can stand beside.
    ///
    /// # Errors
    /// As for [`Sae::open`], or another format.
    pub fn open_saelens(folder: &Path) -> Result<Self> {
        let opened = Opened::open(folder, &Asked::default())?;
        if opened.format.name == saelens::FORMAT.name {
            return Ok(opened.sae);
        }
        Err(Fault::usage(
            format!("opening the SAE `{}`", folder.display()),
            format!("files of the format `{}`", opened.format.name),
        )
        .expected("SAELens's format, beside which a card can be written")
        .hint("`candor detectors import` makes it of them"))
    }
}

impl Opened {
    /// As [`Sae::open`], with what the caller knows.
    ///
    /// # Errors
    /// As for [`Sae::open`].
    pub fn open(path: &Path, asked: &Asked) -> Result<Self> {
        let listing = Listing::of(path)?;
        let format = recognise(&listing)?;
        let Read { mut parts, files } = (format.read)(&listing, asked)?;
        place(&mut parts.config, asked, || listing.doing())?;
        Ok(Self {
            sae: parts.assemble()?,
            format,
            files,
        })
    }
}

/// The format of the files.
///
/// # Errors
/// None or several.
fn recognise(listing: &Listing) -> Result<&'static Format> {
    let recognised: Vec<&Format> = FORMATS
        .iter()
        .filter(|format| (format.recognise)(listing))
        .collect();
    match recognised[..] {
        [one] => Ok(one),
        [] => Err(unknown(listing)),
        _ => {
            let names: Vec<&str> = recognised.iter().map(|format| format.name).collect();
            Err(Fault::usage(listing.doing(), listing.found())
                .expected(format!(
                    "files of one format, not of {}",
                    names.join(" and ")
                ))
                .hint("name the weights file itself, or put the files of each SAE into a folder of its own"))
        }
    }
}

/// Puts what the caller knows into a config that does not say it.
fn place(config: &mut SaeConfig, asked: &Asked, doing: impl Fn() -> String) -> Result<()> {
    if let (Some(site), false) = (asked.site_out, config.transcodes()) {
        return Err(
            Fault::usage(doing(), format!("an SAE that writes to `{site}`"))
                .expected("a transcoder, or no site that it writes to"),
        );
    }
    let sites = [
        (&mut config.hook_name, asked.site),
        (&mut config.hook_name_out, asked.site_out),
    ];
    for (hook, site) in sites {
        let Some(site) = site else { continue };
        let own = hook.as_deref().map(str::parse::<SiteName>);
        if let Some(Ok(own)) = own
            && own != site
        {
            return Err(Fault::usage(doing(), format!("the site `{site}`"))
                .expected(format!("`{own}`, which the files name")));
        }
        *hook = Some(site.to_string());
    }
    if asked.site.is_some_and(|site| site.point == Point::HookZ) {
        config.flattens_heads = true;
    }
    Ok(())
}

/// The refusal of a cross-layer transcoder.
fn cross_layers(listing: &Listing) -> Fault {
    Fault::usage(
        listing.doing(),
        format!(
            "a cross-layer transcoder, whose features write to several layers at once: {}",
            listing.found()
        ),
    )
    .expected("an SAE, or a transcoder with one site that it writes to")
    .hint("the transcoders of single layers that are published beside it can be read")
}

fn no_config(listing: &Listing, file: &str) -> Fault {
    Fault::usage(listing.doing(), listing.found()).expected(format!("`{file}`"))
}

/// What the folder of a file is called.
fn folder_of(path: &Path) -> Option<String> {
    let folder = path.parent()?.file_name()?;
    Some(folder.to_string_lossy().into_owned())
}

fn unknown(listing: &Listing) -> Fault {
    if let Some(pickle) = listing.pickles().first() {
        return tensors::pickle(pickle, openai::FORMAT.conversion);
    }
    if let Some(broken) = listing.broken() {
        return broken.clone();
    }
    if listing.any(|weights| weights.names().any(|name| name.starts_with("attn_layers."))) {
        return Fault::usage(listing.doing(), listing.found())
            .expected("an architecture whose features one activation tells")
            .hint("a temporal SAE cannot be read: its encoder attends over the tokens before");
    }
    let known: Vec<String> = FORMATS
        .iter()
        .map(|format| format!("{}: {}", format.name, format.about))
        .collect();
    Fault::usage(listing.doing(), listing.found()).expected(format!(
        "one of\n            {}",
        known.join("\n            ")
    ))
}
