//! Where in a patching map the decision arrives: chosen on one half of the groups, to be measured on the other, so that the best of many
//! cells is not credited with its luck.

use std::collections::{BTreeMap, BTreeSet};

use super::{CellEffect, PairMap, PatchMap, arrival};
use crate::digest::sha256_of;
use crate::model::{Point, SiteName};
use crate::stats::mean;

/// Positions of a pair that play the same part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PositionClass {
    /// Where the prompts differ, the answer's position left out.
    Differing,
    /// All others.
    Elsewhere,
    /// Where the answer is read.
    Last,
}

impl PositionClass {
    /// Every class, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Differing, Self::Elsewhere, Self::Last];

    /// The class of a position in a prompt that differs from its counterpart at `differing` and is answered at `last`.
    #[must_use]
    pub fn of(position: usize, differing: &[usize], last: usize) -> Self {
        if position == last {
            Self::Last
        } else if differing.contains(&position) {
            Self::Differing
        } else {
            Self::Elsewhere
        }
    }

    /// What it is called in stored evidence.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Differing => "differing",
            Self::Elsewhere => "elsewhere",
            Self::Last => "last",
        }
    }
}

/// A row of a map and a class of positions, patched at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MapCell {
    /// Index into the map's sites.
    pub site: usize,
    /// Which positions.
    pub class: PositionClass,
}

/// The cell at which the decision arrives on one half of the groups, and the groups of the other half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peak<'a> {
    /// The cell.
    pub cell: MapCell,
    /// Groups that had no say in the choice.
    pub estimate_on: BTreeSet<&'a str>,
}

/// Why a map has no peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPeak {
    /// All pairs are of one group.
    OneGroup,
    /// No row behind the first block's input has a defined effect.
    NoEffect,
}

/// Chooses the cell inside the model at which the decision arrives.
///
/// # Errors
/// There is none.
pub fn peak(map: &PatchMap) -> Result<Peak<'_>, NoPeak> {
    let halves =
        halves(map.pairs.iter().map(|pair| pair.group.as_str())).ok_or(NoPeak::OneGroup)?;
    let inside = (map.sites.iter().enumerate()).filter(|(_, name)| is_inside(**name));
    let cells =
        inside.flat_map(|(site, _)| PositionClass::ALL.map(|class| MapCell { site, class }));
    let measured = cells.filter_map(|cell| {
        let effects: Vec<f64> = map
            .effects(cell, &halves.choose)
            .into_iter()
            .map(|(_, effect)| effect)
            .collect();
        Some(CellEffect {
            cell,
            row: cell.site,
            at_answer: cell.class == PositionClass::Last,
            effect: mean(&effects)?,
        })
    });
    let arrived = arrival(measured).ok_or(NoPeak::NoEffect)?;
    Ok(Peak {
        cell: arrived.cell,
        estimate_on: halves.estimate,
    })
}

/// The first block's input is the embedding: patching it is changing the prompt.
fn is_inside(site: SiteName) -> bool {
    site.point != Point::Embed
        && (site.point, site.layer) != (Point::ResidPre, Some(0))
        && site.point != Point::LnFinal
}

impl PatchMap {
    /// The pair's effect of a cell; `None` if the pair has no such position or the effect is undefined there.
    #[must_use]
    pub fn effect(&self, pair: &PairMap, cell: MapCell) -> Option<f64> {
        let recovery = pair.recovery_of(cell)?;
        Some(self.mode.effect(recovery)).filter(|effect| effect.is_finite())
    }

    /// Effects of a cell on the pairs whose group is among `groups`.
    #[must_use]
    pub fn effects<'a>(&'a self, cell: MapCell, groups: &BTreeSet<&str>) -> Vec<(&'a str, f64)> {
        self.pairs
            .iter()
            .filter(|pair| groups.contains(pair.group.as_str()))
            .filter_map(|pair| Some((pair.group.as_str(), self.effect(pair, cell)?)))
            .collect()
    }
}

/// Groups to choose on, and groups to estimate on.
#[derive(Debug, PartialEq, Eq)]
pub struct Halves<'a> {
    /// To choose on.
    pub choose: BTreeSet<&'a str>,
    /// To estimate on.
    pub estimate: BTreeSet<&'a str>,
}

/// Halves the groups in the order of their SHA-256: the same on every machine and unrelated to names. The odd one is
/// estimated on. `None` for fewer than two groups.
#[must_use]
pub fn halves<'a>(groups: impl IntoIterator<Item = &'a str>) -> Option<Halves<'a>> {
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
