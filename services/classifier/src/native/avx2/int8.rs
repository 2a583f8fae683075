//! W_hh in 8-bit integers with a scale for each unit's gate, and the hidden state in 127ths. Products
//! are summed exactly, in pairs of 16 bits, so that the sums are those of AVX-512.

use std::arch::x86_64::{
    __m128i, __m256, __m256i, __m512, _mm256_add_epi32, _mm256_cvtepi8_epi16, _mm256_cvtepi32_ps,
    _mm256_cvtps_epi32, _mm256_fmadd_ps, _mm256_madd_epi16, _mm256_mul_ps, _mm256_packs_epi32,
    _mm256_set1_epi32, _mm256_set1_ps,
};

use super::{
    super::{
        Gates, Matrix, Steps, bring_near,
        rounding::{ONE, quantised, scale},
    },
    Half, LANES, ROWS, ZERO,
    cell::cell,
    half_of, halves,
};

/// For each half of a block of hidden units, the weights of each two inputs.
#[derive(Debug)]
pub(in super::super) struct Panels(Vec<Panel>);

#[derive(Debug)]
struct Panel {
    weights: Vec<[__m128i; 4]>,
    /// What a sum is to be multiplied with.
    scale: Half,
}

/// Eight sums of nothing.
const NOTHING: __m256i = bytemuck::must_cast([0_i32; LANES]);

/// The state of up to three texts.
pub(in super::super) struct Group {
    /// For each two hidden units, those of each text.
    left: Vec<[i32; ROWS]>,
    next: Vec<[i32; ROWS]>,
    /// For each half of a block, the cells of each text.
    cells: Vec<[__m256; ROWS]>,
}

impl Panel {
    fn new(matrix: Matrix<'_>, half: usize) -> Self {
        let scale = matrix.gates::<_, LANES>(half, |gate, unit| scale(matrix, gate, unit));
        let two = |k: usize| {
            matrix.gates::<_, LANES>(half, |gate, unit| {
                let scale = scale.get(gate).and_then(|lanes| lanes.get(unit % LANES)).copied();
                let at = |k| quantised(matrix.at(gate, unit, k), scale.unwrap_or(0.0));
                [at(k), at(k.saturating_add(1))]
            })
        };
        let inputs = matrix.blocks().saturating_mul(2 * LANES);
        Self {
            weights: (0..inputs).step_by(2).map(|k| bytemuck::must_cast(two(k))).collect(),
            scale: bytemuck::must_cast(scale.map(|lanes| lanes.map(|scale| scale / ONE))),
        }
    }
}

impl Panels {
    pub(in super::super) fn new(matrix: Matrix<'_>) -> Self {
        let count = matrix.blocks().saturating_mul(2);
        Self((0..count).map(|half| Panel::new(matrix, half)).collect())
    }

    pub(in super::super) fn bytes(&self) -> usize {
        self.0.iter().map(|panel| size_of_val(panel.weights.as_slice())).sum()
    }

    step!("avx2,fma");
}

#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply<const R: usize>(left: &[[i32; ROWS]], panel: &[[__m128i; 4]]) -> [[__m256i; 4]; R] {
    let mut sums = [[NOTHING; 4]; R];
    for (left, half) in left.iter().zip(panel) {
        for (gate, pairs) in half.iter().enumerate() {
            let pairs = _mm256_cvtepi8_epi16(*pairs);
            for (sums, left) in sums.iter_mut().zip(left) {
                if let Some(sum) = sums.get_mut(gate) {
                    let products = _mm256_madd_epi16(pairs, _mm256_set1_epi32(*left));
                    *sum = _mm256_add_epi32(*sum, products);
                }
            }
        }
    }
    sums
}

/// One half of a block of hidden units of `R` texts.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn tile<const R: usize>(
    panel: &Panel,
    group: &mut Group,
    inputs: &[&[Gates]],
    (half, count): (usize, usize),
    out: &mut [__m256],
) {
    bring_near(inputs, (half / 2).saturating_add(1));
    let sums = multiply::<R>(&group.left, &panel.weights);
    let Some(cells) = group.cells.get_mut(half) else { return };
    let from = half.saturating_mul(LANES / 2);
    let Some(next) = group.next.get_mut(from..from.saturating_add(LANES / 2)) else { return };
    let outs = out.iter_mut().skip(half).step_by(count);
    let texts = sums.into_iter().zip(inputs).zip(cells).zip(outs);
    for (row, (((sums, input), before), out)) in texts.enumerate() {
        let mut gates = half_of(input, half);
        for ((gate, sum), scale) in gates.iter_mut().zip(sums).zip(panel.scale) {
            *gate = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, *gate);
        }
        let (after, hidden) = cell(gates, *before);
        (*before, *out) = (after, hidden);
        let whole = _mm256_cvtps_epi32(_mm256_mul_ps(hidden, _mm256_set1_ps(ONE)));
        // Packed within each half of the register, twice.
        let [one, two, _, _, three, four, _, _]: [i32; LANES] =
            bytemuck::must_cast(_mm256_packs_epi32(whole, whole));
        for (next, pair) in next.iter_mut().zip([one, two, three, four]) {
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
        let left = vec![[0; ROWS]; count];
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
