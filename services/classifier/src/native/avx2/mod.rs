//! W_hh and the cell for processors with AVX2 and FMA: eight hidden units in a register. What they
//! compute in fp32 and in 8-bit integers is bit for bit what AVX-512 computes.

use std::arch::x86_64::{__m256, __m512};

use super::Gates;

/// One step of all texts, block after block: what the kernels here have in common.
macro_rules! step {
    ($features:literal) => {
        #[target_feature(enable = $features)]
        fn step_here(&self, groups: &mut [Group], inputs: &[&[Gates]], out: &mut [__m512]) {
            let count = self.0.len().max(1);
            let out = halves(out);
            for (half, panel) in self.0.iter().enumerate() {
                let texts = inputs.chunks(ROWS).zip(out.chunks_mut(count.saturating_mul(ROWS)));
                for (group, (inputs, out)) in groups.iter_mut().zip(texts) {
                    match inputs.len() {
                        3 => tile::<3>(panel, group, inputs, (half, count), out),
                        2 => tile::<2>(panel, group, inputs, (half, count), out),
                        _ => tile::<1>(panel, group, inputs, (half, count), out),
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
mod cell;
pub(super) mod fp32;
pub(super) mod int8;

/// Texts whose gates are computed at once: 3 times 4 sums are 12 of the 16 registers.
const ROWS: usize = 3;
/// Numbers in a register: half a block's.
const LANES: usize = 8;

/// The gates of eight hidden units.
type Half = [__m256; 4];

/// Eight zeros.
const ZERO: __m256 = bytemuck::must_cast([0.0_f32; LANES]);

/// The gates of one half of a block, of those that are kept in whole ones.
#[inline(always)]
fn half_of(gates: &[Gates], half: usize) -> Half {
    let [i, f, g, o]: [&[__m256; 2]; 4] = match gates.get(half / 2) {
        Some(gates) => gates.each_ref().map(bytemuck::must_cast_ref::<__m512, [__m256; 2]>),
        None => return [ZERO; 4],
    };
    if half.is_multiple_of(2) { [i[0], f[0], g[0], o[0]] } else { [i[1], f[1], g[1], o[1]] }
}

/// The hidden states of all texts in halves, text after text.
fn halves(out: &mut [__m512]) -> &mut [__m256] {
    bytemuck::cast_slice_mut(out)
}
