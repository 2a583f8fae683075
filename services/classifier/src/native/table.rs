//! What each token adds to the gates, computed when it first comes.

use std::sync::OnceLock;

use super::{
    Gates,
    dense::{Dense, ROWS},
};

/// A row a token; all of them are what the embedding and W_ih are for.
#[derive(Debug)]
pub(super) struct Table {
    rows: Vec<OnceLock<Box<[Gates]>>>,
    embedding: Vec<f32>,
    width: usize,
    dense: Dense,
}

impl Table {
    pub(super) fn new(embedding: &[f32], width: usize, dense: Dense) -> Self {
        let rows = (0..embedding.len() / width.max(1)).map(|_| OnceLock::new()).collect();
        Self { rows, embedding: embedding.to_vec(), width, dense }
    }

    /// Computes the rows of these tokens that are not there yet.
    pub(super) fn fill(&self, texts: &[&[i64]]) {
        let place = |id: &i64| usize::try_from(*id).ok();
        let empty = |index: &usize| self.rows.get(*index).is_some_and(|row| row.get().is_none());
        let mut missing: Vec<usize> =
            texts.iter().copied().flatten().filter_map(place).filter(empty).collect();
        missing.sort_unstable();
        missing.dedup();
        for six in missing.chunks(ROWS) {
            let from = |index: usize| index.saturating_mul(self.width);
            let inputs: Vec<&[f32]> = six
                .iter()
                .filter_map(|&index| self.embedding.get(from(index)..from(index + 1)))
                .collect();
            for (index, row) in six.iter().zip(self.dense.gate_rows(&inputs)) {
                if let Some(place) = self.rows.get(*index) {
                    // Another worker may have been faster; both computed the same.
                    drop(place.set(row));
                }
            }
        }
    }

    /// A token's row; `fill` was asked for it before.
    pub(super) fn row(&self, id: i64) -> &[Gates] {
        let row = usize::try_from(id).ok().and_then(|index| self.rows.get(index));
        row.and_then(OnceLock::get).map_or(&[], |row| row)
    }

    /// What it takes when every token has come.
    pub(super) fn bytes(&self) -> usize {
        let row = self.dense.bytes() / self.width.max(1);
        let rows = self.rows.len().saturating_mul(row);
        rows.saturating_add(size_of_val(self.embedding.as_slice()))
            .saturating_add(self.dense.bytes())
    }
}
