//! Which places an intervention is made at: a map's rows and columns.

use super::row::{Change, To};
use crate::fault::{Fault, Result};
use crate::model::{Architecture, Layout, Point, SiteName};

/// What a map's rows and columns are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Sites by positions.
    Position,
    /// `hook_z` of each layer by heads.
    Head,
    /// So many consecutive layers of one kind of site together, by positions. The larger the window, the larger the effects
    /// (Zhang & Nanda, arXiv 2309.16042): a window says nothing of any single one of its layers.
    Window(usize),
    /// All given layers of one kind of site together, by positions.
    AllLayers,
}

/// Places that are changed together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cell {
    /// Where, in the order of the model.
    pub sites: Vec<SiteName>,
    /// At which positions of each.
    pub positions: Vec<usize>,
    /// Of `hook_z`, the one head that is changed.
    pub head: Option<usize>,
}

impl Cell {
    /// The changes that put `to` at every place; it is asked for each site and position.
    ///
    /// # Errors
    /// Those of `to`.
    pub fn changes<'a>(
        &self,
        mut to: impl FnMut(SiteName, usize) -> Result<To<'a>>,
    ) -> Result<Vec<Change<'a>>> {
        let places = self.sites.iter().flat_map(|&site| {
            let positions = self.positions.iter();
            positions.map(move |&position| (site, position))
        });
        places
            .map(|(site, position)| {
                Ok(Change {
                    heads: self.head.map(|head| vec![head]),
                    ..Change::at(site, position, to(site, position)?)
                })
            })
            .collect()
    }
}

/// A map of one model: its rows, and its columns where these do not hang on the prompt.
#[derive(Debug, Clone)]
pub struct Grid {
    by: By,
    rows: Vec<Vec<SiteName>>,
    /// Heads of a layer.
    heads: usize,
    /// The only positions that are changed, if not all are.
    positions: Option<Vec<usize>>,
}

impl Grid {
    /// A map over `sites`, changed at `positions` only if some are given.
    ///
    /// # Errors
    /// Usage: no site, sites without heads where these are wanted, a window that is longer than the model, or positions
    /// that are none.
    pub fn of(
        arch: &Architecture,
        sites: &[SiteName],
        by: By,
        positions: Option<Vec<usize>>,
    ) -> Result<Self> {
        if sites.is_empty() {
            return Err(Fault::usage(DOING, "no site").expected("at least one"));
        }
        if let Some(positions) = &positions {
            distinct(DOING, positions)?;
        }
        let mut heads = 0;
        let rows = match by {
            By::Position => sites.iter().map(|&site| vec![site]).collect(),
            By::Head => {
                for &site in sites {
                    let of_site = heads_of(arch, site)?;
                    if heads != 0 && of_site != heads {
                        return Err(Fault::usage(
                            DOING,
                            format!("layers of {heads} and of {of_site} heads"),
                        )
                        .expected("layers that have equally many")
                        .hint("choose some of them with --sites"));
                    }
                    heads = of_site;
                }
                sites.iter().map(|&site| vec![site]).collect()
            }
            By::Window(length) => windows(sites, Some(length))?,
            By::AllLayers => windows(sites, None)?,
        };
        Ok(Self {
            by,
            rows,
            heads,
            positions,
        })
    }

    /// What the rows and columns are.
    #[must_use]
    pub fn by(&self) -> By {
        self.by
    }

    /// The sites of each row, which are changed together.
    #[must_use]
    pub fn rows(&self) -> &[Vec<SiteName>] {
        &self.rows
    }

    /// What a row is called: its site, or the first and the last layer of a window.
    #[must_use]
    pub fn label(&self, row: usize) -> String {
        let sites: &[SiteName] = self.rows.get(row).map_or(&[], Vec::as_slice);
        match sites {
            [first, .., last] => match (first.layer, last.layer) {
                (Some(from), Some(to)) => format!("blocks.{from}-{to}.{}", first.hook()),
                _ => first.to_string(),
            },
            [only] => only.to_string(),
            [] => String::new(),
        }
    }

    /// The positions that are changed in a prompt of `seq` tokens.
    #[must_use]
    pub fn positions(&self, seq: usize) -> Vec<usize> {
        self.positions.clone().unwrap_or_else(|| (0..seq).collect())
    }

    /// Every site of the map, once.
    #[must_use]
    pub fn sites(&self) -> Vec<SiteName> {
        let mut all: Vec<SiteName> = Vec::new();
        for site in self.rows.iter().flatten() {
            if !all.contains(site) {
                all.push(*site);
            }
        }
        all
    }

    /// The heads or positions that the columns are, in a prompt of `seq` tokens.
    ///
    /// # Errors
    /// Usage: a position that the prompt lacks.
    pub fn columns(&self, seq: usize) -> Result<Vec<usize>> {
        if let Some(outside) = self.positions.iter().flatten().find(|at| **at >= seq) {
            return Err(Fault::usage(DOING, format!("position {outside}"))
                .expected(format!("a position below {seq}, the prompt's length")));
        }
        Ok(match self.by {
            By::Head => (0..self.heads).collect(),
            _ => self.positions(seq),
        })
    }

    /// The cells in a prompt of `seq` tokens, row by row.
    ///
    /// # Errors
    /// As [`Grid::columns`].
    pub fn cells(&self, seq: usize) -> Result<Vec<Cell>> {
        let columns = self.columns(seq)?;
        let cell = |sites: &Vec<SiteName>, column: usize| {
            let (positions, head) = match self.by {
                By::Head => (self.positions(seq), Some(column)),
                _ => (vec![column], None),
            };
            Cell {
                sites: sites.clone(),
                positions,
                head,
            }
        };
        let rows = self.rows.iter();
        Ok(rows
            .flat_map(|sites| columns.iter().map(move |&column| cell(sites, column)))
            .collect())
    }
}

const DOING: &str = "laying out a patching map";

/// Refuses a list of positions that is empty or names one twice.
pub(super) fn distinct(doing: &str, positions: &[usize]) -> Result<()> {
    let mut sorted = positions.to_vec();
    sorted.sort_unstable();
    if sorted.is_empty() {
        return Err(Fault::usage(doing, "no position").expected("at least one"));
    }
    match sorted.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => Err(Fault::usage(doing, format!("position {} twice", two[0]))
            .expected("each position once")),
        None => Ok(()),
    }
}

fn heads_of(arch: &Architecture, site: SiteName) -> Result<usize> {
    match arch.site(site).map(|site| site.layout) {
        Some(Layout::Heads { heads, .. }) if site.point == Point::HookZ => Ok(heads),
        _ => Err(Fault::usage(
            format!("patching `{site}` head by head"),
            "a site that has no heads",
        )
        .expected("`attn.hook_z`")
        .hint("--sites 'blocks.*.attn.hook_z'")),
    }
}

/// Windows of consecutive layers, or one over all layers; each kind of site for itself.
fn windows(sites: &[SiteName], length: Option<usize>) -> Result<Vec<Vec<SiteName>>> {
    let mut kinds: Vec<(Point, Vec<SiteName>)> = Vec::new();
    for &site in sites {
        match kinds.iter_mut().find(|(point, _)| *point == site.point) {
            Some((_, of_kind)) => of_kind.push(site),
            None => kinds.push((site.point, vec![site])),
        }
    }
    let mut rows = Vec::new();
    for (_, mut of_kind) in kinds {
        of_kind.sort_by_key(|site| site.layer);
        let most = of_kind.len();
        let length = length.unwrap_or(most);
        if length == 0 || length > most {
            return Err(
                Fault::usage(DOING, format!("windows of {length} layers")).expected(format!(
                    "1 to {most}, the number of layers of `{}` that are chosen",
                    of_kind.first().map_or("", SiteName::hook)
                )),
            );
        }
        rows.extend(of_kind.windows(length).map(<[SiteName]>::to_vec));
    }
    Ok(rows)
}
