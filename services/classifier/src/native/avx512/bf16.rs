//! W_hh and the hidden state in bf16, summed in fp32.

use std::{
    arch::x86_64::{
        __m256bh, __m512, __m512bh, __m512i, _mm512_cvtneps_pbh, _mm512_dpbf16_ps,
        _mm512_set1_epi32,
    },
    mem::transmute,
};

use super::{
    super::{Gates, LANES, Matrix, Steps, ZERO, bring_near, rounding::pair},
    ROWS,
    cell::cell,
};

/// For each block of hidden units, the weights of each two inputs.
#[derive(Debug)]
pub(in super::super) struct Panels(Vec<Vec<[__m512i; 4]>>);

/// The state of up to six texts.
pub(in super::super) struct Group {
    /// For each two hidden units, those of each text.
    left: Vec<[u32; ROWS]>,
    next: Vec<[u32; ROWS]>,
    /// For each block, the cells of each text.
    cells: Vec<[__m512; ROWS]>,
}

impl Panels {
    pub(in super::super) fn new(matrix: Matrix<'_>) -> Self {
        let panel = |block| {
            let gates = |k: usize| {
                matrix.gates::<_, LANES>(block, |gate, unit| {
                    pair(matrix.at(gate, unit, k), matrix.at(gate, unit, k.saturating_add(1)))
                })
            };
            let pairs = (0..matrix.blocks() * LANES).step_by(2);
            pairs.map(|k| bytemuck::must_cast(gates(k))).collect()
        };
        Self((0..matrix.blocks()).map(panel).collect())
    }

    pub(in super::super) fn bytes(&self) -> usize {
        self.0.iter().map(|panel| size_of_val(panel.as_slice())).sum()
    }

    step!("avx512f,avx512bw,avx512bf16");
}

/// The same bits by the name that the product wants.
#[inline]
#[target_feature(enable = "avx512f")]
fn bits(register: __m512i) -> __m512bh {
    #[expect(unsafe_code, reason = "the two names of a register have no conversion of their own")]
    // SAFETY: both are 512 bits of which every pattern is valid.
    unsafe {
        transmute::<__m512i, __m512bh>(register)
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn multiply<const R: usize>(
    left: &[[u32; ROWS]],
    panel: &[[__m512i; 4]],
    mut sums: [Gates; R],
) -> [Gates; R] {
    for (left, [i, f, g, o]) in left.iter().zip(panel) {
        for (sums, &left) in sums.iter_mut().zip(left) {
            let left = bits(_mm512_set1_epi32(left.cast_signed()));
            sums[0] = _mm512_dpbf16_ps(sums[0], left, bits(*i));
            sums[1] = _mm512_dpbf16_ps(sums[1], left, bits(*f));
            sums[2] = _mm512_dpbf16_ps(sums[2], left, bits(*g));
            sums[3] = _mm512_dpbf16_ps(sums[3], left, bits(*o));
        }
    }
    sums
}

/// Two and two numbers, the nearest in bf16.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn pairs(numbers: __m512) -> [u32; LANES / 2] {
    #[expect(unsafe_code, reason = "the register has no conversion of its own")]
    // SAFETY: both are 256 bits of which every pattern is valid.
    unsafe {
        transmute::<__m256bh, [u32; LANES / 2]>(_mm512_cvtneps_pbh(numbers))
    }
}

/// One block of hidden units of `R` texts.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
fn tile<const R: usize>(
    panel: &[[__m512i; 4]],
    group: &mut Group,
    inputs: &[&[Gates]],
    (block, blocks): (usize, usize),
    out: &mut [__m512],
) {
    let mut sums = [[ZERO; 4]; R];
    for (sums, input) in sums.iter_mut().zip(inputs) {
        *sums = input.get(block).copied().unwrap_or([ZERO; 4]);
    }
    bring_near(inputs, block.saturating_add(1));
    let sums = multiply::<R>(&group.left, panel, sums);
    let Some(cells) = group.cells.get_mut(block) else { return };
    let from = block.saturating_mul(LANES / 2);
    let Some(next) = group.next.get_mut(from..from.saturating_add(LANES / 2)) else { return };
    let outs = out.iter_mut().skip(block).step_by(blocks);
    for (row, ((sums, before), out)) in sums.into_iter().zip(cells).zip(outs).enumerate() {
        let (after, hidden) = cell(sums, *before);
        (*before, *out) = (after, hidden);
        for (next, pair) in next.iter_mut().zip(pairs(hidden)) {
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
        self.0.len()
    }

    fn group(&self) -> Group {
        let pairs = self.0.len().saturating_mul(LANES / 2);
        let left = vec![[0; ROWS]; pairs];
        Group { next: left.clone(), left, cells: vec![[ZERO; ROWS]; self.0.len()] }
    }

    fn step(&self, groups: &mut [Group], inputs: &[&[Gates]], out: &mut [__m512]) {
        #[expect(unsafe_code, reason = "the processor was asked before anything was made for it")]
        // SAFETY: `Native::with` makes these panels only where there are these instructions.
        unsafe {
            self.step_here(groups, inputs, out);
        }
    }
}
