//! The page: self-contained, offline, every text escaped.

use askama::Template;

use super::file::{Context, FeaturePage, FeatureProfile, LabelLift, Logits};
use crate::detect::{Histogram, Neighbour};
use crate::fault::{Fault, Result};
use crate::report::counted;

/// Height of a histogram's tallest bar, in pixels of the drawing.
const TALL: f64 = 72.0;
/// Tokens that the list of features shows of each.
const PEAKS: usize = 4;

#[derive(Template)]
#[template(path = "features.html")]
struct Page<'a> {
    style: &'static str,
    own_style: &'static str,
    script: &'static str,
    file: &'a FeaturePage,
    facts: String,
    read: String,
    features: Vec<View<'a>>,
    labelled: bool,
}

/// One feature as it is drawn.
struct View<'a> {
    index: usize,
    density: String,
    tokens: String,
    mean: String,
    largest: String,
    lift: Option<Lift>,
    bars: Vec<Bar>,
    scale: (String, String),
    tallest: usize,
    raised: Vec<Effect<'a>>,
    lowered: Vec<Effect<'a>>,
    nearest: Vec<Near>,
    /// Different tokens at which the strongest texts have their peaks.
    peaks: Vec<String>,
    strongest: Vec<Line>,
    weaker: Vec<Line>,
}

struct Bar {
    x: String,
    y: String,
    height: String,
    title: String,
}

struct Lift {
    rows: [Share; 2],
    difference: String,
    interval: String,
    ratio: String,
    /// Whether the interval leaves out 0, and on which side it is: `up`, `down` or `none`.
    class: &'static str,
}

struct Share {
    label: &'static str,
    percent: String,
    counts: String,
    width: String,
    low: String,
    high: String,
}

struct Effect<'a> {
    token: &'a str,
    change: String,
    width: String,
}

struct Near {
    index: usize,
    cosine: String,
    here: bool,
}

struct Line {
    about: String,
    label: Option<&'static str>,
    largest: String,
    spoken: String,
    cut_before: bool,
    cut_behind: bool,
    pieces: Vec<Piece>,
}

/// A token at which the feature is active, or all tokens between two such.
struct Piece {
    text: String,
    act: Option<Act>,
}

struct Act {
    value: String,
    strength: String,
    class: &'static str,
    peak: bool,
}

/// The whole page.
///
/// # Errors
/// Never for plain data; the type is that of the library underneath.
pub fn feature_page_html(page: &FeaturePage) -> Result<String> {
    let own: Vec<usize> = page.features.iter().map(|feature| feature.index).collect();
    let told = Told {
        apart: words_stand_alone(page),
        suite: page.suites.len() > 1,
    };
    let features = page
        .features
        .iter()
        .map(|feature| view(feature, &own, told));
    let features: Vec<View<'_>> = features.collect();
    let whole = Page {
        style: include_str!("../../../templates/report.css"),
        own_style: include_str!("../../../templates/features.css"),
        script: include_str!("../../../templates/features.js"),
        facts: format!(
            "{} of {} in {}, {} at {}",
            counted(page.features.len(), "feature", "features"),
            page.d_sae,
            page.model.name,
            page.architecture,
            page.site
        ),
        read: format!(
            "{} of {} were read. A token has {:.1} active features on average; {} of {} are active on none.",
            counted(page.tokens, "token", "tokens"),
            counted(page.texts, "text", "texts"),
            page.l0,
            page.silent,
            page.d_sae
        ),
        labelled: features.iter().any(|feature| feature.lift.is_some()),
        features,
        file: page,
    };
    whole
        .render()
        .map_err(|error| Fault::failed("laying out the page of features", error.to_string()))
}

/// How texts are shown.
#[derive(Debug, Clone, Copy)]
struct Told {
    /// A blank between tokens.
    apart: bool,
    /// The suite before each id.
    suite: bool,
}

/// Whether the tokenizer keeps no blanks, so that a page has to put some between tokens.
fn words_stand_alone(page: &FeaturePage) -> bool {
    let contexts = page.features.iter().flat_map(|feature| &feature.strongest);
    let mut tokens = contexts.flat_map(|context| context.tokens.iter().skip(1));
    !tokens.any(|(token, _)| token.starts_with(char::is_whitespace))
}

fn view<'a>(feature: &'a FeatureProfile, own: &[usize], told: Told) -> View<'a> {
    let line = |context: &Context| line(context, feature.largest, told);
    let histogram = feature.histogram.as_ref();
    View {
        index: feature.index,
        density: percent(feature.density),
        tokens: counted(feature.active_tokens, "token", "tokens"),
        mean: number(feature.mean),
        largest: number(f64::from(feature.largest)),
        lift: feature.lift.as_ref().map(lift),
        bars: histogram.map(bars).unwrap_or_default(),
        scale: histogram.map_or_else(Default::default, |histogram| {
            (
                number(f64::from(histogram.from)),
                number(f64::from(histogram.to)),
            )
        }),
        tallest: histogram
            .and_then(|histogram| histogram.counts.iter().copied().max())
            .unwrap_or(0),
        raised: effects(feature.logits.as_ref(), |logits| &logits.raised),
        lowered: effects(feature.logits.as_ref(), |logits| &logits.lowered),
        nearest: feature
            .nearest
            .iter()
            .map(|near| neighbour(near, own))
            .collect(),
        peaks: peaks(&feature.strongest),
        strongest: feature.strongest.iter().map(line).collect(),
        weaker: feature.weaker.iter().map(line).collect(),
    }
}

fn peaks(contexts: &[Context]) -> Vec<String> {
    let mut peaks: Vec<String> = Vec::new();
    for context in contexts {
        let peak = context
            .tokens
            .get(context.peak.saturating_sub(context.from));
        let token = peak
            .map(|(token, _)| token.replace('\n', "↵"))
            .unwrap_or_default();
        if !token.is_empty() && !peaks.contains(&token) {
            peaks.push(token);
        }
    }
    peaks.truncate(PEAKS);
    peaks
}

fn neighbour(near: &Neighbour, own: &[usize]) -> Near {
    Near {
        index: near.index,
        cosine: format!("{:.2}", near.cosine),
        here: own.contains(&near.index),
    }
}

fn lift(lift: &LabelLift) -> Lift {
    let share = |label, shown: &super::file::Shown| Share {
        label,
        percent: percent(shown.share.point),
        counts: format!("{} of {}", shown.active, shown.of),
        width: format!("{:.2}%", 100.0 * shown.share.point),
        low: format!("{:.2}%", 100.0 * shown.share.low.clamp(0.0, 1.0)),
        high: format!("{:.2}%", 100.0 * shown.share.high.clamp(0.0, 1.0)),
    };
    let points = |value: f64| format!("{:+.1}", 100.0 * value).replace('-', "−");
    Lift {
        rows: [
            share("label 1", &lift.positive),
            share("label 0", &lift.negative),
        ],
        difference: points(lift.difference.point),
        interval: format!(
            "{} to {}",
            points(lift.difference.low),
            points(lift.difference.high)
        ),
        ratio: match lift.ratio {
            Some(ratio) => format!("{} times as often", number(ratio)),
            None if lift.positive.active == 0 => "never on either".to_owned(),
            None => "never on label 0".to_owned(),
        },
        class: if lift.difference.low > 0.0 {
            "up"
        } else if lift.difference.high < 0.0 {
            "down"
        } else {
            "none"
        },
    }
}

/// Bars whose heights are the logarithms of their counts, so that the rare strong activations are seen.
#[allow(clippy::cast_precision_loss, reason = "counts and bins of a drawing")]
fn bars(histogram: &Histogram) -> Vec<Bar> {
    let tallest = histogram.counts.iter().copied().max().unwrap_or(0);
    let log = |count: usize| (count as f64 + 1.0).log10();
    let bins = histogram.counts.len() as f64;
    let width = f64::from(histogram.to - histogram.from) / bins;
    histogram
        .counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(bin, &count)| {
            let height = TALL * log(count) / log(tallest).max(f64::MIN_POSITIVE);
            let begin = f64::from(histogram.from) + width * bin as f64;
            Bar {
                x: format!("{}", bin * 10),
                y: format!("{:.1}", TALL - height),
                height: format!("{height:.1}"),
                title: format!(
                    "{} to {}: {}",
                    number(begin),
                    number(begin + width),
                    counted(count, "token", "tokens")
                ),
            }
        })
        .collect()
}

fn effects<'a>(
    logits: Option<&'a Logits>,
    side: impl Fn(&'a Logits) -> &'a Vec<super::file::LogitEffect>,
) -> Vec<Effect<'a>> {
    let Some(logits) = logits else {
        return Vec::new();
    };
    let both = logits.raised.iter().chain(&logits.lowered);
    let largest = both.map(|effect| effect.effect.abs()).fold(0.0, f32::max);
    side(logits)
        .iter()
        .map(|effect| Effect {
            token: &effect.token,
            change: format!("{:+.2}", effect.effect).replace('-', "−"),
            width: format!(
                "{:.1}%",
                100.0 * effect.effect.abs() / largest.max(f32::MIN_POSITIVE)
            ),
        })
        .collect()
}

fn line(context: &Context, largest: f32, told: Told) -> Line {
    let mut pieces: Vec<Piece> = Vec::new();
    for (place, (token, act)) in context.tokens.iter().enumerate() {
        let gap = if told.apart && place > 0 { " " } else { "" };
        let token = token.replace('\n', "↵");
        if *act == 0.0 {
            match pieces.last_mut() {
                Some(Piece { text, act: None }) => text.extend([gap, &token]),
                _ => pieces.push(Piece {
                    text: format!("{gap}{token}"),
                    act: None,
                }),
            }
            continue;
        }
        if !gap.is_empty() {
            match pieces.last_mut() {
                Some(Piece { text, act: None }) => text.push_str(gap),
                _ => pieces.push(Piece {
                    text: gap.to_owned(),
                    act: None,
                }),
            }
        }
        let strength = (act.abs() / largest.abs().max(f32::MIN_POSITIVE)).clamp(0.0, 1.0);
        pieces.push(Piece {
            text: token,
            act: Some(Act {
                value: number(f64::from(*act)),
                strength: format!("{strength:.2}"),
                class: if *act > 0.0 { "pos" } else { "neg" },
                peak: context.from + place == context.peak,
            }),
        });
    }
    let peak = context
        .tokens
        .get(context.peak.saturating_sub(context.from));
    let value = number(f64::from(context.largest));
    Line {
        about: if context.suite.is_empty() {
            format!("prompt {}", context.id)
        } else if told.suite {
            format!("{} · {}", context.suite, context.id)
        } else {
            context.id.clone()
        },
        label: context
            .label
            .map(|label| if label { "label 1" } else { "label 0" }),
        spoken: format!(
            "{value} at {:?}",
            peak.map_or("", |(token, _)| token.trim())
        ),
        largest: value,
        cut_before: context.from > 0,
        cut_behind: context.from + context.tokens.len() < context.length,
        pieces,
    }
}

fn percent(share: f64) -> String {
    let percent = 100.0 * share;
    if percent == 0.0 || percent >= 1.0 {
        format!("{percent:.1} %")
    } else if percent >= 0.01 {
        format!("{percent:.2} %")
    } else {
        format!("{percent:.1e} %")
    }
}

fn number(value: f64) -> String {
    let size = value.abs();
    let text = if size == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e5).contains(&size) {
        format!("{value:.1e}")
    } else if size < 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.1}")
    };
    text.replace('-', "−")
}
