//! N-grams beside the LSTM: sums of rows, as an embedding bag.

use crate::{Encoded, Weights, architecture::WIDE_WEIGHT};

/// The rows of all buckets.
#[derive(Debug)]
pub(super) struct Grams {
    rows: Vec<f32>,
    width: usize,
    /// Whether the sums are logits already, or are read beside what the layers read.
    beside: bool,
}

impl Grams {
    /// `width` of the bag; 0 where the rows are of logits.
    pub(super) fn new(weights: &Weights, width: usize, classes: usize) -> Option<Self> {
        let rows = weights.0.get(WIDE_WEIGHT)?.values.clone();
        let beside = width > 0;
        Some(Self { rows, width: if beside { width } else { classes }, beside })
    }

    /// How much of the output layer's input is the bag.
    pub(super) const fn bag_width(&self) -> usize {
        if self.beside { self.width } else { 0 }
    }

    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.rows.as_slice())
    }

    /// A text's bag.
    pub(super) fn bag(&self, text: &Encoded) -> Vec<f32> {
        let mut sums = vec![0.0_f32; self.width];
        for gram in &text.grams {
            let row = usize::try_from(gram.bucket).ok().and_then(|bucket| {
                let from = bucket.checked_mul(self.width)?;
                self.rows.get(from..from.checked_add(self.width)?)
            });
            for (sum, value) in sums.iter_mut().zip(row.unwrap_or_default()) {
                *sum += gram.weight * value;
            }
        }
        if self.beside {
            sums.iter_mut().for_each(|sum| *sum = sum.max(0.0));
        }
        sums
    }
}
