//! Which approved model a model is held against.

use crate::fault::{Fault, Result};
use crate::report::{AuditReport, ModelAudit};

/// The counterpart of each model: the one that `named` names, else the one of its name, else, where both sides have a single
/// model, that one. `None` where there is none.
///
/// # Errors
/// `named` names a model that is not there or one model twice, or no model has a counterpart.
pub(super) fn counterparts<'a>(
    models: &[&str],
    approved: &'a AuditReport,
    named: &[(String, String)],
) -> Result<Vec<Option<&'a ModelAudit>>> {
    const DOING: &str = "pairing models with approved ones";
    let old: Vec<&str> = approved.models.iter().map(|m| m.name.as_str()).collect();
    let absent = |what: String, there: &[&str]| {
        Fault::usage(DOING, what).expected(format!("one of {}", there.join(", ")))
    };
    for (index, (new, against)) in named.iter().enumerate() {
        if !models.contains(&new.as_str()) {
            return Err(absent(format!("no model `{new}` in this audit"), models));
        }
        if !old.contains(&against.as_str()) {
            return Err(absent(
                format!("no model `{against}` in the baseline"),
                &old,
            ));
        }
        if named.iter().take(index).any(|(other, _)| other == new) {
            return Err(Fault::usage(DOING, format!("two counterparts of `{new}`"))
                .expected("one for each model"));
        }
    }
    let of = |name: &str| approved.models.iter().find(|model| model.name == name);
    let counterparts: Vec<_> = models
        .iter()
        .map(|name| {
            if let Some((_, against)) = named.iter().find(|(new, _)| new == name) {
                return of(against);
            }
            of(name).or(match (models, approved.models.as_slice()) {
                ([_], [only]) => Some(only),
                _ => None,
            })
        })
        .collect();
    if counterparts.iter().all(Option::is_none) {
        let found = format!("the models {}, of which it has none", models.join(", "));
        return Err(
            absent(found, &old).hint("name the counterpart with `--baseline-model MODEL=APPROVED`")
        );
    }
    Ok(counterparts)
}

/// Whether both models are the same files, byte for byte.
pub(super) fn same_files(model: &ModelAudit, old: &ModelAudit) -> bool {
    let digests = |model: &ModelAudit| {
        let files = model.files.iter();
        let mut digests: Vec<String> = files.map(|file| file.sha256.clone()).collect();
        digests.sort();
        digests
    };
    !model.files.is_empty() && digests(model) == digests(old)
}
