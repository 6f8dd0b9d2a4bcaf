//! A name for "this rule on this model and suite" that outlives changing values, so that two reports can be compared.

use crate::digest::sha256_of;

const HEX_DIGITS: usize = 32;

/// The first 128 bits, in hexadecimal, of SHA-256 over rule id, model name and suite id, each preceded by its length.
pub(super) fn fingerprint(rule: &str, model: &str, suite: Option<&str>) -> String {
    let mut bytes = Vec::new();
    for part in [rule, model].into_iter().chain(suite) {
        bytes.extend((part.len() as u64).to_le_bytes());
        bytes.extend(part.as_bytes());
    }
    let mut name = sha256_of(&bytes);
    name.truncate(HEX_DIGITS);
    name
}

#[cfg(test)]
mod tests {
    use super::fingerprint;

    #[test]
    fn names_rule_model_and_suite_apart() {
        let name = |rule, model| fingerprint(rule, model, None);
        assert_eq!(name("a", "m"), name("a", "m"));
        assert_ne!(name("a", "m"), name("b", "m"));
        assert_ne!(name("ab", "c"), name("a", "bc"));
        assert_ne!(name("a", "m"), fingerprint("a", "m", Some("s")));
        assert_eq!(name("a", "m").len(), 32);
    }
}
