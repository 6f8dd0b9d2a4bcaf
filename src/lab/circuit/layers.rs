//! Puts items in rows so that what belongs together stands together (Sugiyama et al. 1981: order by barycentres, then positions).

/// What stands in a row: a node, or the place where a sender's edges pass.
pub(super) struct Item {
    pub row: usize,
    pub width: f64,
    /// Its centre.
    pub x: f64,
    /// Items in other rows that it is joined to.
    pub beside: Vec<usize>,
}

/// Rounds of ordering, and of moving towards neighbours.
const ROUNDS: usize = 12;

/// Gives every item its x, from 0 on; the width of the whole.
pub(super) fn arrange(items: &mut [Item], rows: usize) -> f64 {
    let mut order: Vec<Vec<usize>> = vec![Vec::new(); rows];
    for (at, item) in items.iter().enumerate() {
        if let Some(row) = order.get_mut(item.row) {
            row.push(at);
        }
    }
    for row in &order {
        let total: f64 = row.iter().map(|&at| items[at].width).sum();
        let mut next = -total / 2.0;
        for &at in row {
            items[at].x = next + items[at].width / 2.0;
            next += items[at].width;
        }
    }
    for round in 0..ROUNDS {
        for step in 0..rows {
            let row = if round % 2 == 0 {
                step
            } else {
                rows - 1 - step
            };
            settle(items, &mut order[row], round * 2 < ROUNDS);
        }
    }
    let edge = |sign: f64| {
        let ends = items.iter().map(|item| sign * item.x + item.width / 2.0);
        ends.fold(f64::NEG_INFINITY, f64::max)
    };
    let (left, right) = (-edge(-1.0), edge(1.0));
    for item in items.iter_mut() {
        item.x -= left;
    }
    (right - left).max(0.0)
}

/// Moves the items of a row towards their neighbours, as far as they leave one another room.
fn settle(items: &mut [Item], row: &mut [usize], reorder: bool) {
    let wanted = |at: usize| {
        let beside: Vec<f64> = items[at]
            .beside
            .iter()
            .map(|&other| items[other].x)
            .collect();
        crate::stats::mean(&beside).unwrap_or(items[at].x)
    };
    let mut places: Vec<(f64, usize)> = row.iter().map(|&at| (wanted(at), at)).collect();
    if reorder {
        places.sort_by(|a, b| a.0.total_cmp(&b.0));
    }
    let apart = |a: usize, b: usize| f64::midpoint(items[a].width, items[b].width);
    // As far left as may be, as far right as may be; between the two everything has room.
    let mut left: Vec<f64> = places.iter().map(|(x, _)| *x).collect();
    for at in 1..places.len() {
        left[at] = left[at].max(left[at - 1] + apart(places[at - 1].1, places[at].1));
    }
    let mut right: Vec<f64> = places.iter().map(|(x, _)| *x).collect();
    for at in (1..places.len()).rev() {
        right[at - 1] = right[at - 1].min(right[at] - apart(places[at - 1].1, places[at].1));
    }
    for (slot, (place, (left, right))) in row
        .iter_mut()
        .zip(places.iter().zip(left.iter().zip(&right)))
    {
        *slot = place.1;
        items[place.1].x = f64::midpoint(*left, *right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn items_of_a_row_have_room_and_lie_within_the_width(
            rows in proptest::collection::vec(1_usize..6, 1..6),
            joined in proptest::collection::vec((0_usize..40, 0_usize..40), 0..60),
        ) {
            let mut items: Vec<Item> = Vec::new();
            for (row, n) in rows.iter().enumerate() {
                items.extend((0..*n).map(|at| Item {
                    row,
                    width: if at % 2 == 0 { 90.0 } else { 24.0 },
                    x: 0.0,
                    beside: Vec::new(),
                }));
            }
            let n = items.len();
            for (a, b) in joined {
                let (a, b) = (a % n, b % n);
                if items[a].row != items[b].row {
                    items[a].beside.push(b);
                    items[b].beside.push(a);
                }
            }
            let width = arrange(&mut items, rows.len());
            for a in &items {
                prop_assert!(a.x - a.width / 2.0 >= -1e-6 && a.x + a.width / 2.0 <= width + 1e-6);
            }
            for (i, a) in items.iter().enumerate() {
                for b in items.iter().skip(i + 1).filter(|b| b.row == a.row) {
                    prop_assert!((a.x - b.x).abs() >= f64::midpoint(a.width, b.width) - 1e-6);
                }
            }
        }
    }
}
