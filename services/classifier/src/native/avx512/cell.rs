//! The LSTM's cell for sixteen units at once.

use std::arch::x86_64::{
    __m512, _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512, _mm512_castps_si512,
    _mm512_castsi512_ps, _mm512_div_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_max_ps,
    _mm512_min_ps, _mm512_mul_ps, _mm512_rcp14_ps, _mm512_roundscale_ps, _mm512_scalef_ps,
    _mm512_set1_epi32, _mm512_set1_ps, _mm512_srli_epi32, _mm512_sub_ps,
};

use super::super::Gates;

/// Beyond it σ is 0 or 1 in fp32, and products of three exponentials stay finite.
const SIGMOID_MOST: f32 = 25.0;
/// Beyond it tanh is ±1 in fp32.
const TANH_MOST: f32 = 9.1;

/// eˣ by Cephes' polynomial, for |x| up to 87: to about one unit in the last place if `FINE`, else, with
/// the polynomial's first terms alone, to 5·10⁻⁵ of it.
#[inline]
#[target_feature(enable = "avx512f")]
fn exp<const FINE: bool>(x: __m512) -> __m512 {
    let set = |number: f32| _mm512_set1_ps(number);
    let n = _mm512_roundscale_ps::<0x08>(_mm512_mul_ps(x, set(std::f32::consts::LOG2_E)));
    // ln 2 in two parts, so that nothing is lost.
    let r = _mm512_fnmadd_ps(n, set(0.693_359_4), x);
    let r = _mm512_fnmadd_ps(n, set(-2.121_944_4e-4), r);
    let mut p = set(if FINE { 1.987_569_1e-4 } else { 4.166_579_6e-2 });
    if FINE {
        for coefficient in [1.398_199_9e-3_f32, 8.333_452e-3, 4.166_579_6e-2] {
            p = _mm512_fmadd_ps(p, r, set(coefficient));
        }
    }
    p = _mm512_fmadd_ps(p, r, set(1.666_666_5e-1));
    p = _mm512_fmadd_ps(p, r, set(0.5));
    let p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, set(1.0)));
    _mm512_scalef_ps(p, n)
}

/// The quotient, exactly if `FINE`, else to 2⁻¹⁴ of it.
#[inline]
#[target_feature(enable = "avx512f")]
fn quotient<const FINE: bool>(above: __m512, below: __m512) -> __m512 {
    if FINE { _mm512_div_ps(above, below) } else { _mm512_mul_ps(above, _mm512_rcp14_ps(below)) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn clamp(x: __m512, most: f32) -> __m512 {
    _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-most)), _mm512_set1_ps(most))
}

/// 1 + e⁻ˣ, whose inverse is σ(x).
#[inline]
#[target_feature(enable = "avx512f")]
fn inverse_sigmoid<const FINE: bool>(x: __m512) -> __m512 {
    let x = clamp(x, SIGMOID_MOST);
    _mm512_add_ps(exp::<FINE>(_mm512_sub_ps(_mm512_set1_ps(0.0), x)), _mm512_set1_ps(1.0))
}

/// e²ˣ − 1 and e²ˣ + 1, whose quotient is tanh(x).
#[inline]
#[target_feature(enable = "avx512f")]
fn tanh_parts<const FINE: bool>(x: __m512) -> (__m512, __m512) {
    let x = clamp(x, TANH_MOST);
    let (e, one) = (exp::<FINE>(_mm512_add_ps(x, x)), _mm512_set1_ps(1.0));
    (_mm512_sub_ps(e, one), _mm512_add_ps(e, one))
}

/// The new cell σ(f)·c + σ(i)·tanh(g) and hidden state σ(o)·tanh(c).
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn cell(gates: Gates, cell: __m512) -> (__m512, __m512) {
    state::<true>(gates, cell)
}

/// The same to 10⁻⁴ or so: for a hidden state that is kept in bf16, which rounds it forty times as much.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn coarse_cell(gates: Gates, cell: __m512) -> (__m512, __m512) {
    state::<false>(gates, cell)
}

/// Divisions cost the most, so each of the two numbers has one.
#[inline]
#[target_feature(enable = "avx512f")]
fn state<const FINE: bool>([i, f, g, o]: Gates, cell: __m512) -> (__m512, __m512) {
    let [i, f, o] = [i, f, o].map(|gate| inverse_sigmoid::<FINE>(gate));
    let (above, below) = tanh_parts::<FINE>(g);
    let ig = _mm512_mul_ps(i, below);
    let sum = _mm512_fmadd_ps(cell, ig, _mm512_mul_ps(above, f));
    let cell = quotient::<FINE>(sum, _mm512_mul_ps(f, ig));
    let (above, below) = tanh_parts::<FINE>(cell);
    (cell, quotient::<FINE>(above, _mm512_mul_ps(o, below)))
}

/// The bits of fp32 that bf16 has.
const UPPER: i32 = -0x1_0000;

/// The nearest numbers in bf16, to even between two, as fp32.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn rounded(numbers: __m512) -> __m512 {
    let bits = _mm512_castps_si512(numbers);
    let set = |number| _mm512_set1_epi32(number);
    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), set(1));
    let nearest = _mm512_add_epi32(bits, _mm512_add_epi32(odd, set(0x7fff)));
    _mm512_castsi512_ps(_mm512_and_si512(nearest, set(UPPER)))
}
