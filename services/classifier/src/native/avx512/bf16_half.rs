//! W_hh and the hidden state in bf16, multiplied as fp16: a processor with AVX512-FP16 does twice as many
//! such products as of fp32, and holds all that bf16 does of numbers as near to 1 as these are. Each
//! product is exact; sums of 64 of them are rounded to 11 bits as they grow, then added in fp32.

use std::arch::x86_64::{
    __m256i, __m512, __m512h, __m512i, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm512_add_ps,
    _mm512_castph_si512, _mm512_castsi512_ph, _mm512_castsi512_si256, _mm512_cvtepu16_epi32,
    _mm512_cvtph_ps, _mm512_cvtps_ph, _mm512_extracti64x4_epi64, _mm512_fmadd_ph, _mm512_or_si512,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_slli_epi32,
};

use super::{
    super::{Gates, LANES, Matrix, Steps, ZERO, bring_near},
    ROWS,
    cell::{coarse_cell, rounded},
};

/// Products that are summed in 16 bits.
const CHUNK: usize = 64;

/// What a sum of 16 bits must not reach, with room for what it was rounded by: fp16 ends at 65,504.
const MOST: f32 = 60_000.0;

/// For each block of hidden units, the weights of each input: of the input and the forget gate, and of
/// the cell and the output gate.
#[derive(Debug)]
pub(in super::super) struct Panels(Vec<Vec<[__m512i; 2]>>);

/// The state of up to six texts.
pub(in super::super) struct Group {
    /// For each hidden unit, that of each text, twice.
    left: Vec<[u32; ROWS]>,
    next: Vec<[u32; ROWS]>,
    /// For each block, the cells of each text.
    cells: Vec<[__m512; ROWS]>,
}

impl Panels {
    /// None if a sum could leave the range of fp16; hidden states lie between -1 and 1.
    pub(in super::super) fn new(matrix: Matrix<'_>) -> Option<Self> {
        let units = matrix.blocks().saturating_mul(LANES);
        let sums = (0..4).flat_map(|gate| {
            (0..units).flat_map(move |unit| {
                (0..units).step_by(CHUNK).map(move |from| {
                    let chunk = from..from.saturating_add(CHUNK);
                    chunk.map(|k| matrix.at(gate, unit, k).abs()).sum::<f32>()
                })
            })
        });
        // Not `sum > MOST`: that would let through what is not a number.
        if !sums.into_iter().all(|sum| sum < MOST) {
            return None;
        }
        #[expect(unsafe_code, reason = "the processor was asked before anything was made for it")]
        // SAFETY: `Native::with` makes these panels only where there are these instructions.
        let panel = |block| unsafe { panel(matrix, block) };
        Some(Self((0..matrix.blocks()).map(panel).collect()))
    }

    pub(in super::super) fn bytes(&self) -> usize {
        self.0.iter().map(|panel| size_of_val(panel.as_slice())).sum()
    }

    step!("avx512f,avx512bw,avx512fp16");
}

/// The weights of a block.
#[target_feature(enable = "avx512f,avx512bw")]
fn panel(matrix: Matrix<'_>, block: usize) -> Vec<[__m512i; 2]> {
    let weights = |k: usize| {
        let gates = matrix.gates::<_, LANES>(block, |gate, unit| matrix.at(gate, unit, k));
        let [i, f, g, o] = bytemuck::must_cast::<_, Gates>(gates).map(|gate| halves(rounded(gate)));
        [bytemuck::must_cast([i, f]), bytemuck::must_cast([g, o])]
    };
    (0..matrix.blocks().saturating_mul(LANES)).map(weights).collect()
}

/// Numbers in fp16.
#[inline]
#[target_feature(enable = "avx512f")]
fn halves(numbers: __m512) -> __m256i {
    _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(numbers)
}

/// What was summed in 16 bits, of two gates.
#[inline]
#[target_feature(enable = "avx512f,avx512fp16")]
fn widened(sums: __m512h) -> [__m512; 2] {
    let sums = _mm512_castph_si512(sums);
    let low = _mm512_castsi512_si256(sums);
    [_mm512_cvtph_ps(low), _mm512_cvtph_ps(_mm512_extracti64x4_epi64::<1>(sums))]
}

/// Adds the product of up to six rows with a panel to `sums`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512fp16")]
fn multiply<const R: usize>(
    left: &[[u32; ROWS]],
    panel: &[[__m512i; 2]],
    mut sums: [Gates; R],
) -> [Gates; R] {
    let zero = _mm512_castsi512_ph(_mm512_setzero_si512());
    for (left, panel) in left.chunks(CHUNK).zip(panel.chunks(CHUNK)) {
        let mut few = [[zero; 2]; R];
        for (left, [input_forget, cell_output]) in left.iter().zip(panel) {
            let upper = _mm512_castsi512_ph(*input_forget);
            let lower = _mm512_castsi512_ph(*cell_output);
            for (few, &left) in few.iter_mut().zip(left) {
                let left = _mm512_castsi512_ph(_mm512_set1_epi32(left.cast_signed()));
                few[0] = _mm512_fmadd_ph(left, upper, few[0]);
                few[1] = _mm512_fmadd_ph(left, lower, few[1]);
            }
        }
        for (sums, few) in sums.iter_mut().zip(few) {
            let few = few.map(|few| widened(few));
            for (sum, few) in sums.iter_mut().zip(few.as_flattened()) {
                *sum = _mm512_add_ps(*sum, *few);
            }
        }
    }
    sums
}

/// One block of hidden units of `R` texts.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512fp16")]
fn tile<const R: usize>(
    panel: &[[__m512i; 2]],
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
        let (after, hidden) = coarse_cell(sums, *before);
        (*before, *out) = (after, hidden);
        let once = _mm512_cvtepu16_epi32(halves(rounded(hidden)));
        let twice = _mm512_or_si512(once, _mm512_slli_epi32::<16>(once));
        for (next, lane) in next.iter_mut().zip(bytemuck::must_cast::<_, [u32; LANES]>(twice)) {
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
        let left = vec![[0; ROWS]; units];
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
