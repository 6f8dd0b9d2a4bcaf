//! Which cell of a patching map is named when several carry the decision.

/// Share of the strongest cell's effect that counts as carrying as much. What all of the decision passes through has the effect 1 at every
/// layer, but for noise: which of these is the largest says nothing.
const AS_MUCH: f64 = 0.9;

/// What patching one class of positions at one site does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellEffect<C> {
    /// The cell, whatever it is called by.
    pub cell: C,
    /// The row of the map, from the first layer to the last.
    pub row: usize,
    /// Whether it is the position at which the answer is read.
    pub at_answer: bool,
    /// The mean effect.
    pub effect: f64,
}

/// The cell at which the decision arrives: of those that carry as much as the strongest, the earliest at the answer's position; if none is
/// there, the latest elsewhere, from which it has not moved on. `None` of no cell with a defined effect.
pub fn arrival<C: Copy>(cells: impl IntoIterator<Item = CellEffect<C>>) -> Option<CellEffect<C>> {
    let cells: Vec<CellEffect<C>> = cells
        .into_iter()
        .filter(|cell| !cell.effect.is_nan())
        .collect();
    let strongest = cells
        .iter()
        .max_by(|a, b| a.effect.total_cmp(&b.effect))
        .copied()?;
    let as_much = || {
        cells
            .iter()
            .filter(|cell| cell.effect >= AS_MUCH * strongest.effect)
    };
    let at_answer = as_much()
        .filter(|cell| cell.at_answer)
        .min_by_key(|cell| cell.row);
    let elsewhere =
        || as_much().max_by(|a, b| a.row.cmp(&b.row).then(a.effect.total_cmp(&b.effect)));
    // Where nothing has an effect of the right sign, shares of it mean nothing.
    (strongest.effect > 0.0)
        .then(|| at_answer.or_else(elsewhere).copied())
        .flatten()
        .or(Some(strongest))
}

#[cfg(test)]
mod tests {
    use super::{CellEffect, arrival};

    /// Rows of effects elsewhere and at the answer's position.
    fn named(rows: &[(f64, f64)]) -> Option<(usize, bool)> {
        let cells = rows
            .iter()
            .enumerate()
            .flat_map(|(row, (elsewhere, answer))| {
                [(false, *elsewhere), (true, *answer)].map(|(at_answer, effect)| CellEffect {
                    cell: (row, at_answer),
                    row,
                    at_answer,
                    effect,
                })
            });
        arrival(cells).map(|found| found.cell)
    }

    #[test]
    fn noise_does_not_choose_among_cells_that_carry_all() {
        let decided = [
            (1.0, 0.0),
            (1.003, 0.0),
            (0.0, 0.998),
            (0.0, 1.0),
            (0.0, 1.004),
        ];
        assert_eq!(named(&decided), Some((2, true)));
    }

    #[test]
    fn what_has_not_reached_the_answer_is_named_where_it_was_last() {
        assert_eq!(
            named(&[(1.0, 0.0), (0.95, 0.1), (0.3, 0.2)]),
            Some((1, false))
        );
    }

    #[test]
    fn a_stronger_cell_is_not_passed_over() {
        assert_eq!(
            named(&[(0.9, 0.1), (0.2, 0.5), (0.1, 0.7)]),
            Some((0, false))
        );
        assert_eq!(named(&[(f64::NAN, -0.2), (-0.1, -0.4)]), Some((1, false)));
        assert_eq!(named(&[(f64::NAN, f64::NAN)]), None);
    }
}
