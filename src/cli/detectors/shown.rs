//! What was found of detectors, for people.

use unicode_width::UnicodeWidthStr as _;

use crate::cli::inspect::paint::{Line, Surface, Tone, flow, shortened, wrapped};
use crate::detect::Agreement;
use crate::detect::card::Interval;
use crate::detect::sae::Measured;
use crate::lab::{
    Checked, Columns, Conclusion, Flips, Harmless, SaeFound, SpliceLoss, SuiteFound, Transfer,
};
use crate::report::counted;
use crate::stats::Estimate;

/// Labels are not wider.
const LABEL: usize = 24;

/// Every detector, one below the other.
pub fn shown(found: &[Checked], surface: Surface) -> String {
    let mut lines = Vec::new();
    for checked in found {
        if !lines.is_empty() {
            lines.push(Line::new());
        }
        lines.extend(detector(checked, surface.width));
    }
    if found.iter().all(|checked| checked.transfer.is_none()) {
        lines.push(Line::new());
        let note = "Held against what is declared alone: what export and quantisation cost shows against a run of the original, with --reference.";
        let note = wrapped(note, surface.width).into_iter();
        lines.extend(note.map(|line| Line::new().with(Tone::Quiet, line)));
    }
    let lines: Vec<String> = lines
        .iter()
        .map(|line| line.shown(surface.coloured))
        .collect();
    lines.join("\n")
}

fn detector(checked: &Checked, width: usize) -> Vec<Line> {
    let mut rows: Vec<(String, Tone, Vec<String>)> = Vec::new();
    let mut say = |label: &str, tone: Tone, pieces: Vec<String>| {
        rows.push((shortened(label, LABEL), tone, pieces));
    };
    for caveat in &checked.caveats {
        say("caveat", Tone::Strong, vec![plain(caveat)]);
    }
    if let Some(found) = &checked.sae {
        say("activations", Tone::Plain, dictionary(found));
        if let Some(loss) = &found.loss {
            say("loss", Tone::Plain, losses(loss));
        }
    }
    for suite in &checked.suites {
        let label = suite.suite.as_deref().unwrap_or("prompts");
        say(label, Tone::Plain, scores(suite));
    }
    for (label, pieces) in checked.transfer.iter().flat_map(transferred) {
        say(&label, Tone::Plain, pieces);
    }
    for missing in &checked.unmeasured {
        let text = format!("{}: {}", missing.what, missing.why);
        say("not measured", Tone::Plain, vec![plain(&text)]);
    }
    let facts = labelled(&rows, width);
    let limits = checked.limits.iter().map(|limit| plain(limit)).collect();
    let mut lines = vec![head(checked)];
    lines.extend(facts);
    lines.extend(table("declared", &checked.agreements));
    if let Some(transfer) = &checked.transfer {
        lines.extend(table("reference", &transfer.agreements));
    }
    if !checked.limits.is_empty() {
        lines.extend(labelled(
            &[("limits".to_owned(), Tone::Quiet, limits)],
            width,
        ));
    }
    lines
}

/// Lines behind their labels, all beginning in one column.
fn labelled(rows: &[(String, Tone, Vec<String>)], width: usize) -> Vec<Line> {
    let labels = rows.iter().map(|(label, ..)| label.width());
    let start = labels.max().unwrap_or(0) + 4;
    let mut lines = Vec::new();
    for (label, tone, pieces) in rows {
        let texts = flow(pieces, width.saturating_sub(start)).into_iter();
        for (at, text) in texts.enumerate() {
            let label = if at == 0 { label.as_str() } else { "" };
            let label =
                Line::new()
                    .with(Tone::Quiet, format!("  {label}"))
                    .filled(Tone::Plain, " ", start);
            lines.push(label.with(*tone, text));
        }
    }
    lines
}

fn dictionary(found: &SaeFound) -> Vec<String> {
    let mut pieces = measures(&found.measured);
    pieces.push(format!(
        "{} of {} never fire",
        found.measured.silent_features,
        counted(found.d_sae, "feature", "features")
    ));
    pieces
}

fn losses(loss: &SpliceLoss) -> Vec<String> {
    let recovered = loss.recovered().map_or_else(
        || "zeros cost nothing, so nothing is recovered".to_owned(),
        |recovered| format!("{:.1} % recovered", 100.0 * recovered),
    );
    vec![
        recovered,
        format!(
            "clean {:.3}, spliced {:.3}, zeros {:.3}, mean {:.3} nats",
            loss.clean, loss.spliced, loss.zero, loss.mean
        ),
        counted(loss.tokens, "predicted token", "predicted tokens"),
    ]
}

fn head(checked: &Checked) -> Line {
    let (word, tone) = match checked.conclusion() {
        Conclusion::Fits => ("fits", Tone::Norm),
        Conclusion::DoesNotFit => ("does not fit", Tone::Alarm),
        Conclusion::Untold => ("nothing declared that was measured", Tone::Strong),
    };
    let out = if checked.site_out == checked.site {
        String::new()
    } else {
        format!(", reconstructs {}", checked.site_out)
    };
    Line::new()
        .with(Tone::Strong, &checked.id)
        .with(
            Tone::Plain,
            format!(" · {} · reads {}{out} · ", checked.kind, checked.site),
        )
        .with(tone, word)
}

fn measures(measured: &Measured) -> Vec<String> {
    vec![
        format!("L0 {:.2}", measured.l0),
        format!("explained variance {:.4}", measured.explained_variance),
        format!("cosine {:.4}", measured.cosine),
        format!("relative error {:.4}", measured.relative_error),
        counted(measured.n, "token", "tokens"),
    ]
}

fn scores(suite: &SuiteFound) -> Vec<String> {
    let mut pieces = vec![counted(suite.texts, "text", "texts")];
    if suite.unread > 0 {
        pieces.push(format!(
            "{} without a token that the detector reads",
            suite.unread
        ));
    }
    match (&suite.false_alarms, &suite.flagged) {
        (Some((harmless, rate)), _) => pieces.push(format!(
            "false alarms {} of {} {}",
            percent(rate),
            rate.n,
            match harmless {
                Harmless::Control => "harmless items",
                Harmless::Labelled => "items of the label that is not flagged",
                Harmless::Baseline => "items of the baseline condition",
            }
        )),
        (None, Some(rate)) => pieces.push(format!("flagged {}", percent(rate))),
        (None, None) => {}
    }
    if let Some(auroc) = &suite.auroc {
        pieces.push(format!(
            "AUROC {:.3} [{:.3}, {:.3}] over {}",
            auroc.point,
            auroc.low,
            auroc.high,
            counted(auroc.clusters, "group", "groups")
        ));
    }
    pieces
}

/// Lines with their labels.
fn transferred(transfer: &Transfer) -> Vec<(String, Vec<String>)> {
    let mut lines = vec![(
        "to reference".to_owned(),
        vec![
            format!(
                "activations: cosine {:.6}, relative difference {:.2e}",
                transfer.cosine, transfer.relative_difference
            ),
            counted(transfer.tokens, "token", "tokens"),
        ],
    )];
    for columns in &transfer.scores {
        let label = columns.feature.map_or_else(
            || "scores".to_owned(),
            |feature| format!("feature {feature}"),
        );
        lines.push((label, columns_of(columns)));
    }
    if let Some(note) = transfer.note {
        lines.push((String::new(), vec![note.to_owned()]));
    }
    if let Some(both) = &transfer.dictionaries {
        lines.push((
            "features".to_owned(),
            vec![format!(
                "active sets agree to {:.4} (Jaccard), L0 {:.2} and {:.2} there, explained variance {:.4} and {:.4} there",
                both.jaccard,
                both.here.l0,
                both.reference.l0,
                both.here.explained_variance,
                both.reference.explained_variance
            )],
        ));
    }
    lines
}

fn columns_of(columns: &Columns) -> Vec<String> {
    let correlation = match (columns.pearson, columns.spearman) {
        (Some(pearson), Some(spearman)) => format!("Pearson {pearson:.5}, Spearman {spearman:.5}"),
        _ => "one value throughout, no correlation".to_owned(),
    };
    let mut pieces = vec![
        correlation,
        format!(
            "difference {:.2e} on average, {:.2e} at most",
            columns.mean_difference, columns.largest_difference
        ),
    ];
    let flips = |what: &str, flips: &Flips| {
        let both = flips.on + flips.off;
        let sides = match both {
            0 => String::new(),
            _ => format!(", {} newly flagged and {} no longer", flips.on, flips.off),
        };
        format!(
            "{both} of {} {what} change sides, {}{sides}",
            flips.share.n,
            percent(&flips.share)
        )
    };
    pieces.extend(columns.token_flips.as_ref().map(|own| flips("tokens", own)));
    pieces.extend(columns.text_flips.as_ref().map(|own| flips("texts", own)));
    pieces
}

fn percent(rate: &Estimate) -> String {
    format!(
        "{:.1} % [{:.1}, {:.1}]",
        100.0 * rate.point,
        100.0 * rate.low,
        100.0 * rate.high
    )
}

/// What is declared beside what was measured.
fn table(against: &str, agreements: &[Agreement]) -> Vec<Line> {
    if agreements.is_empty() {
        return Vec::new();
    }
    let value = |value: f64, interval: Option<Interval>| {
        interval.map_or_else(
            || format!("{value:.3}"),
            |own| format!("{value:.3} [{:.3}, {:.3}]", own.low, own.high),
        )
    };
    let mut rows = vec![["", against, "measured", ""].map(str::to_owned)];
    rows.extend(agreements.iter().map(|agreement| {
        let on = agreement.on.as_deref();
        [
            on.map_or_else(
                || agreement.what.to_owned(),
                |on| format!("{}, {}", agreement.what, shortened(on, LABEL)),
            ),
            value(agreement.declared, agreement.declared_interval),
            value(agreement.measured, agreement.interval),
            if agreement.fits {
                "fits".to_owned()
            } else {
                format!("does not fit: asked {}", agreement.criterion)
            },
        ]
    }));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.width()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..4).map(width).collect();
    let line = |(at, row): (usize, &[String; 4])| {
        let mut line = Line::new().with(Tone::Plain, "  ");
        let mut end = 2;
        for ((column, cell), width) in row.iter().enumerate().zip(&widths) {
            let tone = match (at, column) {
                (0, _) => Tone::Quiet,
                (_, 3) if cell == "fits" => Tone::Norm,
                (_, 3) => Tone::Alarm,
                _ => Tone::Plain,
            };
            end += width + 2;
            line = line.with(tone, cell).filled(Tone::Plain, " ", end);
        }
        line
    };
    rows.iter().enumerate().map(line).collect()
}

fn plain(text: &str) -> String {
    text.replace('`', "")
}
