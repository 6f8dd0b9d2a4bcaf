//! Whether the parts of a rule fit one another.

use super::conditions::Conditions;
use super::diagnostic::Code;
use super::evidence::Demands;
use super::reader::Reader;
use super::signals::Declared;
use super::tree::Place;
use crate::evidence::AblationKind;
use crate::rules::condition::Comparison;
use crate::rules::rule::{CausalRequest, Needs, Purpose};
use crate::rules::signals::{Demand, Of, Signal};
use crate::rules::words;

/// The parts of one rule.
pub(super) struct Parts<'a> {
    pub place: Place,
    pub needs: &'a Needs,
    pub needs_place: Option<Place>,
    pub declared: &'a Declared,
    pub demands: &'a Demands,
    pub conditions: &'a Conditions<'a>,
}

pub(super) fn check(reader: &mut Reader, parts: &Parts<'_>) {
    unused_signals(reader, parts);
    for (signal, place) in &parts.declared.signals {
        demanded(reader, parts, signal, *place);
        needed(reader, parts, signal, *place);
    }
    unused_demands(reader, parts);
    unused_needs(reader, parts);
    attainable(reader, parts);
}

fn unused_signals(reader: &mut Reader, parts: &Parts<'_>) {
    for (name, place) in &parts.declared.places {
        if !parts.conditions.mentioned.contains(name) {
            let message = format!("no condition uses the signal `{name}`");
            reader.report(*place, Code::UnusedSignal, message);
        }
    }
}

/// The request that a signal reads. A request that was wrong in itself counts as there.
fn reads(signal: &Signal, name: &str, request: Option<&CausalRequest>) -> bool {
    match (signal.kind.demand, request) {
        (Demand::Nothing, _) => false,
        (Demand::Patching { .. }, None) => name == "patching",
        (Demand::Patching { .. }, Some(CausalRequest::Patching { modes, .. })) => {
            signal.params.mode.is_none_or(|mode| modes.contains(&mode))
        }
        (Demand::Ablation { .. }, None) => signal.params.ablation.map(request_of) == Some(name),
        (
            Demand::Ablation { .. },
            Some(
                CausalRequest::DirectionalAblation { role, .. }
                | CausalRequest::FeatureAblation { role, .. },
            ),
        ) => {
            signal.params.ablation.map(request_of) == Some(name)
                && signal.params.role.as_ref() == Some(role)
        }
        _ => false,
    }
}

const fn request_of(kind: AblationKind) -> &'static str {
    match kind {
        AblationKind::Directional => "directional_ablation",
        AblationKind::Feature => "feature_ablation",
    }
}

fn demanded(reader: &mut Reader, parts: &Parts<'_>, signal: &Signal, place: Place) {
    let hint = match signal.kind.demand {
        Demand::Nothing => return,
        Demand::Patching { .. } => match signal.params.mode {
            Some(mode) => format!("add `patching` with the mode `{}`", words::mode(mode)),
            None => "add `patching`".to_owned(),
        },
        Demand::Ablation { .. } => format!(
            "add `{}` of the detector role `{}`",
            signal.params.ablation.map_or("", request_of),
            signal.params.role.as_deref().unwrap_or_default()
        ),
    };
    let met = parts
        .demands
        .iter()
        .any(|(name, request, _)| reads(signal, name, request.as_ref()));
    if !met {
        let message = format!(
            "the signal `{}` ({}) reads an intervention that `evidence` does not demand",
            signal.name, signal.kind.name
        );
        reader.report_with_hint(place, Code::MissingEvidence, message, hint);
    }
}

/// The suites that a signal reads.
fn suites(signal: &Signal) -> Vec<Purpose> {
    let mut suites = Vec::new();
    if signal.kind.contrast || matches!(signal.params.of, Some(Of::Tested | Of::Against)) {
        suites.push(Purpose::Contrast);
    }
    let control_mean = matches!(signal.kind.demand, Demand::Ablation { .. });
    if signal.params.of == Some(Of::Control) || control_mean {
        suites.push(Purpose::Control);
    }
    suites
}

fn needed(reader: &mut Reader, parts: &Parts<'_>, signal: &Signal, place: Place) {
    for purpose in suites(signal) {
        if !parts.needs.suites.contains(&purpose) {
            let message = format!(
                "the signal `{}` ({}) reads a {} suite, which the rule does not say it needs",
                signal.name,
                signal.kind.name,
                purpose.name()
            );
            let hint = format!("add `{}` to `suites` of `needs`", purpose.name());
            reader.report_with_hint(place, Code::MissingNeed, message, hint);
        }
    }
    if let Some(role) = &signal.params.role
        && !parts.needs.detectors.contains(role)
    {
        let message = format!(
            "the signal `{}` ({}) reads a detector of the role `{role}`, which the rule does not say it needs",
            signal.name, signal.kind.name
        );
        let hint = format!("add `{{role: {role}}}` to `detectors` of `needs`");
        reader.report_with_hint(place, Code::MissingNeed, message, hint);
    }
}

fn unused_demands(reader: &mut Reader, parts: &Parts<'_>) {
    for (name, request, place) in parts.demands {
        let used = parts
            .declared
            .signals
            .iter()
            .any(|(signal, _)| reads(signal, name, request.as_ref()));
        if request.is_some() && !used {
            let message = format!("no signal reads the `{name}` that `evidence` demands");
            reader.report(*place, Code::UnusedEvidence, message);
        }
    }
}

fn unused_needs(reader: &mut Reader, parts: &Parts<'_>) {
    let place = parts.needs_place.unwrap_or(parts.place);
    // A broken signal may be the one that reads it.
    if parts.declared.signals.len() < parts.declared.places.len() {
        return;
    }
    let signals = || parts.declared.signals.iter().map(|(signal, _)| signal);
    for purpose in &parts.needs.suites {
        if !signals().any(|signal| suites(signal).contains(purpose)) {
            let message = format!(
                "no signal reads the {} suite that `needs` asks for",
                purpose.name()
            );
            reader.report(place, Code::UnusedNeed, message);
        }
    }
    for role in &parts.needs.detectors {
        if !signals().any(|signal| signal.params.role.as_ref() == Some(role)) {
            let message =
                format!("no signal reads the detector of the role `{role}` that `needs` asks for");
            reader.report(place, Code::UnusedNeed, message);
        }
    }
}

/// With `n` random directions an empirical p-value is at least `1/(1 + n)`.
fn attainable(reader: &mut Reader, parts: &Parts<'_>) {
    for bar in &parts.conditions.uses {
        let Some((signal, _)) = parts
            .declared
            .signals
            .iter()
            .find(|(signal, _)| signal.name == bar.signal)
        else {
            continue;
        };
        let random = matches!(
            signal.kind.demand,
            Demand::Patching { random: true } | Demand::Ablation { random: true }
        );
        let below = matches!(bar.bar.comparison, Comparison::AtMost | Comparison::Below);
        if !(random && below) {
            continue;
        }
        let directions = parts
            .demands
            .iter()
            .filter(|(name, request, _)| reads(signal, name, request.as_ref()))
            .find_map(|(_, request, _)| request.as_ref().map(directions));
        let Some(directions) = directions else {
            continue;
        };
        #[allow(clippy::cast_precision_loss, reason = "at most a million")]
        let smallest = 1.0 / (1 + directions) as f64;
        let reached = match bar.bar.comparison {
            Comparison::Below => smallest < bar.bar.value,
            _ => smallest <= bar.bar.value,
        };
        if !reached {
            let message = format!(
                "`{}` can never be {} {}: with {directions} random directions the smallest p-value is {smallest:.4}",
                bar.signal,
                bar.bar.comparison.words(),
                bar.bar.value
            );
            let hint = "raise `random_directions` or the bar";
            reader.report_with_hint(bar.place, Code::Unattainable, message, hint);
        }
    }
}

const fn directions(request: &CausalRequest) -> usize {
    match request {
        CausalRequest::Patching {
            random_directions, ..
        }
        | CausalRequest::DirectionalAblation {
            random_directions, ..
        }
        | CausalRequest::FeatureAblation {
            random_directions, ..
        } => *random_directions,
    }
}
