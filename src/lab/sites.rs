//! Which sites a glob means.

use globset::{GlobBuilder, GlobMatcher};

use crate::fault::{Fault, Result};
use crate::model::{Architecture, ModulePath, SiteName};

/// The sites of the model that any of the globs matches, in the order of the model. A Hugging Face module path or a layer
/// number means what that module, or layer, puts out.
///
/// # Errors
/// A glob is malformed or matches no site, or the model changes a module's output before it adds it to the stream.
pub fn select_sites(arch: &Architecture, globs: &[String]) -> Result<Vec<SiteName>> {
    let mut chosen = vec![false; arch.sites.len()];
    for glob in globs {
        let doing = || format!("selecting sites by `{glob}`");
        let matcher = self::glob(glob, &doing)?;
        if let Some(path) = ModulePath::parse(glob) {
            for name in modules(arch, &path, &doing)? {
                for (site, chosen) in arch.sites.iter().zip(&mut chosen) {
                    *chosen |= site.name == name;
                }
            }
            continue;
        }
        let mut any = false;
        for (site, chosen) in arch.sites.iter().zip(&mut chosen) {
            if matcher.is_match(site.name.to_string()) {
                *chosen = true;
                any = true;
            }
        }
        if !any {
            let names: Vec<String> = arch
                .sites
                .iter()
                .map(|site| site.name.to_string())
                .collect();
            let why = missing(arch, &matcher);
            return Err(Fault::usage(doing(), format!("no site of this model{why}"))
                .expected(format!("one of {}", names.join(", ")))
                .hint("quote the glob, so that the shell leaves it alone"));
        }
    }
    Ok(arch
        .sites
        .iter()
        .zip(chosen)
        .filter(|(_, chosen)| *chosen)
        .map(|(site, _)| site.name)
        .collect())
}

/// The sites of a module in every layer that the path names.
fn modules(
    arch: &Architecture,
    path: &ModulePath,
    doing: &dyn Fn() -> String,
) -> Result<Vec<SiteName>> {
    let Some(pattern) = &path.layer else {
        return Ok(vec![arch.module(path, None)?.name]);
    };
    let matcher = glob(pattern, doing)?;
    let layers = (0..arch.n_layers).filter(|layer| matcher.is_match(layer.to_string()));
    let found: Vec<SiteName> = layers
        .map(|layer| Ok(arch.module(path, Some(layer))?.name))
        .collect::<Result<_>>()?;
    if found.is_empty() {
        return Err(
            Fault::usage(doing(), format!("no layer `{pattern}` in this model")).expected(format!(
                "a layer from 0 to {}",
                arch.n_layers.saturating_sub(1)
            )),
        );
    }
    Ok(found)
}

/// The reason that the first missing site is missing by which the glob would match.
fn missing(arch: &Architecture, matcher: &GlobMatcher) -> String {
    let absent = arch
        .absent
        .iter()
        .find(|absent| matcher.is_match(absent.name.to_string()));
    absent.map_or_else(String::new, |absent| {
        format!(": `{}` is not there, because {}", absent.name, absent.why)
    })
}

fn glob(text: &str, doing: &dyn Fn() -> String) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(text).build().map_err(|error| {
        Fault::usage(doing(), error.to_string())
            .expected("a glob such as `blocks.*.hook_resid_pre`")
    })?;
    Ok(glob.compile_matcher())
}
