//! The LSTM's cell for eight units at once.

use std::arch::x86_64::{
    __m256, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm256_add_epi32, _mm256_add_ps,
    _mm256_castsi256_ps, _mm256_cvtps_epi32, _mm256_div_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps,
    _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_round_ps, _mm256_set1_epi32,
    _mm256_set1_ps, _mm256_slli_epi32, _mm256_sub_ps,
};

use super::Half;

/// Beyond it σ is 0 or 1 in fp32, and products of three exponentials stay finite.
const SIGMOID_MOST: f32 = 25.0;
/// Beyond it tanh is ±1 in fp32.
const TANH_MOST: f32 = 9.1;

/// To the nearest whole number, to even between two.
const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;

/// eˣ to about one unit in the last place, by Cephes' polynomial, for |x| up to 87.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn exp(x: __m256) -> __m256 {
    let set = |number: f32| _mm256_set1_ps(number);
    let n = _mm256_round_ps::<NEAREST>(_mm256_mul_ps(x, set(std::f32::consts::LOG2_E)));
    // ln 2 in two parts, so that nothing is lost.
    let r = _mm256_fnmadd_ps(n, set(0.693_359_4), x);
    let r = _mm256_fnmadd_ps(n, set(-2.121_944_4e-4), r);
    let mut p = set(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3_f32, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = _mm256_fmadd_ps(p, r, set(coefficient));
    }
    let p = _mm256_fmadd_ps(p, _mm256_mul_ps(r, r), _mm256_add_ps(r, set(1.0)));
    // 2ⁿ is a number whose exponent is n.
    let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    _mm256_mul_ps(p, _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent)))
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn clamp(x: __m256, most: f32) -> __m256 {
    _mm256_min_ps(_mm256_max_ps(x, _mm256_set1_ps(-most)), _mm256_set1_ps(most))
}

/// 1 + e⁻ˣ, whose inverse is σ(x).
#[inline]
#[target_feature(enable = "avx2,fma")]
fn inverse_sigmoid(x: __m256) -> __m256 {
    let x = clamp(x, SIGMOID_MOST);
    _mm256_add_ps(exp(_mm256_sub_ps(_mm256_set1_ps(0.0), x)), _mm256_set1_ps(1.0))
}

/// e²ˣ − 1 and e²ˣ + 1, whose quotient is tanh(x).
#[inline]
#[target_feature(enable = "avx2,fma")]
fn tanh_parts(x: __m256) -> (__m256, __m256) {
    let x = clamp(x, TANH_MOST);
    let (e, one) = (exp(_mm256_add_ps(x, x)), _mm256_set1_ps(1.0));
    (_mm256_sub_ps(e, one), _mm256_add_ps(e, one))
}

/// The new cell σ(f)·c + σ(i)·tanh(g) and hidden state σ(o)·tanh(c). Divisions cost the most, so
/// each of the two has one.
#[inline]
#[target_feature(enable = "avx2,fma")]
pub(super) fn cell([i, f, g, o]: Half, cell: __m256) -> (__m256, __m256) {
    let (i, f, o) = (inverse_sigmoid(i), inverse_sigmoid(f), inverse_sigmoid(o));
    let (above, below) = tanh_parts(g);
    let ig = _mm256_mul_ps(i, below);
    let sum = _mm256_fmadd_ps(cell, ig, _mm256_mul_ps(above, f));
    let cell = _mm256_div_ps(sum, _mm256_mul_ps(f, ig));
    let (above, below) = tanh_parts(cell);
    (cell, _mm256_div_ps(above, _mm256_mul_ps(o, below)))
}
