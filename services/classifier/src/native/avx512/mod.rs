//! W_hh and the cell for processors with AVX-512: sixteen hidden units in a register.

pub(super) mod bf16;
mod cell;
pub(super) mod fp32;
pub(super) mod int8;

/// Texts whose gates are computed at once: 6 times 4 sums are 24 of the 32 registers.
pub(super) const ROWS: usize = 6;
