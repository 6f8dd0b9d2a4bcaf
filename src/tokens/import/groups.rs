//! Items that may not stand on two sides of a split: of one stated group, of the same text or its negation, or counterparts.

use std::collections::HashMap;

use crate::tokens::account::content;
use crate::tokens::item::Item;
use crate::tokens::negation::without_negation;

/// Gives every item its group: what its `group` says, joined with every other group that holds the same text, one that differs in
/// a negation alone, or the counterpart of an item. A group is named after its first item's; an item that states none is called by
/// its id.
pub fn join(items: &mut [Item]) {
    let mut sets = Sets::default();
    let mut of_key: HashMap<(Key, String), usize> = HashMap::new();
    let members: Vec<usize> = items
        .iter()
        .map(|item| {
            let text = content(item);
            let (statement, _) = without_negation(&text);
            let keys = [
                (Key::Text, text),
                (Key::Group, item.group.clone()),
                (Key::Statement, statement),
                (Key::Id, item.id.clone()),
                (Key::Id, item.pair.clone().unwrap_or_default()),
            ];
            let member = sets.add();
            for key in keys.into_iter().filter(|(_, key)| !key.is_empty()) {
                let set = *of_key.entry(key).or_insert(member);
                sets.unite(set, member);
            }
            member
        })
        .collect();
    let mut names: HashMap<usize, String> = HashMap::new();
    for (item, member) in items.iter_mut().zip(members) {
        let name = names.entry(sets.root(member)).or_insert_with(|| {
            if item.group.is_empty() {
                item.id.clone()
            } else {
                item.group.clone()
            }
        });
        item.group.clone_from(name);
    }
}

/// What items may share.
#[derive(PartialEq, Eq, Hash)]
enum Key {
    Text,
    Group,
    /// The text without its negation.
    Statement,
    /// The own id, and that of the counterpart.
    Id,
}

/// Disjoint sets of numbers.
#[derive(Default)]
struct Sets {
    parents: Vec<usize>,
}

impl Sets {
    fn add(&mut self) -> usize {
        self.parents.push(self.parents.len());
        self.parents.len() - 1
    }

    fn root(&mut self, mut member: usize) -> usize {
        while let Some(&parent) = self.parents.get(member)
            && parent != member
        {
            let above = self.parents.get(parent).copied().unwrap_or(parent);
            if let Some(slot) = self.parents.get_mut(member) {
                *slot = above;
            }
            member = parent;
        }
        member
    }

    fn unite(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if let Some(slot) = self.parents.get_mut(a.max(b)) {
            *slot = a.min(b);
        }
    }
}
