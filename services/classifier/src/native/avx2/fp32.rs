//! W_hh in fp32.

use std::arch::x86_64::{__m256, __m512, _mm256_fmadd_ps, _mm256_set1_ps};

use super::{
    super::{Gates, Matrix, Steps, bring_near, dense},
    Half, LANES, ROWS, ZERO,
    cell::cell,
    half_of, halves,
};

/// For each half of a block of hidden units, the weights of each input.
#[derive(Debug)]
pub(in super::super) struct Panels(Vec<Vec<Half>>);

/// The state of up to three texts.
pub(in super::super) struct Group {
    /// For each hidden unit, that of each text.
    left: Vec<[f32; ROWS]>,
    next: Vec<[f32; ROWS]>,
    /// For each half of a block, the cells of each text.
    cells: Vec<[__m256; ROWS]>,
}

impl Panels {
    pub(in super::super) fn new(matrix: Matrix<'_>) -> Self {
        let count = matrix.blocks().saturating_mul(2);
        let panel = |half| {
            let gates = |k| matrix.gates::<_, LANES>(half, |gate, unit| matrix.at(gate, unit, k));
            (0..count * LANES).map(|k| bytemuck::must_cast(gates(k))).collect()
        };
        Self((0..count).map(panel).collect())
    }

    pub(in super::super) fn bytes(&self) -> usize {
        self.0.iter().map(|panel| size_of_val(panel.as_slice())).sum()
    }

    step!("avx2,fma");
}

/// Adds the product of up to three rows with a panel to `sums`: the innermost loop.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn multiply<const R: usize>(
    left: &[[f32; ROWS]],
    panel: &[Half],
    mut sums: [Half; R],
) -> [Half; R] {
    for (left, half) in left.iter().zip(panel) {
        let mut rows = [ZERO; R];
        rows.iter_mut().zip(left).for_each(|(row, left)| *row = _mm256_set1_ps(*left));
        for (gate, weights) in half.iter().enumerate() {
            for (sums, row) in sums.iter_mut().zip(rows) {
                if let Some(sum) = sums.get_mut(gate) {
                    *sum = _mm256_fmadd_ps(row, *weights, *sum);
                }
            }
        }
    }
    sums
}

/// Adds the product of six rows with a panel of whole blocks to `sums`, for the dense layers.
#[target_feature(enable = "avx2,fma")]
pub(in super::super) fn multiply_wide(
    left: &[[f32; dense::ROWS]],
    panel: &[Gates],
    sums: &mut [Gates; dense::ROWS],
) {
    for gate in 0..4 {
        let mut own: [[__m256; 2]; dense::ROWS] = sums
            .each_ref()
            .map(|sums| sums.get(gate).map_or([ZERO; 2], |s| bytemuck::must_cast(*s)));
        for (left, weights) in left.iter().zip(panel) {
            let [low, high]: [__m256; 2] =
                weights.get(gate).map_or([ZERO; 2], |weights| bytemuck::must_cast(*weights));
            for (own, left) in own.iter_mut().zip(left) {
                let left = _mm256_set1_ps(*left);
                own[0] = _mm256_fmadd_ps(left, low, own[0]);
                own[1] = _mm256_fmadd_ps(left, high, own[1]);
            }
        }
        for (sums, own) in sums.iter_mut().zip(own) {
            if let Some(sum) = sums.get_mut(gate) {
                *sum = bytemuck::must_cast(own);
            }
        }
    }
}

/// One half of a block of hidden units of `R` texts.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn tile<const R: usize>(
    panel: &[Half],
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
    let from = half.saturating_mul(LANES);
    let Some(next) = group.next.get_mut(from..from.saturating_add(LANES)) else { return };
    let outs = out.iter_mut().skip(half).step_by(count);
    for (row, ((sums, before), out)) in sums.into_iter().zip(cells).zip(outs).enumerate() {
        let (after, hidden) = cell(sums, *before);
        (*before, *out) = (after, hidden);
        let lanes: [f32; LANES] = bytemuck::must_cast(hidden);
        for (next, lane) in next.iter_mut().zip(lanes) {
            if let Some(place) = next.get_mut(row) {
                *place = lane;
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
        let count = self.0.len().saturating_mul(LANES);
        let left = vec![[0.0; ROWS]; count];
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
