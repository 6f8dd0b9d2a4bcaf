//! Tokens coloured by detector score, and effects beside random controls.

use super::chart::{Axis, Tick};
use super::dose::DoseView;
use super::{Prose, prose};
use crate::detect::Flags;
use crate::report::{Aim, DetectorRecord, EffectExhibit, TokenStrip, words};

/// The strips of one detector or feature, coloured on one scale.
pub(super) struct StripGroup<'a> {
    pub detector: &'a str,
    pub feature: Option<usize>,
    pub threshold: String,
    /// What the colours are.
    pub scale: String,
    /// The side of the threshold that is flagged.
    pub flags: &'static str,
    /// What a score above the threshold says, and what any other.
    pub above: &'static str,
    pub below: &'static str,
    /// Whether it is unfolded at first: the first of each detector is.
    pub open: bool,
    pub strips: Vec<StripView<'a>>,
}

pub(super) struct StripView<'a> {
    pub strip: &'a TokenStrip,
    pub said: String,
    pub outcome: &'static str,
    pub value: String,
    pub above: bool,
    pub flagged: bool,
    pub tokens: Vec<TokenView>,
    /// Tokens before and behind those that are drawn.
    pub left_out: (usize, usize),
}

/// Tokens that are drawn of one item, and how many of them behind what its score is taken over.
const MOST_TOKENS: usize = 96;
const BEHIND: usize = 8;

/// Characters of a response above its tokens.
const MOST_SAID: usize = 120;

pub(super) struct TokenView {
    pub text: String,
    pub score: String,
    pub shade: Shade,
    pub in_span: bool,
}

/// A place on the diverging scale: how strong, and to which side.
pub(super) struct Shade {
    /// 0 to 1.
    pub strength: String,
    pub class: &'static str,
}

impl Shade {
    /// `value` between −1 and 1; beyond that the colour does not change.
    pub fn of(value: f64) -> Self {
        let strength = value.abs().min(1.0);
        let strength = if strength.is_nan() { 0.0 } else { strength };
        let class = if value < 0.0 { "neg" } else { "pos" };
        Self {
            strength: format!("{strength:.2}"),
            class,
        }
    }
}

/// Groups strips by detector and feature, in the order they come.
pub(super) fn groups<'a>(
    strips: &'a [TokenStrip],
    detectors: &[DetectorRecord],
) -> Vec<StripGroup<'a>> {
    let mut groups: Vec<StripGroup> = strips
        .chunk_by(|a, b| (&a.detector, a.feature) == (&b.detector, b.feature))
        .filter_map(|strips| group(strips, detectors))
        .collect();
    let mut earlier = "";
    for group in &mut groups {
        group.open = group.detector != earlier;
        earlier = group.detector;
    }
    groups
}

fn group<'a>(strips: &'a [TokenStrip], detectors: &[DetectorRecord]) -> Option<StripGroup<'a>> {
    let first = strips.first()?;
    let detector = detectors.iter().find(|one| one.id == first.detector);
    let truth = detector.is_some_and(|detector| detector.role == "truth");
    let flags = detector
        .and_then(|detector| detector.flags)
        .unwrap_or_default();
    let (above, below) = match (flags, truth) {
        (Flags::Below, true) => ("held to be true", "held to be false"),
        (Flags::Below, false) => ("not flagged", "flagged"),
        (Flags::Above, _) => ("flagged", "not flagged"),
    };
    // A feature is active or not at all; a probe says yes or no.
    let zero = if first.feature.is_some() {
        0.0
    } else {
        first.threshold
    };
    let reach = strips
        .iter()
        .flat_map(|strip| strip.scores.iter().map(|score| f64::from(*score) - zero))
        .filter(|distance| distance.is_finite())
        .fold(0.0, |reach: f64, distance| reach.max(distance.abs()));
    let full = words::number(reach);
    Some(StripGroup {
        detector: &first.detector,
        feature: first.feature,
        threshold: words::number(first.threshold),
        scale: if first.feature.is_some() {
            format!("coloured by activation, in full at {full}")
        } else {
            format!("full colour at ±{full} from there")
        },
        flags: flags.name(),
        above,
        below,
        open: true,
        strips: strips
            .iter()
            .map(|strip| view(strip, zero, reach, flags))
            .collect(),
    })
}

fn view(strip: &TokenStrip, zero: f64, reach: f64, flags: Flags) -> StripView<'_> {
    let all = strip.tokens.len();
    let last = strip.span.iter().copied().max().unwrap_or(all);
    let end = last.saturating_add(1 + BEHIND).max(MOST_TOKENS).min(all);
    let start = end.saturating_sub(MOST_TOKENS);
    let tokens = strip.tokens.iter().zip(&strip.scores).enumerate();
    let tokens = tokens.take(end).skip(start);
    StripView {
        left_out: (start, all - end),
        strip,
        said: super::items::cut(&strip.said, MOST_SAID),
        outcome: words::outcome(strip.outcome),
        value: words::number(strip.value),
        above: strip.value > strip.threshold,
        flagged: flags.flag(strip.value, strip.threshold),
        tokens: tokens
            .map(|(at, (token, score))| {
                let distance = f64::from(*score) - zero;
                TokenView {
                    text: visible(token),
                    score: words::short(f64::from(*score)),
                    shade: Shade::of(if reach > 0.0 { distance / reach } else { 0.0 }),
                    in_span: strip.span.contains(&at),
                }
            })
            .collect(),
    }
}

/// Blanks and line breaks as signs, and the word-boundary marks of tokenizers as blanks.
pub(super) fn visible(token: &str) -> String {
    let text = token.replace(['\u{2581}', '\u{120}'], " ");
    let trimmed = text.trim_matches(' ');
    if trimmed.is_empty() {
        return "␣".to_owned();
    }
    trimmed.replace('\n', "⏎").replace('\t', "⇥")
}

/// An effect and its random controls on one axis.
pub(super) struct EffectView<'a> {
    pub effect: &'a EffectExhibit,
    pub title: Prose,
    /// What turned items have in common.
    pub turned: &'static str,
    pub point: String,
    pub interval: String,
    pub random_range: Option<String>,
    pub p_value: Option<String>,
    /// No random direction did as much: p could not be smaller.
    pub p_least: bool,
    pub off_target: Option<String>,
    pub off_target_random: Option<String>,
    pub ticks: Vec<Tick>,
    pub low: String,
    pub high: String,
    pub at: String,
    /// Place and height of each random direction.
    pub random: Vec<(String, usize)>,
    pub dose: Option<DoseView>,
}

/// Heights that neighbouring dots take by turns, in pixels from the top.
const HEIGHTS: [usize; 5] = [40, 32, 46, 36, 28];

impl<'a> EffectView<'a> {
    pub fn of(effect: &'a EffectExhibit) -> Self {
        let estimate = effect.effect;
        let ends = [estimate.low, estimate.point, estimate.high];
        let axis = Axis::over(ends.into_iter().chain(effect.random.iter().copied()));
        let least = effect.random.iter().copied().reduce(f64::min);
        let most = effect.random.iter().copied().reduce(f64::max);
        Self {
            effect,
            title: prose(&words::sentence(&effect.title)),
            turned: match effect.aim {
                Aim::Restore => "Baseline's answer back",
                Aim::Remove => "Baseline's answer lost",
            },
            point: words::number(estimate.point),
            interval: words::interval(&estimate),
            random_range: least
                .zip(most)
                .map(|(least, most)| words::range(least, most)),
            p_value: effect.p_value.map(words::number),
            p_least: p_least(effect),
            off_target: effect.off_target_kl.map(words::number),
            off_target_random: effect.off_target_kl_random.map(words::number),
            ticks: axis.ticks(),
            low: axis.at(estimate.low),
            high: axis.at(estimate.high),
            at: axis.at(estimate.point),
            random: effect
                .random
                .iter()
                .zip(HEIGHTS.iter().cycle())
                .map(|(value, height)| (axis.at(*value), *height))
                .collect(),
            dose: DoseView::of(&effect.dose),
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "random directions are few")]
fn p_least(effect: &EffectExhibit) -> bool {
    let least = 1.0 / (effect.random.len() as f64 + 1.0);
    effect.p_value.is_some_and(|p| p <= least)
}
