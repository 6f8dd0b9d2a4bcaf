//! What must hold of a plan before the graph is touched.

use std::collections::{HashMap, HashSet};

use super::plan::{Activation, ExtraInput, Head, Plan, Scores, Write};
use super::sites;
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Layout};

/// # Errors
/// Usage, for the first thing that is wrong with the plan.
pub(super) fn plan(plan: &Plan, arch: &Architecture) -> Result<()> {
    for &site in &plan.taps {
        sites::find(arch, site)?;
    }
    let mut ids = HashSet::new();
    for head in &plan.heads {
        self::head(head, sites::find(arch, head.site)?.layout)?;
        if !ids.insert(head.id.as_str()) {
            return Err(
                of_head(head, "a second head with this id").expected("one id for each head")
            );
        }
    }
    if let Some(joined) = &plan.scores {
        scores(joined, plan)?;
    }
    let mut inputs = HashMap::new();
    for write in &plan.writes {
        let layout = sites::find(arch, write.site())?.layout;
        self::write(write, layout, arch.d_model)?;
        for (name, kind) in write.inputs(layout) {
            let before = *inputs.entry(name).or_insert(kind);
            if before != kind {
                let found = format!("`{name}` as {} and as {}", before.what(), kind.what());
                return Err(
                    Fault::usage(format!("planning a write at `{}`", write.site()), found)
                        .expected("one meaning for each input name"),
                );
            }
        }
    }
    Ok(())
}

fn head(head: &Head, layout: Layout) -> Result<()> {
    let (rows, columns) = head.weight.dim();
    let Some(width) = layout.per_position() else {
        return Err(of_head(
            head,
            "attention weights, of which a prompt has as many as it has positions",
        )
        .expected("a site with a fixed number of values at each position"));
    };
    if rows != width {
        let found = format!("weights [{rows}, {columns}]");
        return Err(of_head(head, found)
            .expected(format!(
                "[{width}, k]: this site of this model is {width} wide"
            ))
            .hint("the detector was made for another model, or its weights are transposed"));
    }
    if head.columns() == 0 {
        return Err(of_head(head, "weights without a column").expected("[d_model, k] with k ≥ 1"));
    }
    let per_column = |what: &str, length: usize| {
        if length == columns {
            return Ok(());
        }
        Err(of_head(head, format!("{length} {what}"))
            .expected(format!("{columns}, one for each column of the weights")))
    };
    per_column("biases", head.bias.len())?;
    if !head
        .weight
        .iter()
        .chain(&head.bias)
        .all(|value| value.is_finite())
    {
        return Err(of_head(
            head,
            "a weight or bias that is not a finite number",
        ));
    }
    if let Activation::JumpRelu(thresholds) = &head.activation {
        per_column("thresholds", thresholds.len())?;
        if thresholds.iter().any(|threshold| threshold.is_nan()) {
            return Err(of_head(head, "a threshold that is not a number"));
        }
    }
    if let Activation::TopK(top) = &head.activation {
        if !(1..=columns).contains(&top.k) {
            return Err(of_head(head, format!("the {} largest of {columns}", top.k))
                .expected(format!("from 1 to {columns}")));
        }
        if let Some(column) = top.columns.iter().find(|&&column| column >= columns) {
            return Err(of_head(head, format!("the column {column} of {columns}"))
                .expected(format!("columns from 0 to {}", columns - 1)));
        }
    }
    Ok(())
}

fn scores(joined: &Scores, plan: &Plan) -> Result<()> {
    let doing = || format!("joining the heads in `{}`", joined.output);
    let columns: usize = plan.heads.iter().map(Head::columns).sum();
    if columns == 0 {
        return Err(Fault::usage(doing(), "no head").expected("at least one"));
    }
    if joined.factors.len() != columns {
        return Err(
            Fault::usage(doing(), format!("{} factors", joined.factors.len()))
                .expected(format!("{columns}, one for each column")),
        );
    }
    if joined.factors.iter().all(|factor| factor.is_finite()) {
        Ok(())
    } else {
        Err(Fault::usage(
            doing(),
            "a factor that is not a finite number",
        ))
    }
}

fn of_head(head: &Head, found: impl Into<String>) -> Fault {
    Fault::usage(
        format!("adding the head `{}` at `{}`", head.id, head.site),
        found,
    )
}

fn write(write: &Write, layout: Layout, d_model: usize) -> Result<()> {
    let what = match write {
        Write::Replace { .. } => return Ok(()),
        Write::Project { .. } => "a projection",
        Write::Add { .. } => "an addition",
    };
    if layout != (Layout::Token { width: d_model }) {
        return Err(Fault::usage(
            format!("planning {what} at `{}`", write.site()),
            "a site that is no vector of the residual stream's width",
        )
        .expected("a site on the stream or on a branch that is added to it"));
    }
    Ok(())
}

impl Write {
    /// The inputs that a write reads besides its mask, by their names in the plan.
    pub(super) fn inputs(&self, layout: Layout) -> Vec<(&str, ExtraInput)> {
        match self {
            Self::Replace { value, .. } => vec![(value, ExtraInput::Value(layout))],
            Self::Project {
                direction, target, ..
            } => {
                vec![
                    (direction, ExtraInput::Direction),
                    (target, ExtraInput::Target),
                ]
            }
            Self::Add { vector, .. } => vec![(vector, ExtraInput::Direction)],
        }
    }
}

impl ExtraInput {
    fn what(self) -> String {
        match self {
            Self::Value(Layout::Token { width }) => format!("a value [batch, seq, {width}]"),
            Self::Value(Layout::Heads { heads, d_head }) => {
                format!("a value [batch, seq, {heads}, {d_head}]")
            }
            Self::Value(Layout::Pattern { heads }) => {
                format!("a value [batch, {heads}, query, key]")
            }
            Self::Direction => "a direction [batch, d_model]".into(),
            Self::Target => "a target [batch]".into(),
        }
    }
}
