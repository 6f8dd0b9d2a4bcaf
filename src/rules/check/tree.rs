//! YAML as a tree in which every node knows its place and no key is lost, so that everything wrong can be said at once.

use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser, ScanError, Span};

/// No rule is deeper; a file that is would overflow the stack of whoever walks it.
const MAX_DEPTH: usize = 64;

/// Where a node starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::rules) struct Place {
    /// 1-based.
    pub line: usize,
    /// 1-based, in characters.
    pub column: usize,
    /// Characters on that line.
    pub width: usize,
}

/// A node and its place.
#[derive(Debug)]
pub(in crate::rules) struct Node {
    pub place: Place,
    pub data: Data,
}

/// What a node holds.
#[derive(Debug)]
pub(in crate::rules) enum Data {
    Null,
    Bool,
    Number(f64),
    Text(String),
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

impl Data {
    /// What it is, in words.
    pub fn describe(&self) -> String {
        match self {
            Self::Null => "nothing".to_owned(),
            Self::Bool => "a yes-or-no value".to_owned(),
            Self::Number(number) => format!("the number {number}"),
            Self::Text(text) => format!("the text `{text}`"),
            Self::Sequence(_) => "a list".to_owned(),
            Self::Mapping(_) => "a mapping".to_owned(),
        }
    }
}

/// What keeps a text from being a tree.
pub(in crate::rules) struct Malformed {
    pub place: Place,
    pub message: String,
}

enum Open {
    Sequence(Place, Vec<Node>),
    Mapping(Place, Vec<(Node, Node)>, Option<Node>),
}

/// The one document of a text, which is called `file` where something is wrong; `None` if the text is empty.
pub(in crate::rules) fn load(text: &str, file: &str) -> Result<Option<Node>, Malformed> {
    let mut open: Vec<Open> = Vec::new();
    let mut root: Option<Node> = None;
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| syntax(&error))?;
        let place = place_of(span);
        let refuse = |what: &str| {
            Err(Malformed {
                place,
                message: format!("{what} in {file}"),
            })
        };
        let node = match event {
            Event::DocumentStart(_) if root.is_some() => {
                return refuse("there may be only one document");
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => continue,
            Event::Alias(_) => return refuse("aliases are not used"),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, Some(_))
            | Event::MappingStart(_, Some(_)) => return refuse("tags are not used"),
            Event::SequenceStart(..) | Event::MappingStart(..) if open.len() >= MAX_DEPTH => {
                return refuse("nesting goes too deep");
            }
            Event::SequenceStart(..) => {
                open.push(Open::Sequence(place, Vec::new()));
                continue;
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(place, Vec::new(), None));
                continue;
            }
            Event::Scalar(text, style, _, None) => Node {
                place,
                data: scalar(Scalar::parse_from_cow_and_metadata(text, style, None)),
            },
            Event::SequenceEnd | Event::MappingEnd => match open.pop() {
                Some(Open::Sequence(place, items)) => Node {
                    place,
                    data: Data::Sequence(items),
                },
                Some(Open::Mapping(place, entries, _)) => Node {
                    place,
                    data: Data::Mapping(entries),
                },
                None => return refuse("an end without a start cannot stand"),
            },
        };
        match open.last_mut() {
            None => root = Some(node),
            Some(Open::Sequence(_, items)) => items.push(node),
            Some(Open::Mapping(_, entries, key)) => match key.take() {
                None => *key = Some(node),
                Some(key) => entries.push((key, node)),
            },
        }
    }
    Ok(root)
}

fn scalar(scalar: Option<Scalar<'_>>) -> Data {
    #[allow(
        clippy::cast_precision_loss,
        reason = "no count or bar of a rule comes near 2^53"
    )]
    match scalar {
        None | Some(Scalar::Null) => Data::Null,
        Some(Scalar::Boolean(_)) => Data::Bool,
        Some(Scalar::Integer(number)) => Data::Number(number as f64),
        Some(Scalar::FloatingPoint(number)) => Data::Number(number.into_inner()),
        Some(Scalar::String(text)) => Data::Text(text.into_owned()),
    }
}

fn place_of(span: Span) -> Place {
    let width = if span.start.line() == span.end.line() {
        span.end.col().saturating_sub(span.start.col())
    } else {
        1
    };
    Place {
        width: width.max(1),
        ..start_of(&span.start)
    }
}

fn start_of(marker: &Marker) -> Place {
    Place {
        line: marker.line().max(1),
        column: marker.col() + 1,
        width: 1,
    }
}

fn syntax(error: &ScanError) -> Malformed {
    Malformed {
        place: start_of(error.marker()),
        message: format!("this is not YAML: {}", error.info()),
    }
}
