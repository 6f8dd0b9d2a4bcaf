//! `candor detectors import`

use std::path::PathBuf;

use clap::Args;

use super::describe;
use crate::cli::{name_of, terminal};
use crate::detect::Loaded;
use crate::detect::sae::Asked;
use crate::fault::Result;
use crate::lab::{Import, import};
use crate::model::SiteName;

/// `candor detectors import`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// A folder, or a weights file with its config beside it.
    pub source: PathBuf,
    /// The detector's folder, which must not be there yet.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Name of the detector [default: the name of its folder].
    #[arg(long)]
    pub id: Option<String>,
    /// What its features are for; rules refer to it.
    #[arg(long, default_value = "features")]
    pub role: String,
    /// The site that it reads, where the files do not name it.
    #[arg(long)]
    pub site: Option<String>,
    /// The site that a transcoder writes, where the files do not name it.
    #[arg(long, value_name = "SITE")]
    pub site_out: Option<String>,
    /// The model that it is to be used on: the sites are looked up in it and their widths checked.
    #[arg(long, value_name = "ONNX")]
    pub model: Option<PathBuf>,
    /// Tokens that are read.
    #[arg(long, default_value = "prompt_last")]
    pub span: String,
    /// How the scores of tokens become one.
    #[arg(long, default_value = "max")]
    pub aggregation: String,
    /// What a high score means.
    #[arg(long, default_value = "the listed features are more active")]
    pub positive: String,
}

pub fn run(args: &ImportArgs) -> Result<()> {
    let site = |name: &Option<String>| name.as_deref().map(str::parse::<SiteName>).transpose();
    let named = args.out.file_name();
    let named = named.map(|name| name.to_string_lossy().into_owned());
    let detector = import(&Import {
        source: &args.source,
        asked: Asked {
            site: site(&args.site)?,
            site_out: site(&args.site_out)?,
        },
        id: args.id.clone().or(named).unwrap_or_default(),
        role: args.role.clone(),
        span: args.span.parse()?,
        aggregation: args.aggregation.parse()?,
        positive: args.positive.clone(),
        model: args.model.clone().map(|path| (name_of(&path), path)),
    })?;
    detector.write(&args.out)?;
    terminal::say(&describe(&detector));
    if let (Loaded::Sae(sae), Some(source)) = (&detector.weights, &detector.card.source) {
        let config = sae.config();
        terminal::say(&format!(
            "  {} from {}, {} features of width {}{} → {}",
            config.architecture,
            source.format,
            sae.d_sae(),
            sae.d_in(),
            if sae.transcodes() {
                format!(" onto width {}", sae.d_out())
            } else {
                String::new()
            },
            args.out.display()
        ));
        if !sae.in_saelens() {
            terminal::say(&format!(
                "  SAELens has no architecture `{}`: Candor alone reads these files",
                config.architecture
            ));
        }
    }
    Ok(())
}
