//! W_hh and the hidden state in bf16, which is the upper half of fp32: multiplied and summed as that.
//! It is for processors without products of bf16, or with slow ones: Intel's take four times as long for
//! `VDPBF16PS` as for `VFMADD`, which does half as much. It takes half of the memory of fp32, and gives
//! what AVX2 gives, bit by bit.

use std::arch::x86_64::{
    __m512, __m512i, _mm512_castsi512_ps, _mm512_fmadd_ps, _mm512_set1_ps, _mm512_slli_epi32,
};

use super::{
    super::{Gates, LANES, Matrix, Steps, ZERO, bring_near, rounding::pair_unmasked},
    ROWS,
    cell::{cell, rounded},
};

/// For each block of hidden units, the weights of each two inputs.
#[derive(Debug)]
pub(in super::super) struct Panels(Vec<Vec<[__m512i; 4]>>);

/// The state of up to six texts.
pub(in super::super) struct Group {
    /// For each two hidden units, those of each text.
    left: Vec<[[f32; 2]; ROWS]>,
    next: Vec<[[f32; 2]; ROWS]>,
    /// For each block, the cells of each text.
    cells: Vec<[__m512; ROWS]>,
}

impl Panels {
    pub(in super::super) fn new(matrix: Matrix<'_>) -> Self {
        let panel = |block| {
            let gates = |k: usize| {
                matrix.gates::<_, LANES>(block, |gate, unit| {
                    let at = |k| matrix.at(gate, unit, k);
                    pair_unmasked(at(k), at(k.saturating_add(1)))
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

    step!("avx512f,avx512bw");
}

/// Adds the product of up to six rows with a panel to `sums`. With six, two gates at a time: more
/// would not fit into the registers.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn multiply<const R: usize>(
    left: &[[[f32; 2]; ROWS]],
    panel: &[[__m512i; 4]],
    mut sums: [Gates; R],
) -> [Gates; R] {
    if R < ROWS {
        return of_gates(left, panel.iter().copied(), sums);
    }
    let upper = sums.each_ref().map(|[i, f, _, _]| [*i, *f]);
    let upper = of_gates(left, panel.iter().map(|[i, f, _, _]| [*i, *f]), upper);
    let lower = sums.each_ref().map(|[_, _, g, o]| [*g, *o]);
    let lower = of_gates(left, panel.iter().map(|[_, _, g, o]| [*g, *o]), lower);
    for (sums, ([i, f], [g, o])) in sums.iter_mut().zip(upper.into_iter().zip(lower)) {
        *sums = [i, f, g, o];
    }
    sums
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn of_gates<const R: usize, const G: usize>(
    left: &[[[f32; 2]; ROWS]],
    panel: impl Iterator<Item = [__m512i; G]>,
    mut sums: [[__m512; G]; R],
) -> [[__m512; G]; R] {
    for (left, pairs) in left.iter().zip(panel) {
        let low = pairs.map(|pair| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(pair)));
        let high = pairs.map(|pair| _mm512_castsi512_ps(pair));
        for (sums, [one, two]) in sums.iter_mut().zip(left) {
            let (one, two) = (_mm512_set1_ps(*one), _mm512_set1_ps(*two));
            for (sum, low) in sums.iter_mut().zip(low) {
                *sum = _mm512_fmadd_ps(one, low, *sum);
            }
            for (sum, high) in sums.iter_mut().zip(high) {
                *sum = _mm512_fmadd_ps(two, high, *sum);
            }
        }
    }
    sums
}

/// One block of hidden units of `R` texts.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
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
        self.0.len()
    }

    fn group(&self) -> Group {
        let pairs = self.0.len().saturating_mul(LANES / 2);
        let left = vec![[[0.0; 2]; ROWS]; pairs];
        Group { next: left.clone(), left, cells: vec![[ZERO; ROWS]; self.0.len()] }
    }

    fn step(&self, groups: &mut [Group], inputs: &[&[Gates]], out: &mut [__m512]) {
        #[expect(unsafe_code, reason = "the processor was asked before anything was made for it")]
        // SAFETY: `Native::with` makes these panels only where there is AVX-512.
        unsafe {
            self.step_here(groups, inputs, out);
        }
    }
}
