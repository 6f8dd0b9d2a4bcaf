//! The table of items: the first page as plain rows, and all of them as compact data that the page's script shows a page at a time.
//!
//! Models are asked the same items, and answers and conditions repeat: what a model was given is written once for all of them, and short texts
//! are numbers into one list. Where even that is too much for the room there is, prompts are cut further, and then fewer items are
//! listed; the page says how many and where the rest is.

use std::collections::HashMap;

use serde::Serialize;

use crate::fault::{Fault, Result};
use crate::report::{AuditReport, ItemLine, Items, ModelAudit, words};

/// Rows of a page.
pub(super) const PAGE: usize = 25;

/// How long prompts and responses may be, in characters; the first that fits is taken.
const CUTS: [usize; 3] = [240, 120, 60];

/// What a page can hold of the items of all models.
pub(super) struct Listing {
    /// JSON that may stand inside a `<script>`.
    pub data: String,
    /// Items listed of each model.
    pub listed: Vec<usize>,
}

/// The table of one model without its script.
pub(super) struct ItemsView<'a> {
    pub items: &'a Items,
    pub listed: usize,
    pub rows: Vec<RowView<'a>>,
}

pub(super) struct RowView<'a> {
    pub line: &'a ItemLine,
    pub prompt: String,
    pub said: String,
    /// The item's answer, where it was not what was said.
    pub answer: Option<&'a str>,
    pub outcome: &'static str,
    pub class: &'static str,
    pub scores: Vec<ScoreView<'a>>,
}

pub(super) struct ScoreView<'a> {
    pub detector: &'a str,
    pub value: String,
    pub flagged: bool,
    pub unstable: bool,
}

impl<'a> ItemsView<'a> {
    pub fn of(model: &'a ModelAudit, listed: usize) -> Self {
        Self {
            items: &model.items,
            listed,
            rows: chosen(&model.items.lines, listed)
                .take(PAGE)
                .map(|line| row(line, &model.items.detectors))
                .collect(),
        }
    }
}

fn row<'a>(line: &'a ItemLine, detectors: &'a [String]) -> RowView<'a> {
    RowView {
        line,
        prompt: cut(&line.prompt, CUTS[0]),
        said: cut(&line.said, CUTS[0]),
        answer: line.answer.as_deref().filter(|answer| *answer != line.said),
        outcome: words::outcome(line.outcome),
        class: super::model::class(line.outcome),
        scores: line
            .scores
            .iter()
            .zip(detectors)
            .enumerate()
            .map(|(at, (score, detector))| ScoreView {
                detector,
                value: score.map_or_else(|| "–".to_owned(), words::short),
                flagged: line.flagged.contains(&at),
                unstable: line.unstable.contains(&at),
            })
            .collect(),
    }
}

/// `listed` of `lines`, evenly spaced.
fn chosen(lines: &[ItemLine], listed: usize) -> impl Iterator<Item = &ItemLine> {
    (0..listed.min(lines.len())).filter_map(move |at| lines.get(at * lines.len() / listed.max(1)))
}

/// At most `most` characters, with a sign where something is missing.
pub(super) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default().trim_end()),
    }
}

impl Listing {
    /// As many items as fit into `room` bytes.
    ///
    /// # Errors
    /// Never for plain data; the type is that of the library underneath.
    pub fn within(report: &AuditReport, room: usize) -> Result<Self> {
        let lines = report.models.iter().map(|model| model.items.lines.len());
        let mut each = lines.max().unwrap_or(0);
        let mut most_chars = CUTS[0];
        for cut in CUTS {
            most_chars = cut;
            let made = Self::of(report, each, most_chars)?;
            if made.data.len() <= room {
                return Ok(made);
            }
        }
        loop {
            let made = Self::of(report, each, most_chars)?;
            if made.data.len() <= room || each == 0 {
                return Ok(made);
            }
            // As many as the bytes of one item say, and a few less: what is shared does not shrink with them.
            each = each.saturating_mul(room) / made.data.len() * 19 / 20;
        }
    }

    fn of(report: &AuditReport, each: usize, most_chars: usize) -> Result<Self> {
        let listed: Vec<usize> = report
            .models
            .iter()
            .map(|model| model.items.lines.len().min(each))
            .collect();
        let mut pool = Pool::default();
        let models: Vec<Vec<Line>> = report
            .models
            .iter()
            .zip(&listed)
            .map(|(model, listed)| {
                let lines = chosen(&model.items.lines, *listed);
                lines.map(|line| pool.line(line, most_chars)).collect()
            })
            .collect();
        let page = Data {
            page: PAGE,
            words: pool.words.all,
            items: pool.items,
            models,
        };
        Ok(Self {
            data: inside_script(&page)?,
            listed,
        })
    }
}

/// Suite, item, group, condition, counterpart, prompt, answer: texts that repeat as numbers of words.
#[derive(Serialize)]
struct Item<'a>(
    usize,
    &'a str,
    usize,
    usize,
    Option<usize>,
    String,
    Option<usize>,
);

/// Number of the item, of the word that was said, of the outcome; scores; flagging and unstable detectors.
#[derive(Serialize)]
struct Line(
    usize,
    usize,
    usize,
    Vec<Option<f64>>,
    Vec<usize>,
    Vec<usize>,
);

#[derive(Serialize)]
struct Data<'a> {
    page: usize,
    words: Vec<String>,
    items: Vec<Item<'a>>,
    models: Vec<Vec<Line>>,
}

#[derive(Default)]
struct Words {
    all: Vec<String>,
    places: HashMap<String, usize>,
}

impl Words {
    fn number(&mut self, word: String) -> usize {
        *self.places.entry(word).or_insert_with_key(|word| {
            self.all.push(word.clone());
            self.all.len() - 1
        })
    }
}

/// What decides whether two models were asked the same item.
type Asked<'a> = (&'a str, &'a str, &'a str, &'a str, &'a str);

#[derive(Default)]
struct Pool<'a> {
    words: Words,
    items: Vec<Item<'a>>,
    places: HashMap<Asked<'a>, usize>,
}

impl<'a> Pool<'a> {
    fn line(&mut self, line: &'a ItemLine, most_chars: usize) -> Line {
        let said = self.words.number(cut(&line.said, most_chars));
        let outcome = self.words.number(words::outcome(line.outcome).to_owned());
        Line(
            self.item(line, most_chars),
            said,
            outcome,
            line.scores
                .iter()
                .map(|score| score.and_then(rounded))
                .collect(),
            line.flagged.clone(),
            line.unstable.clone(),
        )
    }

    fn item(&mut self, line: &'a ItemLine, most_chars: usize) -> usize {
        let asked = (
            line.suite.as_str(),
            line.item.as_str(),
            line.condition.as_str(),
            line.group.as_str(),
            line.prompt.as_str(),
        );
        if let Some(known) = self.places.get(&asked) {
            return *known;
        }
        let mut number = |word: &str| self.words.number(word.to_owned());
        let item = Item(
            number(&line.suite),
            &line.item,
            number(&line.group),
            number(&line.condition),
            line.pair.as_deref().map(&mut number),
            cut(&line.prompt, most_chars),
            line.answer.as_deref().map(&mut number),
        );
        self.items.push(item);
        let place = self.items.len() - 1;
        self.places.insert(asked, place);
        place
    }
}

/// Four digits; `None` for what JSON has no number for.
fn rounded(score: f64) -> Option<f64> {
    let rounded = format!("{score:.3e}").parse().ok();
    rounded.filter(|value: &f64| value.is_finite())
}

/// JSON in which nothing can end the element around it or a line of an old script.
fn inside_script(data: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(data)
        .map_err(|error| Fault::failed("listing items on the HTML page", error.to_string()))?;
    Ok(text
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029"))
}
