//! `candor detectors import`: an SAE or transcoder of any format, as a detector in SAELens's.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::detect::card::{MadeOn, Source};
use crate::detect::sae::{Asked, Opened};
use crate::detect::{Aggregation, Card, Detector, DetectorKind, FileDigest, Loaded, Sae, Span};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Model, SiteName};

/// What is to be imported, and what its files do not say.
pub struct Import<'a> {
    /// A folder, or a weights file.
    pub source: &'a Path,
    /// Sites that the files do not name.
    pub asked: Asked,
    /// Name of the detector.
    pub id: String,
    /// What rules refer to it by.
    pub role: String,
    /// Tokens that it reads.
    pub span: Span,
    /// How token scores become one score.
    pub aggregation: Aggregation,
    /// What a high score means.
    pub positive: String,
    /// The model that it is to be used on, and its name.
    pub model: Option<(String, PathBuf)>,
}

/// Opens the files and makes a detector of them, without features on its card: `candor detectors find` chooses those.
///
/// # Errors
/// Files that cannot be read, no site, or a model without the site or with an activation of another width.
pub fn import(request: &Import<'_>) -> Result<Detector> {
    let Opened { sae, format, files } = Opened::open(request.source, &request.asked)?;
    let site = site_of(&sae, request.source)?;
    let model = match &request.model {
        Some((name, path)) => {
            let model = Model::open(path)?;
            fits(&sae, site, request.source, &Architecture::find(&model)?)?;
            let digest = model.digests()?.into_iter().next();
            MadeOn {
                name: name.clone(),
                sha256: digest.map(|file| file.sha256).unwrap_or_default(),
            }
        }
        None => MadeOn {
            name: sae.model_name().unwrap_or("unknown").to_owned(),
            sha256: String::new(),
        },
    };
    let files = files
        .iter()
        .map(|path| FileDigest::of_file(path, request.source));
    let card = Card {
        id: request.id.clone(),
        role: request.role.clone(),
        kind: DetectorKind::Sae,
        site,
        module: None,
        d_in: sae.d_in(),
        weights: "sae_weights.safetensors".to_owned(),
        weights_sha256: BTreeMap::new(),
        span: request.span,
        aggregation: request.aggregation,
        positive: request.positive.clone(),
        model,
        calibration: None,
        trained_on: None,
        declares: None,
        features: Vec::new(),
        baselines: None,
        limits: Vec::new(),
        source: Some(Source {
            format: format.name.to_owned(),
            files: files.collect::<Result<_>>()?,
        }),
    };
    Ok(Detector {
        card,
        folder: request.source.to_owned(),
        weights: Loaded::Sae(Box::new(sae)),
        digests: Vec::new(),
    })
}

fn doing(source: &Path) -> String {
    format!("importing `{}`", source.display())
}

fn site_of(sae: &Sae, source: &Path) -> Result<SiteName> {
    let hook = sae.config().hook_name.as_deref();
    let site = hook.and_then(|hook| hook.parse().ok());
    site.ok_or_else(|| {
        let found = hook.map_or_else(
            || "files that name no site".to_owned(),
            |hook| format!("the hook `{hook}`, which is no site of Candor's"),
        );
        Fault::usage(doing(source), found)
            .expected("the site that it reads, such as `blocks.3.hook_resid_post`")
            .hint("name it with `--site`; `candor inspect MODEL` lists the sites of a model")
    })
}

/// Whether the model has the sites, in the widths of the weights.
fn fits(sae: &Sae, site: SiteName, source: &Path, architecture: &Architecture) -> Result<()> {
    let out = sae.config().hook_name_out.as_deref();
    let out = out.filter(|_| sae.transcodes()).map(str::parse::<SiteName>);
    let sites = [(Some(site), sae.d_in()), (out.transpose()?, sae.d_out())];
    for (name, width) in sites {
        let Some(name) = name else { continue };
        let site = architecture.site(name).ok_or_else(|| {
            let why = architecture.why_absent(name);
            let why = why.map_or_else(String::new, |why| format!(": {why}"));
            Fault::usage(doing(source), format!("no site `{name}` in the model{why}"))
                .expected("a site that the model has")
                .hint("`candor inspect MODEL` lists the sites of a model")
        })?;
        if site.layout.per_position() != Some(width) {
            return Err(Fault::usage(
                doing(source),
                format!("weights for activations of width {width}"),
            )
            .expected(format!("the width of `{name}`, {}", site.shape.join(" × ")))
            .hint("it was trained on another model or at another site"));
        }
    }
    Ok(())
}
