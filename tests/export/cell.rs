//! What was measured of one model.

use std::collections::BTreeMap;

use super::fixture::{Compare, Fixture};

/// The columns of the table, in the order of the model; the last two are the patches.
pub const COLUMNS: [(&str, &str); 12] = [
    ("hook_embed", "embed"),
    ("hook_resid_pre", "resid_pre"),
    ("hook_attn_out", "attn_out"),
    ("attn.hook_z", "z"),
    ("attn.hook_pattern", "pattern"),
    ("hook_resid_mid", "resid_mid"),
    ("hook_mlp_out", "mlp_out"),
    ("hook_resid_post", "resid_post"),
    ("ln_final.hook_normalized", "ln_final"),
    ("logits", "logits"),
    (SELF, "own value"),
    (SWAP, "other prompt"),
];
/// A site's own value written to it.
pub const SELF: &str = "patch.self";
/// The other prompt's `resid_pre` written at every position of a layer.
pub const SWAP: &str = "patch.swap";

/// How the reason of a model that the runtime does not run begins.
pub const RUNTIME: &str = "the runtime: ";

/// One kind of site of one model: the largest of all layers.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    /// Difference.
    Measured(f32),
    /// The model has no such site, or it cannot be reached; the reason.
    Absent(String),
    /// The reference has it and the model lists neither the site nor a reason.
    Missing,
    /// Neither the reference nor the model has it.
    Nothing,
}

/// One model.
pub struct Row {
    pub name: String,
    pub group: String,
    pub architecture: String,
    pub form: String,
    pub compare: Compare,
    pub committed: bool,
    /// Why the model was refused as a whole, or the cells by column.
    pub outcome: Result<BTreeMap<&'static str, Cell>, String>,
    /// What went wrong besides numbers out of tolerance.
    pub complaints: Vec<String>,
}

impl Row {
    pub fn new(fixture: &Fixture) -> Self {
        Self {
            name: fixture.name.clone(),
            group: fixture.group.clone(),
            architecture: fixture.architecture.clone(),
            form: fixture.form.clone(),
            compare: fixture.compare,
            committed: fixture.committed,
            outcome: Ok(BTreeMap::new()),
            complaints: Vec::new(),
        }
    }

    /// The column of a site's name: layers are left out.
    pub fn column(site: &str) -> Option<&'static str> {
        let hook = site
            .strip_prefix("blocks.")
            .and_then(|rest| rest.split_once('.'))
            .map_or(site, |(_, hook)| hook);
        let found = COLUMNS.iter().find(|(name, _)| *name == hook);
        found.map(|(name, _)| *name)
    }

    /// Keeps the larger difference of a column; a difference beyond what is allowed is a fault of that site.
    pub fn measured(&mut self, column: &'static str, site: &str, off: f32, allowed: f32) {
        // A NaN is beyond everything.
        if off.is_nan() || off > allowed {
            self.complain(format!(
                "{column} of {site} is off by {off:.1e} ({allowed:.0e})"
            ));
        }
        let Ok(cells) = &mut self.outcome else { return };
        match cells.get_mut(column) {
            Some(Cell::Measured(before)) if off.is_nan() || off > *before => *before = off,
            Some(Cell::Measured(_) | Cell::Absent(_) | Cell::Missing) => (),
            Some(Cell::Nothing) | None => {
                cells.insert(column, Cell::Measured(off));
            }
        }
    }

    /// Notes a site that PyTorch has and the model does not list. One layer without it speaks for all.
    pub fn lacks(&mut self, column: &'static str, site: &str, why: Option<String>) {
        if why.is_none() {
            self.complain(format!("{site} is neither listed nor said to be absent"));
        }
        if let Ok(cells) = &mut self.outcome {
            cells.insert(column, why.map_or(Cell::Missing, Cell::Absent));
        }
    }

    /// Notes a place with nothing to compare, unless another layer has something there.
    pub fn without(&mut self, column: &'static str, cell: Cell) {
        if let Ok(cells) = &mut self.outcome {
            cells.entry(column).or_insert(cell);
        }
    }

    pub fn complain(&mut self, text: impl Into<String>) {
        self.complaints.push(text.into());
    }

    /// Everything that must not be.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = self.complaints.clone();
        match (&self.outcome, self.compare) {
            (Err(why), compare) if !matches!(compare, Compare::Refused | Compare::Unrunnable) => {
                faults.push(format!("refused: {why}"));
            }
            (Err(why), Compare::Unrunnable) if !why.starts_with(RUNTIME) => {
                faults.push(format!("refused before it is run: {why}"));
            }
            (Ok(_), Compare::Unrunnable) => faults.push("runs after all".to_owned()),
            (Ok(_), Compare::Refused) => faults.push("opened, and has no stream".to_owned()),
            _ => (),
        }
        faults
            .into_iter()
            .map(|fault| format!("{}: {fault}", self.name))
            .collect()
    }

    /// One line for whoever watches.
    pub fn line(&self) -> String {
        match &self.outcome {
            Err(why) => format!("{}: refused: {why}", self.name),
            Ok(cells) => {
                let cells: Vec<String> = COLUMNS
                    .iter()
                    .filter_map(|(name, short)| {
                        let text = match cells.get(name)? {
                            Cell::Measured(off) => format!("{off:.0e}"),
                            Cell::Absent(_) => "absent".to_owned(),
                            Cell::Missing => "MISSING".to_owned(),
                            Cell::Nothing => return None,
                        };
                        Some(format!("{short} {text}"))
                    })
                    .collect();
                format!("{}: {}", self.name, cells.join("  "))
            }
        }
    }
}
