//! W_hh in fp32.

use std::arch::x86_64::{__m512, _mm512_fmadd_ps, _mm512_set1_ps};

use super::{
    super::{Gates, LANES, Matrix, Steps, ZERO, bring_near},
    ROWS,
    cell::cell,
};

/// For each block of hidden units, the weights of each input.
#[derive(Debug)]
pub(in super::super) struct Panels(Vec<Vec<Gates>>);

/// The state of up to six texts.
pub(in super::super) struct Group {
    /// For each hidden unit, that of each text.
    left: Vec<[f32; ROWS]>,
    next: Vec<[f32; ROWS]>,
    /// For each block, the cells of each text.
    cells: Vec<[__m512; ROWS]>,
}

impl Panels {
    pub(in super::super) fn new(matrix: Matrix<'_>) -> Self {
        let panel = |block| {
            let gates = |k| matrix.gates::<_, LANES>(block, |gate, unit| matrix.at(gate, unit, k));
            (0..matrix.blocks() * LANES).map(|k| bytemuck::must_cast(gates(k))).collect()
        };
        Self((0..matrix.blocks()).map(panel).collect())
    }

    pub(in super::super) fn bytes(&self) -> usize {
        self.0.iter().map(|panel| size_of_val(panel.as_slice())).sum()
    }

    step!("avx512f");
}

/// Adds the product of up to six rows with a panel to `sums`. All that is shared with the dense
/// layers: the innermost loop.
#[inline]
#[target_feature(enable = "avx512f")]
pub(in super::super) fn multiply<const R: usize>(
    left: &[[f32; ROWS]],
    panel: &[Gates],
    mut sums: [Gates; R],
) -> [Gates; R] {
    for (left, [i, f, g, o]) in left.iter().zip(panel) {
        for (sums, &left) in sums.iter_mut().zip(left) {
            let left = _mm512_set1_ps(left);
            sums[0] = _mm512_fmadd_ps(left, *i, sums[0]);
            sums[1] = _mm512_fmadd_ps(left, *f, sums[1]);
            sums[2] = _mm512_fmadd_ps(left, *g, sums[2]);
            sums[3] = _mm512_fmadd_ps(left, *o, sums[3]);
        }
    }
    sums
}

/// One block of hidden units of `R` texts.
#[inline]
#[target_feature(enable = "avx512f")]
fn tile<const R: usize>(
    panel: &[Gates],
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
    let from = block.saturating_mul(LANES);
    let Some(next) = group.next.get_mut(from..from.saturating_add(LANES)) else { return };
    let outs = out.iter_mut().skip(block).step_by(blocks);
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
        self.0.len()
    }

    fn group(&self) -> Group {
        let units = self.0.len().saturating_mul(LANES);
        let left = vec![[0.0; ROWS]; units];
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
