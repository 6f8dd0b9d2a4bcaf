//! Items that may not stand on two sides of a split: of one stated group, or of the same text.

use std::collections::HashMap;

use crate::tokens::account::content;
use crate::tokens::suite::Item;

/// Gives every item its group: what its `group` says, joined with every other group that holds the same text. A group is
/// named after its first item's; an item that states none is called by its id.
pub fn join(items: &mut [Item]) {
    let mut sets = Sets::default();
    let mut of_group: HashMap<String, usize> = HashMap::new();
    let mut of_text: HashMap<String, usize> = HashMap::new();
    let members: Vec<usize> = items
        .iter()
        .map(|item| {
            let text = *of_text.entry(content(item)).or_insert_with(|| sets.add());
            if item.group.is_empty() {
                return text;
            }
            let group = of_group.entry(item.group.clone());
            let group = *group.or_insert_with(|| sets.add());
            sets.unite(group, text);
            text
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
