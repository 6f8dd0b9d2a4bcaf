//! Where a feature is active: the strongest texts, and some of the others.

use std::collections::HashSet;

use super::file::Context;
use super::survey::{Active, Spot};
use super::texts::Text;

/// Tokens that are shown before and behind the largest activation.
const BEFORE: usize = 32;
const BEHIND: usize = 16;

/// The texts with the largest activations, each text once.
pub fn strongest(active: &Active, texts: &[Text], most: usize) -> Vec<Context> {
    let peaks = peaks(active, texts);
    peaks
        .iter()
        .take(most)
        .map(|peak| context(*peak, active, texts))
        .collect()
}

/// Half as many of the texts behind the strongest, evenly spaced.
pub fn weaker(active: &Active, texts: &[Text], most: usize) -> Vec<Context> {
    let peaks = peaks(active, texts);
    let rest = peaks.get(most..).unwrap_or_default();
    let wanted = most.div_ceil(2).min(rest.len());
    (0..wanted)
        .filter_map(|place| rest.get((2 * place + 1) * rest.len() / (2 * wanted)))
        .map(|peak| context(*peak, active, texts))
        .collect()
}

/// The largest activation of each text, the largest first. Texts of the same tokens count once.
fn peaks(active: &Active, texts: &[Text]) -> Vec<Spot> {
    let mut peaks: Vec<Spot> = Vec::new();
    for spot in active.all() {
        match peaks.last_mut() {
            Some(last) if last.text == spot.text => {
                if spot.act > last.act {
                    *last = *spot;
                }
            }
            _ => peaks.push(*spot),
        }
    }
    peaks.sort_by(|a, b| b.act.total_cmp(&a.act).then(a.text.cmp(&b.text)));
    let mut seen = HashSet::new();
    peaks.retain(|peak| {
        let text = texts.get(peak.text);
        text.is_some_and(|text| seen.insert(text.encoded.ids.as_slice()))
    });
    peaks
}

fn context(peak: Spot, active: &Active, texts: &[Text]) -> Context {
    let text = &texts[peak.text];
    let length = text.encoded.tokens.len();
    let from = peak.position.saturating_sub(BEFORE);
    let to = (peak.position + BEHIND + 1).min(length);
    let mut tokens: Vec<(String, f32)> = text
        .encoded
        .tokens
        .get(from..to)
        .unwrap_or_default()
        .iter()
        .map(|token| (token.clone(), 0.0))
        .collect();
    let spots = active.all();
    let begin = spots.partition_point(|spot| spot.text < peak.text);
    for spot in spots
        .iter()
        .skip(begin)
        .take_while(|spot| spot.text == peak.text)
    {
        let place = spot.position.checked_sub(from);
        if let Some(token) = place.and_then(|place| tokens.get_mut(place)) {
            token.1 = spot.act;
        }
    }
    Context {
        suite: text.suite.clone(),
        id: text.id.clone(),
        label: text.label,
        peak: peak.position,
        largest: peak.act,
        from,
        length,
        tokens,
    }
}
