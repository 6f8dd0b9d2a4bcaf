//! Which sites a glob means.

use globset::GlobBuilder;

use crate::fault::{Fault, Result};
use crate::model::{Architecture, SiteName};

/// The sites of the model that any of the globs matches, in the order of the model.
///
/// # Errors
/// A glob is malformed or matches no site.
pub fn select_sites(arch: &Architecture, globs: &[String]) -> Result<Vec<SiteName>> {
    let mut chosen = vec![false; arch.sites.len()];
    for glob in globs {
        let doing = || format!("selecting sites by `{glob}`");
        let matcher = GlobBuilder::new(glob)
            .build()
            .map_err(|error| {
                Fault::usage(doing(), error.to_string())
                    .expected("a glob such as `blocks.*.hook_resid_pre`")
            })?
            .compile_matcher();
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
            return Err(Fault::usage(doing(), "no site of this model")
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
