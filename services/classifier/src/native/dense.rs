//! A linear layer in fp32: columns in panels of 64, rows by sixes.

use std::arch::x86_64::__m512;

use super::{Gates, Instructions, LANES, Matrix, ZERO, avx2, avx512};

/// Columns of a panel.
const COLUMNS: usize = 4 * LANES;
/// Rows that are computed at once.
pub(super) const ROWS: usize = avx512::ROWS;

/// Weights and bias.
#[derive(Debug)]
pub(super) struct Dense {
    instructions: Instructions,
    panels: Vec<(Gates, Vec<Gates>)>,
    inputs: usize,
}

impl Dense {
    /// What an LSTM's input adds to its gates, in the gates' blocks.
    pub(super) fn gates(instructions: Instructions, matrix: Matrix<'_>, bias: &[f32]) -> Self {
        let biases = Matrix { values: bias, inputs: 1, ..matrix };
        let panel = |block| {
            let bias: [[f32; LANES]; 4] =
                biases.gates(block, |gate, unit| biases.at(gate, unit, 0));
            let gates = |k| -> [[f32; LANES]; 4] {
                matrix.gates(block, |gate, unit| matrix.at(gate, unit, k))
            };
            let weights = (0..matrix.inputs).map(|k| bytemuck::must_cast(gates(k)));
            (bytemuck::must_cast(bias), weights.collect())
        };
        let panels = (0..matrix.blocks()).map(panel).collect();
        Self { instructions, panels, inputs: matrix.inputs }
    }

    /// A matrix `[outputs, inputs]` in PyTorch's order, and its bias.
    pub(super) fn linear(
        instructions: Instructions,
        (weights, bias): (&[f32], &[f32]),
        outputs: usize,
        inputs: usize,
    ) -> Self {
        let at = |values: &[f32], column: usize, k: usize, inputs: usize| {
            let place = column.saturating_mul(inputs).saturating_add(k);
            if column < outputs { values.get(place).copied().unwrap_or(0.0) } else { 0.0 }
        };
        let panel = |from: usize| {
            let gates = |values: &[f32], k: usize, inputs: usize| -> Gates {
                let mut gates = [[0.0_f32; LANES]; 4];
                for (index, place) in gates.as_flattened_mut().iter_mut().enumerate() {
                    *place = at(values, from.saturating_add(index), k, inputs);
                }
                bytemuck::must_cast(gates)
            };
            let all = (0..inputs).map(|k| gates(weights, k, inputs)).collect();
            (gates(bias, 0, 1), all)
        };
        let panels = (0..outputs).step_by(COLUMNS).map(panel).collect();
        Self { instructions, panels, inputs }
    }

    pub(super) const fn inputs(&self) -> usize {
        self.inputs
    }

    pub(super) fn bytes(&self) -> usize {
        self.panels.iter().map(|(_, panel)| size_of_val(panel.as_slice())).sum()
    }

    /// Each row's columns, in the panels' order.
    pub(super) fn gate_rows(&self, rows: &[&[f32]]) -> Vec<Box<[Gates]>> {
        let mut all = Vec::with_capacity(rows.len());
        for six in rows.chunks(ROWS) {
            let mut left = vec![[0.0_f32; ROWS]; self.inputs];
            for (row, values) in six.iter().enumerate() {
                for (place, value) in left.iter_mut().zip(*values) {
                    if let Some(place) = place.get_mut(row) {
                        *place = *value;
                    }
                }
            }
            let mut out = vec![vec![[ZERO; 4]; self.panels.len()]; six.len()];
            self.six(&left, &mut out);
            all.extend(out.into_iter().map(Vec::into_boxed_slice));
        }
        all
    }

    /// Each row's columns as numbers; past the last there may be zeros.
    pub(super) fn rows(&self, rows: &[&[f32]]) -> Vec<Vec<f32>> {
        let flat = |row: Box<[Gates]>| {
            let registers: &[__m512] = row.as_flattened();
            bytemuck::cast_slice::<__m512, f32>(registers).to_vec()
        };
        self.gate_rows(rows).into_iter().map(flat).collect()
    }

    fn six(&self, left: &[[f32; ROWS]], out: &mut [Vec<Gates>]) {
        for (index, (bias, panel)) in self.panels.iter().enumerate() {
            // A row's sum must not depend on how many there are; it does not: each has its own.
            let mut sums = [*bias; ROWS];
            #[expect(unsafe_code, reason = "the processor was asked before a layer was made")]
            // SAFETY: `Native::with` makes layers only for instructions that this processor has.
            unsafe {
                match self.instructions {
                    Instructions::Avx512 | Instructions::Avx512Fp16 | Instructions::Avx512Fma => {
                        sums = avx512::fp32::multiply(left, panel, sums);
                    }
                    Instructions::Avx2 => avx2::fp32::multiply_wide(left, panel, &mut sums),
                }
            }
            for (out, sums) in out.iter_mut().zip(sums) {
                if let Some(place) = out.get_mut(index) {
                    *place = sums;
                }
            }
        }
    }
}
