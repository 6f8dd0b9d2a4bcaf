//! Which sites a glob means.

use globset::{GlobBuilder, GlobMatcher};

use crate::fault::{Fault, Result};
use crate::model::{Architecture, ModulePath, Point, SiteName};

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
            let fault = Fault::usage(doing(), "no site of this model");
            return Err(match missing(arch, &matcher) {
                Some(why) => Fault {
                    found: format!("{}: {why}", fault.found),
                    ..fault
                },
                None => fault.hint("quote the glob, so that the shell leaves it alone"),
            }
            .expected(format!("one of {}", listed(arch))));
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
fn missing(arch: &Architecture, matcher: &GlobMatcher) -> Option<String> {
    let absent = arch
        .absent
        .iter()
        .find(|absent| matcher.is_match(absent.name.to_string()))?;
    Some(format!(
        "`{}` is not there, because {}",
        absent.name, absent.why
    ))
}

/// The sites in words: those of the blocks once for all layers that have them.
fn listed(arch: &Architecture) -> String {
    let mut kinds: Vec<(Point, Vec<usize>)> = Vec::new();
    for site in &arch.sites {
        let layer = site.name.layer;
        match kinds
            .iter_mut()
            .find(|(point, _)| *point == site.name.point)
        {
            Some((_, layers)) => layers.extend(layer),
            None => kinds.push((site.name.point, layer.into_iter().collect())),
        }
    }
    // The kinds that the same layers have, in the order of the first.
    let mut groups: Vec<(Vec<usize>, Vec<String>)> = Vec::new();
    for (point, layers) in kinds {
        let name = layers.first().map_or_else(
            || SiteName::outside(point).to_string(),
            |&layer| SiteName::block(layer, point).hook().to_owned(),
        );
        match groups
            .iter_mut()
            .find(|(other, _)| !layers.is_empty() && *other == layers)
        {
            Some((_, names)) => names.push(name),
            None => groups.push((layers, vec![name])),
        }
    }
    let words = groups.iter().map(|(layers, names)| {
        let names = names.join(", ");
        match layers.as_slice() {
            [] => names,
            [only] => format!("blocks.{only}.({names})"),
            [first, .., last] if last - first + 1 == layers.len() => {
                format!("blocks.L.({names}) for L from {first} to {last}")
            }
            some => {
                let some: Vec<String> = some.iter().map(ToString::to_string).collect();
                format!("blocks.L.({names}) for L of {}", some.join(", "))
            }
        }
    });
    words.collect::<Vec<_>>().join("; ")
}

fn glob(text: &str, doing: &dyn Fn() -> String) -> Result<GlobMatcher> {
    let glob = GlobBuilder::new(text).build().map_err(|error| {
        Fault::usage(doing(), error.to_string())
            .expected("a glob such as `blocks.*.hook_resid_pre`")
    })?;
    Ok(glob.compile_matcher())
}
