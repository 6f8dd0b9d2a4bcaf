//! Choosing and estimating on different groups, so that the best of many candidates is not credited with its luck.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::sha256_of;

/// Groups to choose on, and groups to estimate on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Halves<'a> {
    pub choose: BTreeSet<&'a str>,
    pub estimate: BTreeSet<&'a str>,
}

/// Halves the groups in the order of their SHA-256: the same on every machine and unrelated to names. The odd one is
/// estimated on. `None` for fewer than two groups.
pub(super) fn halves<'a>(groups: impl IntoIterator<Item = &'a str>) -> Option<Halves<'a>> {
    let ordered: BTreeMap<_, &str> = groups
        .into_iter()
        .map(|group| (sha256_of(group.as_bytes()), group))
        .collect();
    if ordered.len() < 2 {
        return None;
    }
    let half = |parity: usize| {
        ordered
            .values()
            .enumerate()
            .filter(|(place, _)| place % 2 == parity)
            .map(|(_, group)| *group)
            .collect()
    };
    Some(Halves {
        choose: half(1),
        estimate: half(0),
    })
}

#[cfg(test)]
mod tests {
    use super::halves;

    #[test]
    fn halves_are_disjoint_complete_and_balanced() {
        let names: Vec<String> = (0..9).map(|i| format!("group-{i}")).collect();
        let split = halves(names.iter().map(String::as_str));
        let sizes = split
            .as_ref()
            .map(|split| (split.choose.len(), split.estimate.len()));
        assert_eq!(sizes, Some((4, 5)));
        let shared = split.map(|split| split.choose.intersection(&split.estimate).count());
        assert_eq!(shared, Some(0));
    }

    #[test]
    fn the_order_of_groups_does_not_matter() {
        assert_eq!(
            halves(["a", "b", "c", "d"]),
            halves(["d", "b", "a", "c", "a"])
        );
    }

    #[test]
    fn one_group_cannot_be_split() {
        assert_eq!(halves(["a", "a"]), None);
        assert_eq!(halves([]), None);
    }
}
