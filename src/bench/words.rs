//! The words of a recipe's commands: text, and names in braces that stand for something of the organism at hand.

/// What a name in braces stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name<'a> {
    /// The model.
    Model,
    /// The half of the control suite that thresholds are set on.
    Control,
    /// The folder of the detectors.
    Out,
    /// The seed of training and audit.
    Seed,
    /// The site that a detector reads.
    Site(&'a str),
    /// A calibration suite.
    Suite(&'a str),
}

/// A piece of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    /// As it stands.
    Text(&'a str),
    /// What stands for something else.
    Name(Name<'a>),
}

/// The names that every organism knows.
pub(super) const KNOWN: &str = "{model}, {control}, {out}, {seed}, {site:NAME}";

/// A word in its pieces, or what is wrong with it.
pub(super) fn pieces(word: &str) -> Result<Vec<Piece<'_>>, String> {
    let mut found = Vec::new();
    let mut rest = word;
    while let Some((before, inside)) = rest.split_once('{') {
        let (name, after) = inside
            .split_once('}')
            .ok_or_else(|| format!("`{word}`, a brace that is not closed"))?;
        found.push(Piece::Text(before));
        found.push(Piece::Name(match name {
            "model" => Name::Model,
            "control" => Name::Control,
            "out" => Name::Out,
            "seed" => Name::Seed,
            "" | "site:" => return Err(format!("`{word}`, braces around no name")),
            name => name
                .strip_prefix("site:")
                .map_or(Name::Suite(name), Name::Site),
        }));
        rest = after;
    }
    found.push(Piece::Text(rest));
    Ok(found)
}

/// The names in a word.
pub(super) fn names(word: &str) -> impl Iterator<Item = Name<'_>> {
    let pieces = pieces(word).unwrap_or_default().into_iter();
    pieces.filter_map(|piece| match piece {
        Piece::Name(name) => Some(name),
        Piece::Text(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Name, Piece, names, pieces};

    #[test]
    fn text_stays_and_names_are_known() {
        assert_eq!(
            pieces("a{out}/b{site:truth}"),
            Ok(vec![
                Piece::Text("a"),
                Piece::Name(Name::Out),
                Piece::Text("/b"),
                Piece::Name(Name::Site("truth")),
                Piece::Text(""),
            ])
        );
        let found: Vec<_> = names("{truth}{model}").collect();
        assert_eq!(found, [Name::Suite("truth"), Name::Model]);
        for wrong in ["{out", "a{}", "{site:}"] {
            assert!(pieces(wrong).is_err(), "{wrong}");
        }
    }
}
