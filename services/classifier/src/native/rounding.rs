//! Weights in fewer bits, alike on all processors.

use super::Matrix;

/// What 1 is of a hidden state in 8 bits.
pub(super) const ONE: f32 = 127.0;

/// The nearest number in bf16, to even between two.
const fn round(number: f32) -> u32 {
    let bits = number.to_bits();
    bits.wrapping_add(0x7fff).wrapping_add((bits >> 16) & 1) >> 16
}

/// Two numbers in bf16.
pub(super) const fn pair(low: f32, high: f32) -> u32 {
    round(low) | (round(high) << 16)
}

/// Two numbers of which the second is the whole, read as fp32: its upper half is chosen so that with
/// the first below it it comes nearest to what it should be, which needs no mask to take it out.
pub(super) fn pair_unmasked(low: f32, high: f32) -> u32 {
    let low = round(low);
    let upper = high.to_bits().saturating_sub(low).saturating_add(0x8000) & !0xffff;
    low | upper
}

/// What the 8-bit weights of a hidden unit's gate are to be multiplied with.
pub(super) fn scale(matrix: Matrix<'_>, gate: usize, unit: usize) -> f32 {
    let largest = (0..matrix.inputs).map(|k| matrix.at(gate, unit, k).abs());
    largest.fold(0.0_f32, f32::max) / ONE
}

/// A weight in 8 bits: the nearest whole number of `scale`; what does not fit is cut.
#[expect(clippy::as_conversions, reason = "a cast from floating point saturates, which is meant")]
pub(super) fn quantised(weight: f32, scale: f32) -> i8 {
    if scale > 0.0 { (weight / scale).round_ties_even() as i8 } else { 0 }
}
