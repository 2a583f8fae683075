//! W_hh and the cell for processors with AVX-512: sixteen hidden units in a register.

/// One step of all texts, block after block: what the kernels here have in common.
macro_rules! step {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        fn step_here(&self, groups: &mut [Group], inputs: &[&[Gates]], out: &mut [__m512]) {
            let blocks = self.0.len().max(1);
            for (block, panel) in self.0.iter().enumerate() {
                let texts = inputs.chunks(ROWS).zip(out.chunks_mut(blocks.saturating_mul(ROWS)));
                for (group, (inputs, out)) in groups.iter_mut().zip(texts) {
                    match inputs.len() {
                        6 => tile::<6>(panel, group, inputs, (block, blocks), out),
                        5 => tile::<5>(panel, group, inputs, (block, blocks), out),
                        4 => tile::<4>(panel, group, inputs, (block, blocks), out),
                        3 => tile::<3>(panel, group, inputs, (block, blocks), out),
                        2 => tile::<2>(panel, group, inputs, (block, blocks), out),
                        _ => tile::<1>(panel, group, inputs, (block, blocks), out),
                    }
                }
            }
            for group in groups {
                std::mem::swap(&mut group.left, &mut group.next);
            }
        }
    };
}

pub(super) mod bf16;
pub(super) mod bf16_fma;
pub(super) mod bf16_half;
mod cell;
pub(super) mod fp32;
pub(super) mod int8;

/// Texts whose gates are computed at once: 6 times 4 sums are 24 of the 32 registers.
pub(super) const ROWS: usize = 6;
