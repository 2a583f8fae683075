//! W_hh and the hidden state in bf16, which is the upper half of fp32: multiplied and summed as that.
//! It is not faster than fp32 for that, but takes half the memory, and less of the time to fetch it.

use std::arch::x86_64::{
    __m256, __m256i, __m512, _mm256_add_epi32, _mm256_and_si256, _mm256_castps_si256,
    _mm256_castsi256_ps, _mm256_fmadd_ps, _mm256_set1_epi32, _mm256_set1_ps, _mm256_slli_epi32,
    _mm256_srli_epi32,
};

use super::{
    super::{Gates, Matrix, Steps, bring_near, rounding::pair_unmasked},
    Half, LANES, ROWS, ZERO,
    cell::cell,
    half_of, halves,
};

/// For each half of a block of hidden units, the weights of each two inputs.
#[derive(Debug)]
pub(in super::super) struct Panels(Vec<Vec<[__m256i; 4]>>);

/// The state of up to three texts.
pub(in super::super) struct Group {
    /// For each two hidden units, those of each text.
    left: Vec<[[f32; 2]; ROWS]>,
    next: Vec<[[f32; 2]; ROWS]>,
    /// For each half of a block, the cells of each text.
    cells: Vec<[__m256; ROWS]>,
}

impl Panels {
    pub(in super::super) fn new(matrix: Matrix<'_>) -> Self {
        let count = matrix.blocks().saturating_mul(2);
        let panel = |half| {
            let gates = |k: usize| {
                matrix.gates::<_, LANES>(half, |gate, unit| {
                    let at = |k| matrix.at(gate, unit, k);
                    pair_unmasked(at(k), at(k.saturating_add(1)))
                })
            };
            (0..count * LANES).step_by(2).map(|k| bytemuck::must_cast(gates(k))).collect()
        };
        Self((0..count).map(panel).collect())
    }

    pub(in super::super) fn bytes(&self) -> usize {
        self.0.iter().map(|panel| size_of_val(panel.as_slice())).sum()
    }

    step!("avx2,fma");
}

/// Adds the product of up to three rows with a panel to `sums`, two gates at a time: more would not
/// fit into the registers.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply<const R: usize>(
    left: &[[[f32; 2]; ROWS]],
    panel: &[[__m256i; 4]],
    mut sums: [Half; R],
) -> [Half; R] {
    let upper = sums.each_ref().map(|[i, f, _, _]| [*i, *f]);
    let upper = two_gates(left, panel.iter().map(|[i, f, _, _]| [*i, *f]), upper);
    let lower = sums.each_ref().map(|[_, _, g, o]| [*g, *o]);
    let lower = two_gates(left, panel.iter().map(|[_, _, g, o]| [*g, *o]), lower);
    for (sums, ([i, f], [g, o])) in sums.iter_mut().zip(upper.into_iter().zip(lower)) {
        *sums = [i, f, g, o];
    }
    sums
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn two_gates<const R: usize>(
    left: &[[[f32; 2]; ROWS]],
    panel: impl Iterator<Item = [__m256i; 2]>,
    mut sums: [[__m256; 2]; R],
) -> [[__m256; 2]; R] {
    for (left, pairs) in left.iter().zip(panel) {
        let low = [_mm256_slli_epi32::<16>(pairs[0]), _mm256_slli_epi32::<16>(pairs[1])];
        let [low, high] =
            [low, pairs].map(|[a, b]| [_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)]);
        for (sums, [one, two]) in sums.iter_mut().zip(left) {
            let (one, two) = (_mm256_set1_ps(*one), _mm256_set1_ps(*two));
            sums[0] = _mm256_fmadd_ps(one, low[0], sums[0]);
            sums[1] = _mm256_fmadd_ps(one, low[1], sums[1]);
            sums[0] = _mm256_fmadd_ps(two, high[0], sums[0]);
            sums[1] = _mm256_fmadd_ps(two, high[1], sums[1]);
        }
    }
    sums
}

/// The bits of fp32 that bf16 has.
const UPPER: i32 = -0x1_0000;

/// The nearest numbers in bf16, to even between two, as fp32.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn rounded(numbers: __m256) -> __m256 {
    let bits = _mm256_castps_si256(numbers);
    let set = |number| _mm256_set1_epi32(number);
    let odd = _mm256_and_si256(_mm256_srli_epi32::<16>(bits), set(1));
    let nearest = _mm256_add_epi32(bits, _mm256_add_epi32(odd, set(0x7fff)));
    _mm256_castsi256_ps(_mm256_and_si256(nearest, set(UPPER)))
}

/// One half of a block of hidden units of `R` texts.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn tile<const R: usize>(
    panel: &[[__m256i; 4]],
    group: &mut Group,
    inputs: &[&[Gates]],
    (half, count): (usize, usize),
    out: &mut [__m256],
) {
    let mut sums = [[ZERO; 4]; R];
    sums.iter_mut().zip(inputs).for_each(|(sums, input)| *sums = half_of(input, half));
    bring_near(inputs, (half / 2).saturating_add(1));
    let sums = multiply::<R>(&group.left, panel, sums);
    let Some(cells) = group.cells.get_mut(half) else { return };
    let from = half.saturating_mul(LANES / 2);
    let Some(next) = group.next.get_mut(from..from.saturating_add(LANES / 2)) else { return };
    let outs = out.iter_mut().skip(half).step_by(count);
    for (row, ((sums, before), out)) in sums.into_iter().zip(cells).zip(outs).enumerate() {
        let (after, hidden) = cell(sums, *before);
        (*before, *out) = (after, hidden);
        let pairs: [[f32; 2]; LANES / 2] = bytemuck::must_cast(rounded(hidden));
        for (next, pair) in next.iter_mut().zip(pairs) {
            if let Some(place) = next.get_mut(row) {
                *place = pair;
            }
        }
    }
}

impl Steps for Panels {
    type Group = Group;
    const ROWS: usize = ROWS;

    fn blocks(&self) -> usize {
        self.0.len() / 2
    }

    fn group(&self) -> Group {
        let count = self.0.len().saturating_mul(LANES) / 2;
        let left = vec![[[0.0; 2]; ROWS]; count];
        Group { next: left.clone(), left, cells: vec![[ZERO; ROWS]; self.0.len()] }
    }

    fn step(&self, groups: &mut [Group], inputs: &[&[Gates]], out: &mut [__m512]) {
        #[expect(unsafe_code, reason = "the processor was asked before anything was made for it")]
        // SAFETY: `Native::with` makes these panels only where there are AVX2 and FMA.
        unsafe {
            self.step_here(groups, inputs, out);
        }
    }
}
