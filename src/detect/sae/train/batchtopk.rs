//! Batch-top-k (Bussmann et al. 2024, "BatchTopK sparse autoencoders"): the `k·rows` largest positive pre-activations of a
//! batch. Used with a fixed threshold afterwards, the running mean of the smallest activation of a batch.

use super::entries::{Entries, Entry};
use super::rule::{Architecture, Inference, Rule};
use super::select::choose;
use super::{Parameters, Settings};

pub(super) const ARCHITECTURE: Architecture = Architecture {
    name: "batchtopk",
    summary: "the k·n largest pre-activations of n tokens (Bussmann et al. 2024)",
    rule: |settings| Box::new(BatchTopK::new(settings)),
};

/// How far the running mean of the threshold moves in a step, as in SAELens.
const THRESHOLD_RATE: f64 = 0.01;

#[derive(Debug)]
pub(super) struct BatchTopK {
    k: usize,
    /// Running mean; 0 before the first batch, as in SAELens.
    threshold: f64,
    /// What lies below is not even looked at: most of what is positive is far below the threshold.
    floor: f32,
}

impl BatchTopK {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            k: settings.k,
            threshold: 0.0,
            floor: 0.0,
        }
    }
}

impl Rule for BatchTopK {
    fn look(
        &self,
        hidden: &[f32],
        _parameters: &Parameters,
        entries: &mut Entries,
        _scratch: &mut Vec<f32>,
    ) {
        for (feature, &value) in hidden.iter().enumerate() {
            if value > self.floor {
                entries.all.push(Entry::active(feature, value));
            }
        }
    }

    fn settle(&mut self, pieces: &mut [&mut Entries], rows: usize) -> bool {
        let wanted = self.k * rows;
        let mut values: Vec<f32> = pieces
            .iter()
            .flat_map(|piece| &piece.all)
            .map(|entry| entry.act)
            .collect();
        if values.len() < wanted && self.floor > 0.0 {
            self.floor = 0.0;
            return false;
        }
        if values.is_empty() {
            return true;
        }
        let bar = choose(&mut values, wanted);
        let above = values.iter().filter(|value| **value > bar).count();
        let mut equals = wanted.saturating_sub(above);
        for piece in pieces {
            piece.retain(|entry| {
                if entry.act > bar {
                    return true;
                }
                let equal = entry.act >= bar && equals > 0;
                equals -= usize::from(equal);
                equal
            });
        }
        self.threshold += THRESHOLD_RATE * (f64::from(bar) - self.threshold);
        // Half of it leaves room for the next batch.
        self.floor = bar / 2.0;
        true
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "thresholds are in single precision"
    )]
    fn inference(&self, settings: &Settings, _parameters: &Parameters) -> Inference {
        Inference::JumpReLU(vec![self.threshold as f32; settings.d_sae])
    }

    fn state(&self) -> f64 {
        self.threshold
    }

    fn restore(&mut self, state: f64) {
        self.threshold = state;
    }
}
