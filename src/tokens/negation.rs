//! A statement without its negation: what "is in Russia" and "is not in Russia" share.

/// The words of a text in lower case, without negations and the auxiliaries and endings that come with them ("does not mean" and
/// "means"), and whether a negation was among them.
#[must_use]
pub fn without_negation(text: &str) -> (String, bool) {
    let mut negated = false;
    let mut kept = Vec::new();
    let lower = text.to_lowercase().replace('\u{2019}', "'");
    let words = lower.split(|letter: char| !letter.is_alphanumeric() && letter != '\'');
    for word in words.map(|word| word.trim_matches('\'')) {
        let (word, denies) = match word {
            "not" | "no" | "never" => ("", true),
            "cannot" | "can't" => ("can", true),
            "won't" => ("will", true),
            _ => match word.strip_suffix("n't") {
                Some(word) => (word, true),
                None => (word, false),
            },
        };
        negated |= denies;
        if word.is_empty() || matches!(word, "do" | "does" | "did") {
            continue;
        }
        kept.push(
            word.strip_suffix('s')
                .filter(|stem| stem.len() > 2)
                .unwrap_or(word),
        );
    }
    (kept.join(" "), negated)
}
