//! The few features that matter on each row: everything behind the encoder's product is sparse.

/// A feature on a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    pub feature: u32,
    /// Before the activation.
    pub hidden: f32,
    /// After it; 0 for a feature that is only near its threshold.
    pub act: f32,
}

impl Entry {
    /// A feature whose activation is its pre-activation.
    #[allow(
        clippy::cast_possible_truncation,
        reason = "dictionaries have fewer than 2^32 features"
    )]
    pub fn active(feature: usize, value: f32) -> Self {
        Self {
            feature: feature as u32,
            hidden: value,
            act: value,
        }
    }
}

/// What a batch-wide loss says of one entry.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Slope {
    /// By the pre-activation.
    pub hidden: f32,
    /// By the threshold.
    pub threshold: f32,
}

/// The entries of consecutive rows, each row's in the order of its features.
#[derive(Debug, Default)]
pub(super) struct Entries {
    /// Where each row's end.
    pub ends: Vec<usize>,
    pub all: Vec<Entry>,
    /// One for each entry, once known.
    pub slopes: Vec<Slope>,
}

impl Entries {
    pub fn clear(&mut self) {
        self.ends.clear();
        self.all.clear();
        self.slopes.clear();
    }

    pub fn end_row(&mut self) {
        self.ends.push(self.all.len());
    }

    /// The entries of a row.
    pub fn row(&self, row: usize) -> &[Entry] {
        let start = if row == 0 { 0 } else { self.ends[row - 1] };
        &self.all[start..self.ends[row]]
    }

    /// Keeps only what `keep` says, asked row by row and in order.
    pub fn retain(&mut self, mut keep: impl FnMut(&Entry) -> bool) {
        let (mut from, mut to) = (0, 0);
        for end in &mut self.ends {
            while from < *end {
                let entry = self.all[from];
                if keep(&entry) {
                    self.all[to] = entry;
                    to += 1;
                }
                from += 1;
            }
            *end = to;
        }
        self.all.truncate(to);
    }
}

/// One row of a feature.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub row: u32,
    pub act: f32,
    pub slope: Slope,
}

/// The entries of a whole batch, feature by feature, each one's rows in order: what gradients are summed over, in an order
/// that no number of threads changes.
#[derive(Debug, Default)]
pub(super) struct ByFeature {
    starts: Vec<usize>,
    items: Vec<Item>,
}

impl ByFeature {
    /// From the entries of pieces of `rows` rows each.
    pub fn fill(&mut self, d_sae: usize, rows: usize, pieces: &[&Entries]) {
        self.starts.clear();
        self.starts.resize(d_sae + 1, 0);
        let all = || pieces.iter().flat_map(|entries| &entries.all);
        for entry in all() {
            self.starts[entry.feature as usize + 1] += 1;
        }
        for feature in 0..d_sae {
            self.starts[feature + 1] += self.starts[feature];
        }
        let empty = Item {
            row: 0,
            act: 0.0,
            slope: Slope::default(),
        };
        self.items.clear();
        self.items.resize(self.starts[d_sae], empty);
        let mut next = self.starts.clone();
        for (piece, entries) in pieces.iter().enumerate() {
            let (mut row, mut place) = (0, 0);
            for (entry, slope) in entries.all.iter().zip(&entries.slopes) {
                while entries.ends[row] <= place {
                    row += 1;
                }
                place += 1;
                let next = &mut next[entry.feature as usize];
                self.items[*next] = Item {
                    #[allow(clippy::cast_possible_truncation, reason = "batches are smaller")]
                    row: (piece * rows + row) as u32,
                    act: entry.act,
                    slope: *slope,
                };
                *next += 1;
            }
        }
    }

    /// The rows of a feature, ascending.
    pub fn of(&self, feature: usize) -> &[Item] {
        &self.items[self.starts[feature]..self.starts[feature + 1]]
    }
}
