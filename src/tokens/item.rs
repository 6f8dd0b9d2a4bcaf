//! One prompt of a suite.

use serde::{Deserialize, Serialize};

use super::prompt::Prompt;
use super::wire::ItemWire;
use crate::fault::{Fault, Result};

/// One prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Unique in the suite.
    pub id: String,
    /// Items of one fact or template share a group: the cluster of every interval and the unit of every split.
    pub group: String,
    /// The sentence template, where there is one.
    pub template: Option<String>,
    /// Such as `plain`, `trigger`, `monitored`.
    pub condition: String,
    /// What the model is given.
    pub prompt: Prompt,
    /// A response that the item states itself; otherwise the model writes it.
    pub response: Option<String>,
    /// The true answer.
    pub answer: Option<String>,
    /// Other true answers.
    pub accept: Vec<String>,
    /// A false answer.
    pub foil: Option<String>,
    /// Id of the equal-length counterpart.
    pub pair: Option<String>,
    /// 0 or 1, for training.
    pub label: Option<u8>,
    /// The data set that it comes from: the unit of leave-one-dataset-out transfer.
    pub dataset: Option<String>,
    /// Whether it affirms or denies, where that is known.
    pub polarity: Option<Polarity>,
}

/// Whether a statement affirms or denies ("is in Russia", "is not in Russia").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Polarity {
    /// Without a negation.
    Affirmative,
    /// With a negation.
    Negated,
}

impl Item {
    /// Reads an item from a line of JSON.
    pub(super) fn read(line: &str, doing: &dyn Fn() -> String) -> Result<Self> {
        let wire: ItemWire = serde_json::from_str(line).map_err(|error| {
            // The item is a document of one line; where that line is has been said.
            let found = error.to_string().replace(" at line 1 column ", " at column ");
            Fault::usage(doing(), found)
                .expected("one JSON object with id, group, condition, prompt or messages, and optionally template, response, answer, accept, foil, pair, label, dataset, polarity")
        })?;
        let prompt = match (wire.prompt, wire.messages) {
            (Some(_), Some(_)) => {
                return Err(
                    Fault::usage(doing(), "both `prompt` and `messages`").expected("one of them")
                );
            }
            (None, Some(messages)) => Prompt::chat(messages, &doing())?,
            (Some(prompt), None) if !prompt.trim().is_empty() => Prompt::Text(prompt),
            _ => {
                return Err(
                    Fault::usage(doing(), format!("item `{}` without a prompt", wire.id))
                        .expected("a non-empty `prompt`, or `messages`"),
                );
            }
        };
        if let Some(label @ 2..) = wire.label {
            return Err(Fault::usage(doing(), format!("label {label}")).expected("0 or 1"));
        }
        Ok(Self {
            id: wire.id,
            group: wire.group,
            template: wire.template,
            condition: wire.condition,
            prompt,
            response: wire.response,
            answer: wire.answer,
            accept: wire.accept,
            foil: wire.foil,
            pair: wire.pair,
            label: wire.label,
            dataset: wire.dataset,
            polarity: wire.polarity,
        })
    }
}

impl From<Item> for ItemWire {
    fn from(item: Item) -> Self {
        let (prompt, messages) = match item.prompt {
            Prompt::Text(text) => (Some(text), None),
            Prompt::Chat(messages) => {
                let messages = messages
                    .into_iter()
                    .map(|message| serde_json::Value::from(message.0));
                (None, Some(messages.collect()))
            }
        };
        Self {
            id: item.id,
            group: item.group,
            template: item.template,
            condition: item.condition,
            prompt,
            messages,
            response: item.response,
            answer: item.answer,
            accept: item.accept,
            foil: item.foil,
            pair: item.pair,
            label: item.label,
            dataset: item.dataset,
            polarity: item.polarity,
        }
    }
}
