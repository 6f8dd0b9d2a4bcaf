//! From a row to items.

use super::fields::{Field, Reason, normal, over, shown};
use super::table::{Row, Table};
use super::wire::{FieldWire, MapWire, Pairs, SourceWire};
use crate::fault::{Fault, Result};
use crate::tokens::item::{Item, Polarity};
use crate::tokens::prompt::Prompt;

/// What every row of a source gives: one item, or one for each entry of `explode` and each part of its list.
#[derive(Debug)]
pub struct Mapping {
    dataset: String,
    exploded: bool,
    shapes: Vec<Shape>,
}

/// The fields of one kind of item.
#[derive(Debug)]
struct Shape {
    each: Option<Field>,
    id: Option<Field>,
    given: Asked,
    response: Option<Field>,
    label: Option<Field>,
    group: Option<Field>,
    template: Option<Field>,
    condition: Option<Field>,
    polarity: Option<Field>,
    answer: Option<Field>,
    accept: Option<Field>,
    foil: Option<Field>,
    pair: Option<Field>,
}

#[derive(Debug)]
enum Asked {
    Prompt(Field),
    Messages(Vec<(String, Field)>),
}

impl Mapping {
    /// Binds a source's map to the columns of its file.
    ///
    /// # Errors
    /// An unknown column, no prompt, or a label or polarity that can mean nothing.
    pub fn bind(wire: &SourceWire, dataset: &str, table: &Table, doing: &str) -> Result<Self> {
        if wire.map.each.is_some() {
            return Err(
                Fault::usage(doing, "`each` in `map`").expected("`each` in an entry of `explode`")
            );
        }
        let shapes = if wire.explode.is_empty() {
            vec![Shape::bind(&wire.map, table, doing)?]
        } else {
            wire.explode
                .iter()
                .map(|own| Shape::bind(&over(&wire.map, own), table, doing))
                .collect::<Result<_>>()?
        };
        Ok(Self {
            dataset: dataset.to_owned(),
            exploded: !wire.explode.is_empty(),
            shapes,
        })
    }

    /// The items of a row, or why it gives none.
    pub fn items(&self, row: &Row, number: usize) -> std::result::Result<Vec<Item>, Reason> {
        let mut items = Vec::new();
        for shape in &self.shapes {
            let Some(each) = &shape.each else {
                items.push(shape.item(row, number, None)?);
                continue;
            };
            for part in each.list(row, number, None)? {
                items.push(shape.item(row, number, Some(&part))?);
            }
        }
        if items.is_empty() {
            return Err("every list to explode is empty".to_owned());
        }
        for (index, item) in items.iter_mut().enumerate() {
            item.dataset = Some(self.dataset.clone());
            if item.id.is_empty() {
                item.id = format!("{}-{number}", self.dataset);
            }
            if self.exploded {
                item.id = format!("{}-{}", item.id, index + 1);
            }
        }
        Ok(items)
    }
}

impl Shape {
    fn bind(map: &MapWire, table: &Table, doing: &str) -> Result<Self> {
        let exploded = map.each.is_some();
        let bind = |name, wire: &FieldWire| Field::bind(name, wire, table, exploded, doing);
        let field =
            |name, wire: &Option<FieldWire>| wire.as_ref().map(|wire| bind(name, wire)).transpose();
        let given = match (&map.prompt, &map.messages) {
            (Some(prompt), None) => Asked::Prompt(bind("prompt", prompt)?),
            (None, Some(messages)) => Asked::Messages(
                messages
                    .iter()
                    .map(|message| Ok((message.role.clone(), bind("messages", &message.content)?)))
                    .collect::<Result<_>>()?,
            ),
            (given, _) => {
                let found = if given.is_some() {
                    "both `prompt` and `messages`"
                } else {
                    "no `prompt`"
                };
                return Err(Fault::usage(doing, found)
                    .expected("`map` with `prompt`, such as \"{statement}\", or with `messages`")
                    .hint(format!("the columns are: {}", table.columns.join(", "))));
            }
        };
        meanings("label", map.label.as_ref(), &["0", "1"], doing)?;
        meanings(
            "polarity",
            map.polarity.as_ref(),
            &POLARITIES.map(|(name, _)| name),
            doing,
        )?;
        let each = map.each.as_ref();
        Ok(Self {
            each: each
                .map(|wire| Field::bind("each", wire, table, false, doing))
                .transpose()?,
            id: field("id", &map.id)?,
            given,
            response: field("response", &map.response)?,
            label: field("label", &map.label)?,
            group: field("group", &map.group)?,
            template: field("template", &map.template)?,
            condition: field("condition", &map.condition)?,
            polarity: field("polarity", &map.polarity)?,
            answer: field("answer", &map.answer)?,
            accept: field("accept", &map.accept)?,
            foil: field("foil", &map.foil)?,
            pair: field("pair", &map.pair)?,
        })
    }

    fn item(
        &self,
        row: &Row,
        number: usize,
        each: Option<&str>,
    ) -> std::result::Result<Item, Reason> {
        let needed = |field: &Option<Field>| {
            let field = field.as_ref();
            field
                .map(|field| field.needed(row, number, each))
                .transpose()
        };
        let optional = |field: &Option<Field>| match field {
            Some(field) => field.optional(row, number, each),
            None => Ok(None),
        };
        let prompt = match &self.given {
            Asked::Prompt(field) => Prompt::Text(field.needed(row, number, each)?),
            Asked::Messages(messages) => {
                let spoken = |(role, field): &(String, Field)| {
                    Ok(
                        serde_json::json!({"role": role, "content": field.needed(row, number, each)?}),
                    )
                };
                let messages = messages
                    .iter()
                    .map(spoken)
                    .collect::<std::result::Result<Vec<_>, Reason>>()?;
                Prompt::chat(messages.into(), "").map_err(|fault| fault.found)?
            }
        };
        let label = needed(&self.label)?.map(|text| label(&text)).transpose()?;
        let polarity = needed(&self.polarity)?
            .map(|text| polarity(&text))
            .transpose()?;
        let accept = match &self.accept {
            Some(field) => field.list(row, number, each)?,
            None => Vec::new(),
        };
        Ok(Item {
            id: needed(&self.id)?.unwrap_or_default(),
            group: needed(&self.group)?.unwrap_or_default(),
            template: optional(&self.template)?,
            condition: needed(&self.condition)?.unwrap_or_else(|| "plain".to_owned()),
            prompt,
            response: needed(&self.response)?,
            answer: needed(&self.answer)?,
            accept,
            foil: optional(&self.foil)?,
            pair: needed(&self.pair)?,
            label,
            dataset: None,
            polarity,
        })
    }
}

fn label(text: &str) -> std::result::Result<u8, Reason> {
    match normal(text).as_str() {
        "1" | "true" => Ok(1),
        "0" | "false" => Ok(0),
        _ => Err(format!("label {:?} is neither 0 nor 1", shown(text))),
    }
}

const POLARITIES: [(&str, Polarity); 2] = [
    ("affirmative", Polarity::Affirmative),
    ("negated", Polarity::Negated),
];

fn polarity(text: &str) -> std::result::Result<Polarity, Reason> {
    let known = POLARITIES.iter().find(|(name, _)| *name == text);
    known.map(|(_, polarity)| *polarity).ok_or_else(|| {
        format!(
            "polarity {:?} is neither affirmative nor negated",
            shown(text)
        )
    })
}

/// What `values` may turn a cell into.
fn meanings(name: &str, wire: Option<&FieldWire>, known: &[&str], doing: &str) -> Result<()> {
    let Some(Pairs(values)) = wire.and_then(|wire| wire.values.as_ref()) else {
        return Ok(());
    };
    match values
        .iter()
        .find(|(_, meaning)| !known.contains(&meaning.as_str()))
    {
        None => Ok(()),
        Some((key, meaning)) => Err(Fault::usage(
            doing,
            format!("{name}: the value `{key}` means `{meaning}`"),
        )
        .expected(known.join(" or "))
        .hint("a row whose value is not listed is left out and counted")),
    }
}
