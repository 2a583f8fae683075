//! The LSTM as its formula has it, text after text and without any instruction of a certain
//! processor: what faster ways of computing are held against.

use std::array;

use crate::{Activation, Architecture, Body, Encoded, Readout, Weights, architecture::WIDE_WEIGHT};

/// A network that is computed plainly.
#[derive(Debug)]
pub struct Plain<'a> {
    architecture: &'a Architecture,
    weights: &'a Weights,
    hidden: usize,
}

/// One direction of a layer.
struct Direction<'a> {
    /// `[4 × hidden, inputs]`, the gates in PyTorch's order: input, forget, cell, output.
    weight_ih: &'a [f32],
    /// `[4 × hidden, hidden]`.
    weight_hh: &'a [f32],
    bias_ih: &'a [f32],
    bias_hh: &'a [f32],
    hidden: usize,
    backwards: bool,
}

impl<'a> Plain<'a> {
    /// Of weights that fit the architecture ([`Weights::check`]); none unless that is an LSTM.
    pub fn new(architecture: &'a Architecture, weights: &'a Weights) -> Option<Self> {
        let hidden = usize::try_from(architecture.hidden).ok()?;
        (architecture.body == Body::Lstm).then_some(Self { architecture, weights, hidden })
    }

    /// A text's logits, of one in windows their mean; all tokens' one after another where each has
    /// a label.
    pub fn logits(&self, text: &Encoded) -> Vec<f32> {
        let bag = self.bag(text);
        let mut logits = self.of_window(&text.ids, &bag);
        for ids in &text.more {
            let other = self.of_window(ids, &bag);
            logits.iter_mut().zip(other).for_each(|(sum, logit)| *sum += logit);
        }
        let windows = u16::try_from(text.more.len()).unwrap_or(u16::MAX).saturating_add(1);
        logits.iter_mut().for_each(|sum| *sum /= f32::from(windows));
        logits
    }

    fn of(&self, name: &str) -> &'a [f32] {
        self.weights.0.get(name).map_or(&[], |weight| &weight.values)
    }

    fn of_window(&self, ids: &[i64], bag: &[f32]) -> Vec<f32> {
        let width = usize::try_from(self.architecture.embedding).unwrap_or(1).max(1);
        let mut embedding = self.of("embedding.weight").chunks(width);
        let embedding: Vec<&[f32]> = embedding.by_ref().collect();
        let row = |id: &i64| usize::try_from(*id).ok().and_then(|id| embedding.get(id));
        let mut steps: Vec<Vec<f32>> = ids.iter().filter_map(row).map(|row| row.to_vec()).collect();
        let suffixes: &[&str] =
            if self.architecture.bidirectional { &["", "_reverse"] } else { &[""] };
        for layer in 0..self.architecture.layers {
            let mut above = vec![Vec::new(); steps.len()];
            for suffix in suffixes {
                let named = |kind: &str| self.of(&format!("lstm.{kind}_l{layer}{suffix}"));
                let direction = Direction {
                    weight_ih: named("weight_ih"),
                    weight_hh: named("weight_hh"),
                    bias_ih: named("bias_ih"),
                    bias_hh: named("bias_hh"),
                    hidden: self.hidden,
                    backwards: !suffix.is_empty(),
                };
                let states = direction.read(&steps);
                above.iter_mut().zip(states).for_each(|(above, state)| above.extend(state));
            }
            steps = above;
        }
        let wide = self.architecture.wide;
        let is_beside = wide.is_some_and(|wide| wide.width > 0);
        let mut logits = Vec::new();
        for mut read in read_out(self.architecture.readout, steps) {
            for value in &mut read {
                *value = match self.architecture.activation {
                    Activation::None => *value,
                    Activation::Sigmoid => sigmoid(*value),
                    Activation::Tanh => value.tanh(),
                    Activation::Relu => value.max(0.0),
                };
            }
            if is_beside {
                read.extend(bag.iter().map(|value| value.max(0.0)));
            }
            let rows = self.of("fc.weight").chunks(read.len().max(1)).zip(self.of("fc.bias"));
            logits.extend(rows.map(|(row, bias)| dot(row, &read) + bias));
        }
        if wide.is_some() && !is_beside {
            logits.iter_mut().zip(bag).for_each(|(logit, share)| *logit += share);
        }
        logits
    }

    /// The weighted sum of a text's n-grams' rows.
    fn bag(&self, text: &Encoded) -> Vec<f32> {
        let Some(wide) = self.architecture.wide else { return Vec::new() };
        let width = if wide.width == 0 { self.architecture.classes } else { wide.width };
        let width = usize::try_from(width).unwrap_or(1).max(1);
        let rows: Vec<&[f32]> = self.of(WIDE_WEIGHT).chunks(width).collect();
        let mut sums = vec![0.0; width];
        for gram in &text.grams {
            let row = usize::try_from(gram.bucket).ok().and_then(|bucket| rows.get(bucket));
            let Some(row) = row else { continue };
            sums.iter_mut().zip(*row).for_each(|(sum, value)| *sum += gram.weight * value);
        }
        sums
    }
}

impl Direction<'_> {
    /// The hidden state after each step, in the steps' order.
    fn read(&self, steps: &[Vec<f32>]) -> Vec<Vec<f32>> {
        let mut state = vec![0.0; self.hidden];
        let mut cell = vec![0.0; self.hidden];
        let mut states = Vec::with_capacity(steps.len());
        let mut step = |input: &Vec<f32>| {
            let inputs = self.weight_ih.chunks(input.len().max(1)).zip(self.bias_ih);
            let recurrent = self.weight_hh.chunks(self.hidden.max(1)).zip(self.bias_hh);
            let gates: Vec<f32> = inputs
                .zip(recurrent)
                .map(|((ih, bias_ih), (hh, bias_hh))| {
                    dot(ih, input) + dot(hh, &state) + bias_ih + bias_hh
                })
                .collect();
            let mut gates = gates.chunks(self.hidden.max(1));
            let [input, forget, candidate, output] =
                array::from_fn(|_| gates.next().unwrap_or_default());
            let gates = input.iter().zip(forget).zip(candidate.iter().zip(output));
            for (((i, f), (g, o)), (cell, state)) in gates.zip(cell.iter_mut().zip(&mut state)) {
                *cell = sigmoid(*f) * *cell + sigmoid(*i) * g.tanh();
                *state = sigmoid(*o) * cell.tanh();
            }
            states.push(state.clone());
        };
        if self.backwards {
            steps.iter().rev().for_each(&mut step);
            states.reverse();
        } else {
            steps.iter().for_each(&mut step);
        }
        states
    }
}

/// What stands for the text; for each of its tokens where every token has a label.
fn read_out(readout: Readout, steps: Vec<Vec<f32>>) -> Vec<Vec<f32>> {
    let count = f32::from(u16::try_from(steps.len()).unwrap_or(u16::MAX));
    let fold = |with: fn(f32, f32) -> f32| {
        steps.iter().cloned().reduce(|mut all, step| {
            all.iter_mut().zip(step).for_each(|(all, value)| *all = with(*all, value));
            all
        })
    };
    match readout {
        Readout::EveryToken => return steps,
        Readout::LastReal => steps.last().cloned(),
        Readout::Max => fold(f32::max),
        Readout::Mean => fold(|sum, value| sum + value).map(|mut sums| {
            sums.iter_mut().for_each(|sum| *sum /= count);
            sums
        }),
    }
    .into_iter()
    .collect()
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

/// In eight sums, which the compiler can keep in whatever registers there are.
fn dot(left: &[f32], right: &[f32]) -> f32 {
    let ((left, left_end), (right, right_end)) = (left.as_chunks::<8>(), right.as_chunks::<8>());
    let mut sums = [0.0_f32; 8];
    for (left, right) in left.iter().zip(right) {
        for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
            *sum += left * right;
        }
    }
    let end: f32 = left_end.iter().zip(right_end).map(|(left, right)| left * right).sum();
    sums.iter().sum::<f32>() + end
}
