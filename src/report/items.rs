//! What a model said to its items, one line each: the rows that a page lists and that two reports are paired by.

use super::gate::Repeat;
use super::record::DetectorRecord;
use super::repeat::strongest;
use crate::digest::short_of;
use crate::evidence::{Evidence, Outcome, Responses, Said};

/// The most items of one model that a report lists. The evidence tables hold all of them.
pub const MOST_ITEMS: usize = 10_000;

/// What a model said to its items.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Items {
    /// Items that the model was asked.
    pub total: usize,
    /// Detector ids, in the order of [`ItemLine::scores`].
    pub detectors: Vec<String>,
    /// All of them, or at most [`MOST_ITEMS`], chosen by a hash of suite and item id alone, so that two reports on one suite list
    /// the same ones.
    pub lines: Vec<ItemLine>,
}

/// One item.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemLine {
    /// Suite id.
    pub suite: String,
    /// Item id.
    pub item: String,
    /// The cluster.
    pub group: String,
    /// The item's condition.
    pub condition: String,
    /// Id of the counterpart.
    pub pair: Option<String>,
    /// What the model was given, cut to a few hundred characters.
    pub prompt: String,
    /// What it said, cut likewise.
    pub said: String,
    /// The item's answer.
    pub answer: Option<String>,
    /// How the response was judged.
    pub outcome: Outcome,
    /// The score of each detector; `None` where it read nothing. Of an SAE the score of its strongest selected feature.
    pub scores: Vec<Option<f64>>,
    /// Detectors (indices into [`Items::detectors`]) that flag the item.
    pub flagged: Vec<usize>,
    /// Detectors whose score lies within run-to-run noise of the threshold.
    pub unstable: Vec<usize>,
}

/// Characters that all prompts and responses of a report's items may take together, so that a page of many items can still be opened.
const MOST_TEXT: usize = 2_000_000;
/// Characters of one prompt or response.
const LONGEST: usize = 400;
const SHORTEST: usize = 80;

/// The items of one model with the scores of its detectors, in the order of the evidence.
#[must_use]
pub fn items(evidence: &Evidence, detectors: &[DetectorRecord], repeat: Option<&Repeat>) -> Items {
    let chosen = listed(evidence);
    let most = (MOST_TEXT / (2 * chosen.len().max(1))).clamp(SHORTEST, LONGEST);
    let mut lines: Vec<ItemLine> = chosen
        .iter()
        .map(|response| line(*response, most, detectors.len()))
        .collect();
    for (at, detector) in detectors.iter().enumerate() {
        let noise = repeat
            .into_iter()
            .flat_map(|repeat| &repeat.noise)
            .find(|noise| noise.detector == detector.id)
            .map_or(0.0, |noise| noise.largest);
        let scores = strongest(evidence, detector);
        for line in &mut lines {
            let Some(score) = scores.get(&line.suite, &line.item) else {
                continue;
            };
            if let Some(slot) = line.scores.get_mut(at) {
                *slot = Some(score);
            }
            line.flagged
                .extend(detector.flags_item(score).then_some(at));
            let unstable = detector.is_within(score, noise);
            line.unstable.extend(unstable.then_some(at));
        }
    }
    Items {
        total: evidence.responses.len(),
        detectors: detectors
            .iter()
            .map(|detector| detector.id.clone())
            .collect(),
        lines,
    }
}

/// The responses that a report lists: all, or at most [`MOST_ITEMS`].
#[must_use]
pub fn listed(evidence: &Evidence) -> Vec<Said<'_>> {
    chosen(&evidence.responses, MOST_ITEMS)
}

/// All responses, or those `most` whose suite and item have the smallest hash: a choice that hangs on nothing else, so that
/// the reports of two models on one suite hold the same items.
fn chosen(responses: &Responses, most: usize) -> Vec<Said<'_>> {
    if responses.len() <= most {
        return responses.iter().collect();
    }
    let hash = |response: Said<'_>| {
        let (suite, item) = (response.suite(), response.item());
        short_of(format!("{}:{suite}{item}", suite.len()).as_bytes())
    };
    let mut hashed: Vec<([u8; 16], usize)> = responses.iter().map(hash).zip(0..).collect();
    hashed.sort_unstable();
    hashed.truncate(most);
    let mut places: Vec<usize> = hashed.into_iter().map(|(_, place)| place).collect();
    places.sort_unstable();
    places
        .into_iter()
        .filter_map(|place| responses.get(place))
        .collect()
}

fn line(response: Said<'_>, most: usize, detectors: usize) -> ItemLine {
    ItemLine {
        suite: response.suite().to_owned(),
        item: response.item().to_owned(),
        group: response.group().to_owned(),
        condition: response.condition().to_owned(),
        pair: response.pair().map(str::to_owned),
        prompt: cut(response.prompt(), most),
        said: cut(response.text(), most),
        answer: response.answer().map(str::to_owned),
        outcome: response.outcome(),
        scores: vec![None; detectors],
        flagged: Vec::new(),
        unstable: Vec::new(),
    }
}

/// At most `most` characters, with an ellipsis as the last where some were left out.
fn cut(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", kept.trim_end())
}

#[cfg(test)]
mod tests {
    use super::{chosen, cut};
    use crate::evidence::{Outcome, Response, Responses};

    fn response(item: usize) -> Response {
        Response {
            suite: "facts".into(),
            item: format!("item-{item}"),
            group: "group".into(),
            condition: "plain".into(),
            pair: None,
            prompt: String::new(),
            text: String::new(),
            outcome: Outcome::True,
            answer: None,
        }
    }

    #[test]
    fn texts_are_cut_at_characters() {
        assert_eq!(cut("häßlich", 7), "häßlich");
        assert_eq!(cut("häßlich", 6), "häßli…");
        assert_eq!(cut("ein Wort", 5), "ein…");
        assert_eq!(cut("", 3), "");
    }

    #[test]
    fn the_choice_hangs_on_ids_alone_and_keeps_the_order() {
        let all: Vec<Response> = (0..200).map(response).collect();
        let turned: Vec<Response> = (0..200).rev().map(response).collect();
        let names = |responses: &[Response]| -> Vec<String> {
            let responses: Responses = responses.iter().cloned().collect();
            let chosen = chosen(&responses, 50).into_iter();
            chosen.map(|response| response.item().to_owned()).collect()
        };
        let (mut forwards, backwards) = (names(&all), names(&turned));
        assert_eq!(forwards.len(), 50);
        let place = |name: &String| all.iter().position(|one| one.item == *name);
        assert!(forwards.is_sorted_by_key(place));
        forwards.reverse();
        assert_eq!(forwards, backwards);
        // Those that are there in a larger audit of the same suite are the ones with the smallest hashes here.
        let fewer = names(&all[..120]);
        let common = |name: &&String| all[..120].iter().any(|one| one.item == **name);
        assert!(
            backwards
                .iter()
                .filter(common)
                .all(|name| fewer.contains(name))
        );
    }
}
