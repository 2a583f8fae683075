//! W_hh in 8-bit integers with a scale for each unit's gate, and the hidden state, which is between
//! −1 and 1, in 127ths. Products are summed exactly, so that the batch changes nothing here either.

use std::arch::x86_64::{
    __m512, __m512i, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps, _mm512_cvtps_epi32,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_mul_ps, _mm512_set1_epi32, _mm512_set1_ps,
};

use super::{
    super::{
        Gates, LANES, Matrix, Steps, ZERO, bring_near,
        rounding::{ONE, quantised, scale},
    },
    ROWS,
    cell::cell,
};

/// The hidden state is sent as an unsigned number: this is 0.
const OFFSET: i32 = 128;
/// The same in each byte: adding it to a signed byte is flipping its highest bit.
const ZEROS: u32 = 0x8080_8080;
/// What is multiplied at once.
const FOUR: usize = 4;

/// For each block of hidden units, the weights of each four inputs.
#[derive(Debug)]
pub(in super::super) struct Panels(Vec<Panel>);

#[derive(Debug)]
struct Panel {
    weights: Vec<[__m512i; 4]>,
    /// What the offset adds to each sum, taken away.
    offset: [__m512i; 4],
    /// What a sum is to be multiplied with.
    scale: Gates,
}

/// The state of up to six texts.
pub(in super::super) struct Group {
    /// For each four hidden units, those of each text.
    left: Vec<[u32; ROWS]>,
    next: Vec<[u32; ROWS]>,
    /// For each block, the cells of each text.
    cells: Vec<[__m512; ROWS]>,
}

impl Panel {
    fn new(matrix: Matrix<'_>, block: usize) -> Self {
        let inputs = matrix.blocks().saturating_mul(LANES);
        let scale = matrix.gates::<_, LANES>(block, |gate, unit| scale(matrix, gate, unit));
        let weight = |(gate, unit): (usize, usize), k: usize| {
            let scale = scale.get(gate).and_then(|lanes| lanes.get(unit % LANES)).copied();
            quantised(matrix.at(gate, unit, k), scale.unwrap_or(0.0))
        };
        let four = |k: usize| {
            matrix.gates::<_, LANES>(block, |gate, unit| {
                let at = |more: usize| weight((gate, unit), k.saturating_add(more));
                [at(0), at(1), at(2), at(3)]
            })
        };
        let offset = matrix.gates::<_, LANES>(block, |gate, unit| {
            (0..inputs).map(|k| i32::from(weight((gate, unit), k)) * -OFFSET).sum::<i32>()
        });
        Self {
            weights: (0..inputs).step_by(FOUR).map(|k| bytemuck::must_cast(four(k))).collect(),
            offset: bytemuck::must_cast(offset),
            scale: bytemuck::must_cast(scale.map(|lanes| lanes.map(|scale| scale / ONE))),
        }
    }
}

impl Panels {
    pub(in super::super) fn new(matrix: Matrix<'_>) -> Self {
        Self((0..matrix.blocks()).map(|block| Panel::new(matrix, block)).collect())
    }

    pub(in super::super) fn bytes(&self) -> usize {
        self.0.iter().map(|panel| size_of_val(panel.weights.as_slice())).sum()
    }

    step!("avx512f,avx512bw,avx512vnni");
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn multiply<const R: usize>(
    left: &[[u32; ROWS]],
    panel: &[[__m512i; 4]],
    mut sums: [[__m512i; 4]; R],
) -> [[__m512i; 4]; R] {
    for (left, [i, f, g, o]) in left.iter().zip(panel) {
        for (sums, &left) in sums.iter_mut().zip(left) {
            let left = _mm512_set1_epi32(left.cast_signed());
            sums[0] = _mm512_dpbusd_epi32(sums[0], left, *i);
            sums[1] = _mm512_dpbusd_epi32(sums[1], left, *f);
            sums[2] = _mm512_dpbusd_epi32(sums[2], left, *g);
            sums[3] = _mm512_dpbusd_epi32(sums[3], left, *o);
        }
    }
    sums
}

/// One block of hidden units of `R` texts.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn tile<const R: usize>(
    panel: &Panel,
    group: &mut Group,
    inputs: &[&[Gates]],
    (block, blocks): (usize, usize),
    out: &mut [__m512],
) {
    bring_near(inputs, block.saturating_add(1));
    let sums = multiply::<R>(&group.left, &panel.weights, [panel.offset; R]);
    let Some(cells) = group.cells.get_mut(block) else { return };
    let from = block.saturating_mul(LANES / FOUR);
    let Some(next) = group.next.get_mut(from..from.saturating_add(LANES / FOUR)) else { return };
    let outs = out.iter_mut().skip(block).step_by(blocks);
    let texts = sums.into_iter().zip(inputs).zip(cells).zip(outs);
    for (row, (((sums, input), before), out)) in texts.enumerate() {
        let mut gates = input.get(block).copied().unwrap_or([ZERO; 4]);
        for ((gate, sum), scale) in gates.iter_mut().zip(sums).zip(panel.scale) {
            *gate = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, *gate);
        }
        let (after, hidden) = cell(gates, *before);
        (*before, *out) = (after, hidden);
        let whole = _mm512_cvtps_epi32(_mm512_mul_ps(hidden, _mm512_set1_ps(ONE)));
        let fours: [u32; LANES / FOUR] = bytemuck::must_cast(_mm512_cvtepi32_epi8(whole));
        for (next, four) in next.iter_mut().zip(fours) {
            if let Some(place) = next.get_mut(row) {
                *place = four ^ ZEROS;
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
        let fours = self.0.len().saturating_mul(LANES / FOUR);
        // Nothing was read yet.
        let left = vec![[ZEROS; ROWS]; fours];
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
