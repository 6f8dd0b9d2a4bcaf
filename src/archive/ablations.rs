//! Ablations, a row for each item.

use super::Stamp;
use super::patches::{json, listed, reals};
use super::table::Columns;
use crate::evidence::{AblatedItem, Ablation, AblationKind};
use crate::fault::Result;

pub(super) fn bytes(stamp: &Stamp, ablation: &Ablation) -> Result<Vec<u8>> {
    let items = &ablation.items;
    let n = items.len();
    let same = |text| std::iter::repeat_n(text, n);
    let (site, features) = (ablation.site.to_string(), json(&ablation.features));
    let costs = json(&ablation.costs);
    let random: Vec<String> = items.iter().map(|item| json(&item.random)).collect();
    let removed: Vec<String> = items
        .iter()
        .map(|item| json(&item.random_removed))
        .collect();
    stamp
        .table(n)
        .text("suite", same(ablation.suite.as_str()))
        .text("kind", same(kind(ablation.kind)))
        .text("detector", same(ablation.detector.as_str()))
        .text("features", same(features.as_str()))
        .text("site", same(site.as_str()))
        .text("item", items.iter().map(|item| item.item.as_str()))
        .text("group", items.iter().map(|item| item.group.as_str()))
        .real("clean", items.iter().map(|item| item.clean))
        .real("before", items.iter().map(|item| item.before))
        .real("after", items.iter().map(|item| item.after))
        .text("random", random.iter().map(String::as_str))
        .text("random_removed", removed.iter().map(String::as_str))
        .flag("restored", items.iter().map(|item| item.restored))
        .text("costs", same(costs.as_str()))
        .bytes()
}

/// Reads an ablation; `None` where it has no item.
pub(super) fn read(file: &str, bytes: Vec<u8>) -> Result<Option<Ablation>> {
    let wanted = [
        "suite",
        "kind",
        "detector",
        "features",
        "site",
        "item",
        "group",
        "clean",
        "before",
        "after",
        "random",
        "random_removed",
        "restored",
        "costs",
    ];
    let table = Columns::read(file, bytes, &wanted)?;
    let text = |name: &str| table.all(name, table.texts(name)?);
    let real = |name: &str| table.all(name, table.reals(name)?);
    let first = |name: &str| Ok::<_, crate::fault::Fault>(text(name)?.into_iter().next());
    let (Some(suite), Some(named), Some(detector), Some(features), Some(site), Some(costs)) = (
        first("suite")?,
        first("kind")?,
        first("detector")?,
        first("features")?,
        first("site")?,
        first("costs")?,
    ) else {
        return Ok(None);
    };
    let kinds = [AblationKind::Directional, AblationKind::Feature];
    let of_kind = kinds.into_iter().find(|one| kind(*one) == named);
    let (clean, before, after) = (real("clean")?, real("before")?, real("after")?);
    let (random, removed) = (text("random")?, text("random_removed")?);
    let restored = table.all("restored", table.flags("restored")?)?;
    let ids = text("item")?.into_iter().zip(text("group")?);
    let numbers = clean.into_iter().zip(before).zip(after).zip(restored);
    let lists = random.iter().zip(&removed);
    let items = ids.zip(numbers).zip(lists).map(
        |(((item, group), (((clean, before), after), restored)), (random, removed))| {
            Ok(AblatedItem {
                item,
                group,
                clean,
                before,
                after,
                random: reals(&table, "random", random)?,
                random_removed: reals(&table, "random_removed", removed)?,
                restored,
            })
        },
    );
    Ok(Some(Ablation {
        kind: of_kind.ok_or_else(|| table.wrong("kind", &format!("`{named}`")))?,
        detector,
        features: listed(&table, "features", &features)?,
        site: site
            .parse()
            .map_err(|_| table.wrong("site", &format!("`{site}`")))?,
        suite,
        items: items.collect::<Result<_>>()?,
        costs: listed(&table, "costs", &costs)?,
    }))
}

fn kind(kind: AblationKind) -> &'static str {
    match kind {
        AblationKind::Directional => "directional",
        AblationKind::Feature => "feature",
    }
}
