//! `--layers`

use crate::fault::{Fault, Result};
use crate::model::SiteName;

/// The sites that lie in these blocks: `all`, `last`, or numbers and ranges such as `0,2,4-7`.
///
/// # Errors
/// Usage: something else, a block that the model lacks, or no site left.
pub fn of_layers(sites: Vec<SiteName>, layers: &str, n_layers: usize) -> Result<Vec<SiteName>> {
    let wanted = parse(layers, n_layers)?;
    let kept: Vec<SiteName> = sites
        .into_iter()
        .filter(|site| site.layer.is_some_and(|layer| wanted.contains(&layer)))
        .collect();
    if kept.is_empty() {
        return Err(Fault::usage(
            format!("choosing the layers `{layers}`"),
            "no site of --sites in them",
        )
        .expected("sites of blocks, such as --sites 'blocks.*.hook_resid_post'"));
    }
    Ok(kept)
}

fn parse(layers: &str, n_layers: usize) -> Result<Vec<usize>> {
    let last = n_layers.saturating_sub(1);
    let wrong = |found: String| {
        Fault::usage("reading --layers", found).expected(format!(
            "`all`, `last`, or numbers and ranges from 0 to {last}, such as `0,2` or `0-{last}`"
        ))
    };
    let mut wanted = Vec::new();
    for part in layers.split(',').map(str::trim) {
        let number = |text: &str| {
            let number = text.trim().parse::<usize>().ok();
            number
                .filter(|layer| *layer <= last)
                .ok_or_else(|| wrong(format!("`{part}`")))
        };
        match (part, part.split_once('-')) {
            ("all", _) => wanted.extend(0..n_layers),
            ("last", _) => wanted.push(last),
            (_, Some((from, to))) => {
                let (from, to) = (number(from)?, number(to)?);
                if from > to {
                    return Err(wrong(format!("`{part}`")));
                }
                wanted.extend(from..=to);
            }
            (_, None) => wanted.push(number(part)?),
        }
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn layers_are_numbers_ranges_and_names() {
        let of = |text: &str| parse(text, 6).ok();
        assert_eq!(of("all"), Some((0..6).collect()));
        assert_eq!(of("last"), Some(vec![5]));
        assert_eq!(of("0, 2-3"), Some(vec![0, 2, 3]));
        for bad in ["", "6", "3-2", "1-", "-1", "x", "0-6", "1,,2"] {
            assert_eq!(of(bad), None, "{bad}");
        }
    }
}
