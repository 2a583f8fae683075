//! The LSTM without libtorch, for processors with AVX-512 or AVX2: what serving costs is this loop.
//!
//! * What a token adds to the gates is looked up: embedding × W_ih + bias, a row a token, computed
//!   when the token first comes. That is a third of the arithmetic of the article's network.
//! * Texts of a batch are sorted by length and leave it as they end: nothing is padded.
//! * Gates, cell and hidden state of 16 units and up to 6 texts, or of 8 and 3, stay in registers from
//!   the product to the new state.
//! * Every sum runs over the same terms in the same order whatever shares the batch, so that the
//!   batch changes no bit of an answer.
//!
//! The weights are shared by all workers. W_hh is held in fp32, bf16 or 8-bit integers; the table
//! and the output layer are always in fp32.

mod avx2;
mod avx512;
mod dense;
mod grams;
mod rounding;
mod table;
#[cfg(test)]
mod tests;

use std::arch::x86_64::{__cpuid, __m512, _MM_HINT_T0, _mm_prefetch, CpuidResult};

use crate::{
    Activation, Architecture, Arithmetic, Body, Encoded, Readout, Weights, mean_of_windows,
};

use self::{dense::Dense, grams::Grams, table::Table};

/// Hidden units of a block.
const LANES: usize = 16;

/// The gates of a block: input, forget, cell, output. It is the form in which they are kept on
/// processors with narrower registers as well.
type Gates = [__m512; 4];

/// A network, ready to compute on this processor.
#[derive(Debug)]
pub(crate) struct Native {
    layers: Vec<Vec<Direction>>,
    output: Dense,
    grams: Option<Grams>,
    activation: Activation,
    readout: Readout,
    hidden: usize,
    classes: usize,
}

#[derive(Debug)]
struct Direction {
    input: Input,
    recurrent: Recurrent,
    backwards: bool,
}

#[derive(Debug)]
enum Input {
    /// Of the first layer.
    Table(Table),
    /// Of one above.
    Dense(Dense),
}

#[derive(Debug)]
enum Recurrent {
    Fp32(avx512::fp32::Panels),
    Bf16(avx512::bf16::Panels),
    FusedBf16(avx512::bf16_fma::Panels),
    HalfBf16(avx512::bf16_half::Panels),
    Int8(avx512::int8::Panels),
    NarrowFp32(avx2::fp32::Panels),
    NarrowBf16(avx2::bf16::Panels),
    NarrowInt8(avx2::int8::Panels),
}

/// What a processor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instructions {
    /// AVX-512, and for bf16 and 8-bit integers their products.
    Avx512,
    /// AVX-512 for bf16, but products of fp16.
    Avx512Fp16,
    /// AVX-512 for bf16, but products of fp32.
    Avx512Fma,
    /// AVX2 and FMA, which all of the last ten years have.
    Avx2,
}

impl Instructions {
    /// All there are, the best first.
    const ALL: [Self; 4] = [Self::Avx512, Self::Avx512Fp16, Self::Avx512Fma, Self::Avx2];

    /// Whether this processor computes so with them.
    fn compute(self, precision: Arithmetic) -> bool {
        let wide = is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
        match self {
            Self::Avx512 => {
                wide && match precision {
                    Arithmetic::Fp32 => true,
                    Arithmetic::Bf16 => is_x86_feature_detected!("avx512bf16"),
                    Arithmetic::Int8 => is_x86_feature_detected!("avx512vnni"),
                }
            }
            Self::Avx512Fp16 => {
                wide && precision == Arithmetic::Bf16 && is_x86_feature_detected!("avx512fp16")
            }
            Self::Avx512Fma => wide && precision == Arithmetic::Bf16,
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
        }
    }

    /// The best that this processor has for a precision.
    pub(crate) fn best(precision: Arithmetic) -> Option<Self> {
        let is_slow = |one| {
            one == Self::Avx512 && precision == Arithmetic::Bf16 && !products_of_bf16_are_fast()
        };
        Self::ALL.into_iter().find(|one| one.compute(precision) && !is_slow(*one))
    }
}

/// Whether the products of bf16 take no longer than others, as AMD's do.
fn products_of_bf16_are_fast() -> bool {
    let CpuidResult { ebx, edx, ecx, .. } = __cpuid(0);
    let vendor = [ebx, edx, ecx].map(u32::to_le_bytes);
    vendor.as_flattened() == b"AuthenticAMD"
}

/// One matrix of a PyTorch LSTM, `[4 × hidden, inputs]`, its rows in the order of the gates.
#[derive(Clone, Copy)]
struct Matrix<'a> {
    values: &'a [f32],
    hidden: usize,
    inputs: usize,
}

impl Matrix<'_> {
    /// Blocks of hidden units.
    const fn blocks(&self) -> usize {
        self.hidden.div_ceil(LANES)
    }

    /// The weight of input `k` for a hidden unit's gate; zero past the last unit or input.
    fn at(&self, gate: usize, unit: usize, k: usize) -> f32 {
        if unit >= self.hidden || k >= self.inputs {
            return 0.0;
        }
        let row = gate.saturating_mul(self.hidden).saturating_add(unit);
        let place = row.saturating_mul(self.inputs).saturating_add(k);
        self.values.get(place).copied().unwrap_or(0.0)
    }

    /// `N` lanes for each gate of a block of as many units, made by gate and unit.
    fn gates<T: Copy + Default, const N: usize>(
        &self,
        block: usize,
        lane: impl Fn(usize, usize) -> T,
    ) -> [[T; N]; 4] {
        let mut gates = [[T::default(); N]; 4];
        for (gate, lanes) in gates.iter_mut().enumerate() {
            for (index, value) in lanes.iter_mut().enumerate() {
                *value = lane(gate, block.saturating_mul(N).saturating_add(index));
            }
        }
        gates
    }
}

impl Native {
    /// The network of checked weights; none if this processor or this architecture needs libtorch.
    pub(crate) fn new(
        architecture: &Architecture,
        weights: &Weights,
        precision: Arithmetic,
    ) -> Option<Self> {
        Self::with(Instructions::best(precision)?, architecture, weights, precision)
    }

    /// The same by certain instructions.
    fn with(
        instructions: Instructions,
        architecture: &Architecture,
        weights: &Weights,
        precision: Arithmetic,
    ) -> Option<Self> {
        if !instructions.compute(precision) || architecture.body != Body::Lstm {
            return None;
        }
        let size = |n: u32| usize::try_from(n).unwrap_or(usize::MAX);
        let of = |name: &str| weights.0.get(name).map(|weight| weight.values.as_slice());
        let hidden = size(architecture.hidden);
        let suffixes: &[&str] = if architecture.bidirectional { &["", "_reverse"] } else { &[""] };
        let width = hidden.saturating_mul(suffixes.len());
        let mut layers = Vec::new();
        for layer in 0..architecture.layers {
            let mut directions = Vec::new();
            for suffix in suffixes {
                let named = |kind: &str| of(&format!("lstm.{kind}_l{layer}{suffix}"));
                let bias: Vec<f32> = named("bias_ih")?
                    .iter()
                    .zip(named("bias_hh")?)
                    .map(|(input, hidden)| input + hidden)
                    .collect();
                let inputs = if layer == 0 { size(architecture.embedding) } else { width };
                let matrix = Matrix { values: named("weight_ih")?, hidden, inputs };
                let dense = Dense::gates(instructions, matrix, &bias);
                let input = if layer == 0 {
                    Input::Table(Table::new(of("embedding.weight")?, inputs, dense))
                } else {
                    Input::Dense(dense)
                };
                let matrix = Matrix { values: named("weight_hh")?, hidden, inputs: hidden };
                let recurrent = Recurrent::new(instructions, precision, matrix);
                directions.push(Direction { input, recurrent, backwards: !suffix.is_empty() });
            }
            layers.push(directions);
        }
        let classes = size(architecture.classes);
        let grams = match architecture.wide {
            Some(wide) => Some(Grams::new(weights, size(wide.width), classes)?),
            None => None,
        };
        let bag = grams.as_ref().map_or(0, Grams::bag_width);
        let inputs = width.saturating_add(bag);
        let output =
            Dense::linear(instructions, (of("fc.weight")?, of("fc.bias")?), classes, inputs);
        let (activation, readout) = (architecture.activation, architecture.readout);
        Some(Self { layers, output, grams, activation, readout, hidden, classes })
    }

    /// Logits of texts, in order; of a text in windows their mean. `between` is called after each
    /// step, with all that is under way lying still.
    pub(crate) fn answers(&self, texts: &[&Encoded], between: &dyn Fn()) -> Vec<Vec<f32>> {
        let windows: Vec<(&[i64], &Encoded)> = texts
            .iter()
            .flat_map(|text| text.more.iter().map(move |ids| (ids.as_slice(), *text)))
            .collect();
        let firsts = texts.iter().map(|text| (text.ids.as_slice(), *text));
        let (ids, of): (Vec<&[i64]>, Vec<&Encoded>) = firsts.chain(windows).unzip();
        mean_of_windows(texts, self.logits(&ids, &of, between))
    }

    /// Logits of texts of at least one token each, in order; all tokens' one after another where
    /// each has a label. `of` is what each is of, with its n-grams.
    fn logits(&self, texts: &[&[i64]], of: &[&Encoded], between: &dyn Fn()) -> Vec<Vec<f32>> {
        // The longest first: those that go on are always the first ones.
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&index| std::cmp::Reverse(texts.get(index).map_or(0, |t| t.len())));
        let sorted: Vec<&[i64]> = order.iter().filter_map(|&i| texts.get(i).copied()).collect();
        let mut read = self.read(&sorted, between);
        let bags: Vec<Vec<f32>> = match &self.grams {
            Some(grams) => order.iter().filter_map(|&i| of.get(i)).map(|t| grams.bag(t)).collect(),
            None => Vec::new(),
        };
        let mut width = self.width();
        let beside = self.grams.as_ref().map_or(0, Grams::bag_width);
        if beside > 0 {
            // It is read beside what the layers read.
            width = width.saturating_add(beside);
            read.iter_mut().zip(&bags).for_each(|(read, bag)| read.extend(bag));
        }
        let rows: Vec<&[f32]> = read.iter().flat_map(|text| text.chunks(width.max(1))).collect();
        let mut logits = self.output.rows(&rows).into_iter();
        let mut answers: Vec<Vec<f32>> = vec![Vec::new(); texts.len()];
        for (number, (index, text)) in order.into_iter().zip(&read).enumerate() {
            let steps = text.len() / width.max(1);
            let all = logits.by_ref().take(steps);
            let mut answer: Vec<f32> =
                all.flat_map(|row| row.into_iter().take(self.classes)).collect();
            if let (0, Some(bag)) = (beside, bags.get(number)) {
                answer.iter_mut().zip(bag).for_each(|(logit, share)| *logit += share);
            }
            if let Some(place) = answers.get_mut(index) {
                *place = answer;
            }
        }
        answers
    }

    /// Width of what a text, or a token, is read out as.
    fn width(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.len().saturating_mul(self.hidden))
    }

    /// What the output layer reads of each text: one row of numbers, or one a token.
    fn read(&self, texts: &[&[i64]], between: &dyn Fn()) -> Vec<Vec<f32>> {
        let mut below: Vec<Vec<f32>> = Vec::new();
        let last = self.layers.len().saturating_sub(1);
        for (number, layer) in self.layers.iter().enumerate() {
            let readout = if number == last { self.readout } else { Readout::EveryToken };
            let form = Form { hidden: self.hidden, readout };
            let all: Vec<Vec<Vec<f32>>> =
                layer.iter().map(|direction| direction.run(texts, &below, form, between)).collect();
            below = side_by_side(all, self.hidden);
        }
        for value in below.iter_mut().flatten() {
            *value = match self.activation {
                Activation::None => break,
                Activation::Sigmoid => 1.0 / (1.0 + (-*value).exp()),
                Activation::Tanh => value.tanh(),
                Activation::Relu => value.max(0.0),
            };
        }
        below
    }

    /// What the weights take, with all rows of the tables.
    pub(crate) fn bytes(&self) -> usize {
        let directions = self.layers.iter().flatten();
        let all = directions.map(|direction| {
            let input = match &direction.input {
                Input::Table(table) => table.bytes(),
                Input::Dense(dense) => dense.bytes(),
            };
            input.saturating_add(direction.recurrent.bytes())
        });
        let grams = self.grams.as_ref().map_or(0, Grams::bytes);
        all.fold(self.output.bytes().saturating_add(grams), usize::saturating_add)
    }
}

/// Puts what both directions read of each step next to each other.
fn side_by_side(mut all: Vec<Vec<Vec<f32>>>, hidden: usize) -> Vec<Vec<f32>> {
    let Some(back) = all.pop() else { return Vec::new() };
    let Some(forth) = all.pop() else { return back };
    let join = |(forth, back): (Vec<f32>, Vec<f32>)| {
        let steps = forth.chunks(hidden.max(1)).zip(back.chunks(hidden.max(1)));
        steps.flat_map(|(forth, back)| forth.iter().chain(back).copied()).collect()
    };
    forth.into_iter().zip(back).map(join).collect()
}

impl Direction {
    /// Reads texts, sorted by length, the longest first; `below` is what the layer below read.
    fn run(
        &self,
        texts: &[&[i64]],
        below: &[Vec<f32>],
        form: Form,
        between: &dyn Fn(),
    ) -> Vec<Vec<f32>> {
        let computed: Vec<Box<[Gates]>> = match &self.input {
            Input::Table(table) => {
                table.fill(texts);
                Vec::new()
            }
            Input::Dense(dense) => {
                let width = dense.inputs().max(1);
                let rows: Vec<&[f32]> = below.iter().flat_map(|text| text.chunks(width)).collect();
                dense.gate_rows(&rows)
            }
        };
        let mut offset = 0_usize;
        let mut inputs: Vec<Vec<&[Gates]>> = Vec::with_capacity(texts.len());
        for text in texts {
            let mut steps: Vec<&[Gates]> = match &self.input {
                Input::Table(table) => text.iter().map(|&id| table.row(id)).collect(),
                Input::Dense(_) => {
                    let rows = computed.iter().skip(offset).take(text.len());
                    rows.map(|row| &**row).collect()
                }
            };
            offset = offset.saturating_add(text.len());
            if self.backwards {
                steps.reverse();
            }
            inputs.push(steps);
        }
        let backwards = self.backwards;
        match &self.recurrent {
            Recurrent::Fp32(panels) => walk(panels, &inputs, form, backwards, between),
            Recurrent::Bf16(panels) => walk(panels, &inputs, form, backwards, between),
            Recurrent::FusedBf16(panels) => walk(panels, &inputs, form, backwards, between),
            Recurrent::HalfBf16(panels) => walk(panels, &inputs, form, backwards, between),
            Recurrent::Int8(panels) => walk(panels, &inputs, form, backwards, between),
            Recurrent::NarrowFp32(panels) => walk(panels, &inputs, form, backwards, between),
            Recurrent::NarrowBf16(panels) => walk(panels, &inputs, form, backwards, between),
            Recurrent::NarrowInt8(panels) => walk(panels, &inputs, form, backwards, between),
        }
    }
}

impl Recurrent {
    fn new(instructions: Instructions, precision: Arithmetic, matrix: Matrix<'_>) -> Self {
        match (instructions, precision) {
            (Instructions::Avx512, Arithmetic::Fp32) => {
                Self::Fp32(avx512::fp32::Panels::new(matrix))
            }
            (Instructions::Avx512, Arithmetic::Bf16) => {
                Self::Bf16(avx512::bf16::Panels::new(matrix))
            }
            (Instructions::Avx512, Arithmetic::Int8) => {
                Self::Int8(avx512::int8::Panels::new(matrix))
            }
            (Instructions::Avx512Fp16, _) => match avx512::bf16_half::Panels::new(matrix) {
                Some(panels) => Self::HalfBf16(panels),
                None => Self::FusedBf16(avx512::bf16_fma::Panels::new(matrix)),
            },
            (Instructions::Avx512Fma, _) => Self::FusedBf16(avx512::bf16_fma::Panels::new(matrix)),
            (Instructions::Avx2, Arithmetic::Fp32) => {
                Self::NarrowFp32(avx2::fp32::Panels::new(matrix))
            }
            (Instructions::Avx2, Arithmetic::Bf16) => {
                Self::NarrowBf16(avx2::bf16::Panels::new(matrix))
            }
            (Instructions::Avx2, Arithmetic::Int8) => {
                Self::NarrowInt8(avx2::int8::Panels::new(matrix))
            }
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Fp32(panels) => panels.bytes(),
            Self::Bf16(panels) => panels.bytes(),
            Self::FusedBf16(panels) => panels.bytes(),
            Self::HalfBf16(panels) => panels.bytes(),
            Self::Int8(panels) => panels.bytes(),
            Self::NarrowFp32(panels) => panels.bytes(),
            Self::NarrowBf16(panels) => panels.bytes(),
            Self::NarrowInt8(panels) => panels.bytes(),
        }
    }
}

/// How wide a layer is, and what is kept of its steps.
#[derive(Clone, Copy)]
struct Form {
    hidden: usize,
    readout: Readout,
}

/// W_hh in one of the formats.
trait Steps {
    /// The state of up to `ROWS` texts.
    type Group;
    /// Texts whose gates are computed at once.
    const ROWS: usize;
    /// Blocks of hidden units.
    fn blocks(&self) -> usize;
    /// Texts that have read nothing yet.
    fn group(&self) -> Self::Group;
    /// One step of all texts that go on: `inputs` are what their tokens add to the gates, `out`
    /// gets their hidden states, text after text.
    fn step(&self, groups: &mut [Self::Group], inputs: &[&[Gates]], out: &mut [__m512]);
}

/// Has what tokens add to a block's gates brought near before it is needed: tables are far larger
/// than caches, and which row comes next no processor can guess.
#[inline]
fn bring_near(inputs: &[&[Gates]], block: usize) {
    for gates in inputs.iter().filter_map(|input| input.get(block)).flatten() {
        #[expect(unsafe_code, reason = "a hint to the processor, which reads nothing by itself")]
        // SAFETY: the address is that of a register that is borrowed here.
        unsafe {
            _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(gates).cast());
        }
    }
}

/// Walks through texts, sorted by length, and reads them out.
fn walk<S: Steps>(
    steps: &S,
    inputs: &[Vec<&[Gates]>],
    Form { hidden, readout }: Form,
    backwards: bool,
    between: &dyn Fn(),
) -> Vec<Vec<f32>> {
    let blocks = steps.blocks();
    let mut groups: Vec<S::Group> =
        (0..inputs.len().div_ceil(S::ROWS)).map(|_| steps.group()).collect();
    let mut out = vec![ZERO; inputs.len().saturating_mul(blocks)];
    let mut read: Vec<Vec<f32>> = vec![Vec::new(); inputs.len()];
    let longest = inputs.first().map_or(0, Vec::len);
    let at = |step: usize| inputs.iter().map_while(move |text| text.get(step).copied());
    let mut now: Vec<&[Gates]> = at(0).collect();
    for step in 0..longest {
        steps.step(&mut groups, &now, &mut out);
        let texts = out.chunks(blocks.max(1)).zip(&mut read).zip(inputs).take(now.len());
        now.clear();
        now.extend(at(step.saturating_add(1)));
        bring_near(&now, 0);
        for ((state, read), text) in texts {
            let state: &[f32] = bytemuck::cast_slice(state);
            let state = state.iter().copied().take(hidden);
            // PyTorch reads the backward direction out at the last token too, its first step.
            let last = if backwards { step == 0 } else { step.saturating_add(1) == text.len() };
            match readout {
                Readout::LastReal if last => read.extend(state),
                Readout::LastReal => {}
                Readout::Max | Readout::Mean if step == 0 => read.extend(state),
                Readout::Max => read.iter_mut().zip(state).for_each(|(l, r)| *l = l.max(r)),
                Readout::Mean => read.iter_mut().zip(state).for_each(|(l, r)| *l += r),
                Readout::EveryToken => read.extend(state),
            }
        }
        between();
    }
    if readout == Readout::Mean {
        for (read, text) in read.iter_mut().zip(inputs) {
            let steps = f32::from(u16::try_from(text.len()).unwrap_or(u16::MAX));
            read.iter_mut().for_each(|sum| *sum /= steps);
        }
    }
    if backwards && readout == Readout::EveryToken {
        for text in &mut read {
            let steps: Vec<&[f32]> = text.chunks(hidden.max(1)).rev().collect();
            *text = steps.concat();
        }
    }
    read
}

/// Sixteen zeros.
const ZERO: __m512 = bytemuck::must_cast([0.0_f32; LANES]);
