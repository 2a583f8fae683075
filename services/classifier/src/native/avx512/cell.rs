//! The LSTM's cell for sixteen units at once.

use std::arch::x86_64::{
    __m512, _mm512_add_ps, _mm512_div_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_max_ps,
    _mm512_min_ps, _mm512_mul_ps, _mm512_roundscale_ps, _mm512_scalef_ps, _mm512_set1_ps,
    _mm512_sub_ps,
};

use super::super::Gates;

/// Beyond it σ is 0 or 1 in fp32, and products of three exponentials stay finite.
const SIGMOID_MOST: f32 = 25.0;
/// Beyond it tanh is ±1 in fp32.
const TANH_MOST: f32 = 9.1;

/// eˣ to about one unit in the last place, by Cephes' polynomial, for |x| up to 87.
#[inline]
#[target_feature(enable = "avx512f")]
fn exp(x: __m512) -> __m512 {
    let set = |number: f32| _mm512_set1_ps(number);
    let n = _mm512_roundscale_ps::<0x08>(_mm512_mul_ps(x, set(std::f32::consts::LOG2_E)));
    // ln 2 in two parts, so that nothing is lost.
    let r = _mm512_fnmadd_ps(n, set(0.693_359_4), x);
    let r = _mm512_fnmadd_ps(n, set(-2.121_944_4e-4), r);
    let mut p = set(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3_f32, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = _mm512_fmadd_ps(p, r, set(coefficient));
    }
    let p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, set(1.0)));
    _mm512_scalef_ps(p, n)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn clamp(x: __m512, most: f32) -> __m512 {
    _mm512_min_ps(_mm512_max_ps(x, _mm512_set1_ps(-most)), _mm512_set1_ps(most))
}

/// 1 + e⁻ˣ, whose inverse is σ(x).
#[inline]
#[target_feature(enable = "avx512f")]
fn inverse_sigmoid(x: __m512) -> __m512 {
    let x = clamp(x, SIGMOID_MOST);
    _mm512_add_ps(exp(_mm512_sub_ps(_mm512_set1_ps(0.0), x)), _mm512_set1_ps(1.0))
}

/// e²ˣ − 1 and e²ˣ + 1, whose quotient is tanh(x).
#[inline]
#[target_feature(enable = "avx512f")]
fn tanh_parts(x: __m512) -> (__m512, __m512) {
    let x = clamp(x, TANH_MOST);
    let (e, one) = (exp(_mm512_add_ps(x, x)), _mm512_set1_ps(1.0));
    (_mm512_sub_ps(e, one), _mm512_add_ps(e, one))
}

/// The new cell σ(f)·c + σ(i)·tanh(g) and hidden state σ(o)·tanh(c). Divisions cost the most, so
/// each of the two has one.
#[inline]
#[target_feature(enable = "avx512f")]
pub(super) fn cell([i, f, g, o]: Gates, cell: __m512) -> (__m512, __m512) {
    let (i, f, o) = (inverse_sigmoid(i), inverse_sigmoid(f), inverse_sigmoid(o));
    let (above, below) = tanh_parts(g);
    let ig = _mm512_mul_ps(i, below);
    let sum = _mm512_fmadd_ps(cell, ig, _mm512_mul_ps(above, f));
    let cell = _mm512_div_ps(sum, _mm512_mul_ps(f, ig));
    let (above, below) = tanh_parts(cell);
    (cell, _mm512_div_ps(above, _mm512_mul_ps(o, below)))
}
