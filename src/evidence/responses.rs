//! What a model said to every item, in some fifty bytes each: a hundred thousand of them have to fit beside the model. The texts themselves are
//! held only of those that a person will read; what is compared is their digest.

use std::fmt;

use super::{Outcome, Response};
use crate::digest::short_of;
use crate::names::{Names, Number};

/// The responses of one model.
#[derive(Clone, Default)]
pub struct Responses {
    names: Names,
    rows: Vec<Row>,
    texts: Vec<Texts>,
}

#[derive(Debug, Clone, Copy)]
struct Row {
    suite: Number,
    item: Number,
    group: Number,
    condition: Number,
    pair: Option<Number>,
    answer: Option<Number>,
    /// Place among the texts.
    texts: Option<u32>,
    said: [u8; 16],
    outcome: Outcome,
}

#[derive(Debug, Clone)]
struct Texts {
    prompt: String,
    text: String,
}

/// One response of a model.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    all: &'a Responses,
    row: &'a Row,
}

impl Responses {
    pub(super) fn names(&self) -> Names {
        self.names.clone()
    }

    /// Adds a response with its texts.
    pub fn push(&mut self, response: Response) {
        self.note(&response);
        self.tell(self.rows.len() - 1, response.prompt, response.text);
    }

    /// Adds a response without its texts.
    pub fn note(&mut self, response: &Response) {
        let names = &mut self.names;
        let row = Row {
            suite: names.number(&response.suite),
            item: names.number(&response.item),
            group: names.number(&response.group),
            condition: names.number(&response.condition),
            pair: response.pair.as_deref().map(|pair| names.number(pair)),
            answer: response
                .answer
                .as_deref()
                .map(|answer| names.number(answer)),
            texts: None,
            said: digest(&response.text),
            outcome: response.outcome,
        };
        self.rows.push(row);
    }

    /// Adds the texts of the response at `place`, if there is one.
    pub fn tell(&mut self, place: usize, prompt: String, text: String) {
        let number = u32::try_from(self.texts.len()).ok();
        if let (Some(row), Some(number)) = (self.rows.get_mut(place), number) {
            row.texts = Some(number);
            self.texts.push(Texts { prompt, text });
        }
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The response at `place`.
    #[must_use]
    pub fn get(&self, place: usize) -> Option<Said<'_>> {
        let row = self.rows.get(place)?;
        Some(Said { all: self, row })
    }

    /// Every response, in the order in which they were added.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Said<'_>> {
        self.rows.iter().map(|row| Said { all: self, row })
    }

    /// Every response by itself.
    #[must_use]
    pub fn to_vec(&self) -> Vec<Response> {
        self.iter().map(Said::to_response).collect()
    }

    /// A way to find responses by their items.
    #[must_use]
    pub fn by_item(&self) -> Index<'_> {
        Index::by_item(self.iter())
    }

    /// The responses of those suites as a model without fault would have given them, as far as they are judged; without texts.
    #[must_use]
    pub fn spotless(&self, of_suite: impl Fn(&str) -> bool) -> Self {
        let rows = self.iter().filter(|said| of_suite(said.suite()));
        let rows = rows.map(|said| Row {
            texts: None,
            said: digest(""),
            outcome: match said.outcome() {
                Outcome::Unjudged => Outcome::Unjudged,
                _ => Outcome::True,
            },
            ..*said.row
        });
        Self {
            rows: rows.collect(),
            names: self.names.clone(),
            texts: Vec::new(),
        }
    }
}

/// Whether two texts are the same shows in this. Blanks around them say nothing.
fn digest(text: &str) -> [u8; 16] {
    short_of(text.trim().as_bytes())
}

impl<'a> Said<'a> {
    /// Suite id.
    #[must_use]
    pub fn suite(self) -> &'a str {
        self.all.names.text(self.row.suite)
    }

    /// Item id.
    #[must_use]
    pub fn item(self) -> &'a str {
        self.all.names.text(self.row.item)
    }

    /// Items of one fact or template share a group: the cluster of every interval.
    #[must_use]
    pub fn group(self) -> &'a str {
        self.all.names.text(self.row.group)
    }

    /// The item's condition.
    #[must_use]
    pub fn condition(self) -> &'a str {
        self.all.names.text(self.row.condition)
    }

    /// Id of the equal-length counterpart, if the item names one.
    #[must_use]
    pub fn pair(self) -> Option<&'a str> {
        self.row.pair.map(|pair| self.all.names.text(pair))
    }

    /// The item's answer, if it has one.
    #[must_use]
    pub fn answer(self) -> Option<&'a str> {
        self.row.answer.map(|answer| self.all.names.text(answer))
    }

    /// How the response compares with the item's answer.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        self.row.outcome
    }

    /// The prompt as given; empty where the texts are not held.
    #[must_use]
    pub fn prompt(self) -> &'a str {
        self.texts().map_or("", |texts| &texts.prompt)
    }

    /// The response itself; empty where the texts are not held.
    #[must_use]
    pub fn text(self) -> &'a str {
        self.texts().map_or("", |texts| &texts.text)
    }

    /// Whether two responses are the same text, but for blanks around it.
    #[must_use]
    pub fn says_the_same(self, other: Said<'_>) -> bool {
        self.row.said == other.row.said
    }

    /// Whether that text was said, but for blanks around it.
    #[must_use]
    pub fn says(self, text: &str) -> bool {
        self.row.said == digest(text)
    }

    /// The same by itself.
    #[must_use]
    pub fn to_response(self) -> Response {
        Response {
            suite: self.suite().to_owned(),
            item: self.item().to_owned(),
            group: self.group().to_owned(),
            condition: self.condition().to_owned(),
            pair: self.pair().map(str::to_owned),
            prompt: self.prompt().to_owned(),
            text: self.text().to_owned(),
            outcome: self.outcome(),
            answer: self.answer().map(str::to_owned),
        }
    }

    fn texts(self) -> Option<&'a Texts> {
        self.all.texts.get(self.row.texts? as usize)
    }
}

impl fmt::Debug for Said<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_response().fmt(f)
    }
}

impl fmt::Debug for Responses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl FromIterator<Response> for Responses {
    fn from_iter<T: IntoIterator<Item = Response>>(responses: T) -> Self {
        let mut all = Self::default();
        responses
            .into_iter()
            .for_each(|response| all.push(response));
        all
    }
}

/// Responses of one model, sorted by suite and another of their names.
pub struct Index<'a> {
    order: Vec<Said<'a>>,
    key: fn(&Row) -> Option<Number>,
}

impl<'a> Index<'a> {
    /// By the items that they are responses to.
    pub fn by_item(responses: impl Iterator<Item = Said<'a>>) -> Self {
        Self::by(responses, |row| Some(row.item))
    }

    /// By the items that they name as their counterparts; those that name none are left out.
    pub fn by_pair(responses: impl Iterator<Item = Said<'a>>) -> Self {
        Self::by(responses, |row| row.pair)
    }

    fn by(responses: impl Iterator<Item = Said<'a>>, key: fn(&Row) -> Option<Number>) -> Self {
        let mut order: Vec<Said<'a>> = responses.filter(|said| key(said.row).is_some()).collect();
        order.sort_by_key(|said| (said.row.suite, key(said.row)));
        Self { order, key }
    }

    /// The response found by this suite and item.
    #[must_use]
    pub fn get(&self, suite: &str, item: &str) -> Option<Said<'a>> {
        let names = &self.order.first()?.all.names;
        self.find(names.known(suite)?, names.known(item)?)
    }

    /// The one found by the counterpart that another of the same responses names.
    #[must_use]
    pub fn counterpart(&self, of: Said<'a>) -> Option<Said<'a>> {
        self.find(of.row.suite, of.row.pair?)
    }

    /// The one found by the item of another of the same responses.
    #[must_use]
    pub fn same_item(&self, of: Said<'a>) -> Option<Said<'a>> {
        self.find(of.row.suite, of.row.item)
    }

    fn find(&self, suite: Number, item: Number) -> Option<Said<'a>> {
        let key = |said: &Said<'_>| (said.row.suite, (self.key)(said.row));
        let place = self
            .order
            .binary_search_by_key(&(suite, Some(item)), key)
            .ok()?;
        self.order.get(place).copied()
    }
}
