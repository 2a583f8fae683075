//! The baseline: TF-IDF of words, pairs of words and characters, and a linear support vector
//! machine for each label. It is hard to beat on short texts, and cheap, so it is trained beside
//! every network and both are judged.

use std::{collections::HashMap, thread};

use rand::{SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};

use crate::{Dataset, Wide, grams::Grams, metrics::largest};

/// A trained baseline.
#[derive(Debug)]
pub struct Linear {
    grams: Grams,
    /// A bucket's place in the machines' weights; only buckets seen in training have one.
    places: HashMap<u32, usize>,
    /// One for each label.
    machines: Vec<Machine>,
}

#[derive(Debug, Default)]
struct Machine {
    weights: Vec<f32>,
    bias: f32,
}

/// A text's features.
type Row = Vec<(usize, f32)>;

/// Practically without collisions.
const SHAPE: Wide =
    Wide { buckets: 1 << 21, words: 2, characters_from: 2, characters_to: 5, width: 0 };
/// What a text on the wrong side costs.
const COST: f32 = 1.0;
/// Passes over the texts at most, and how near to the optimum is near enough.
const PASSES: u32 = 60;
const TOLERANCE: f32 = 0.02;

impl Linear {
    /// Trains on all examples; the same seed gives the same machines.
    pub fn fit(data: &Dataset, seed: u64) -> Self {
        let texts = || data.examples.iter().map(|example| example.text.as_str());
        let grams = Grams::count(SHAPE, 1, texts());
        let seen = (0_u32..).zip(grams.idf()).filter(|(_, idf)| **idf > 0.0);
        let places: HashMap<u32, usize> =
            seen.enumerate().map(|(place, (bucket, _))| (bucket, place)).collect();
        let rows: Vec<Row> = texts().map(|text| row(&grams, &places, text)).collect();
        let truth: Vec<usize> = data.examples.iter().map(|example| example.label).collect();
        let mut machines: Vec<Machine> =
            (0..data.labels.len()).map(|_| Machine::default()).collect();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let share = machines.len().div_ceil(threads).max(1);
        thread::scope(|scope| {
            for (part, machines) in machines.chunks_mut(share).enumerate() {
                let (rows, truth, features) = (&rows, &truth, places.len());
                scope.spawn(move || {
                    for (at, machine) in machines.iter_mut().enumerate() {
                        let label = part * share + at;
                        let right: Vec<bool> = truth.iter().map(|t| *t == label).collect();
                        *machine = Machine::fit(rows, &right, features, seed);
                    }
                });
            }
        });
        Self { grams, places, machines }
    }

    /// Each label's distance from its boundary.
    pub fn scores(&self, text: &str) -> Vec<f32> {
        let row = row(&self.grams, &self.places, text);
        self.machines.iter().map(|machine| machine.score(&row)).collect()
    }

    /// The number of the label with the largest score.
    pub fn classify(&self, text: &str) -> usize {
        largest(&self.scores(text))
    }
}

fn row(grams: &Grams, places: &HashMap<u32, usize>, text: &str) -> Row {
    let place = |bucket| places.get(bucket).copied();
    grams.of(text).iter().filter_map(|gram| Some((place(&gram.bucket)?, gram.weight))).collect()
}

impl Machine {
    fn score(&self, row: &Row) -> f32 {
        let weight = |place: &usize| self.weights.get(*place).copied().unwrap_or_default();
        row.iter().map(|(place, value)| weight(place) * value).sum::<f32>() + self.bias
    }

    fn add(&mut self, row: &Row, step: f32) {
        for (place, value) in row {
            if let Some(weight) = self.weights.get_mut(*place) {
                *weight += step * value;
            }
        }
        self.bias += step;
    }

    /// Dual coordinate descent for the squared hinge loss, with shrinking (Hsieh et al. 2008,
    /// algorithm 3): texts that stay on the right side are left out until the end.
    fn fit(rows: &[Row], right: &[bool], features: usize, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let mut machine = Self { weights: vec![0.0; features], bias: 0.0 };
        let diagonal = 1.0 / (2.0 * COST);
        let mut texts: Vec<Text<'_>> = rows
            .iter()
            .zip(right)
            .map(|(row, right)| Text {
                row,
                sign: if *right { 1.0 } else { -1.0 },
                square: row.iter().map(|(_, v)| v * v).sum::<f32>() + 1.0 + diagonal,
                alpha: 0.0,
            })
            .collect();
        let mut active = texts.len();
        let mut bound = f32::INFINITY;
        for _ in 0..PASSES {
            if let Some(working) = texts.get_mut(..active) {
                working.shuffle(&mut random);
            }
            let (mut most, mut least) = (f32::NEG_INFINITY, f32::INFINITY);
            let mut at = 0;
            while at < active {
                let Some(text) = texts.get_mut(at) else { break };
                let gradient = text.sign * machine.score(text.row) - 1.0 + text.alpha * diagonal;
                if text.alpha == 0.0 && gradient > bound {
                    active = active.saturating_sub(1);
                    texts.swap(at, active);
                    continue;
                }
                let projected = if text.alpha == 0.0 { gradient.min(0.0) } else { gradient };
                (most, least) = (most.max(projected), least.min(projected));
                if projected.abs() > 1e-12 {
                    let before = text.alpha;
                    text.alpha = (text.alpha - gradient / text.square).max(0.0);
                    machine.add(text.row, (text.alpha - before) * text.sign);
                }
                at += 1;
            }
            if most - least <= TOLERANCE {
                if active == texts.len() {
                    break;
                }
                // Near the optimum of those that are left: look at all again.
                (active, bound) = (texts.len(), f32::INFINITY);
            } else {
                bound = if most > 0.0 { most } else { f32::INFINITY };
            }
        }
        machine
    }
}

struct Text<'a> {
    row: &'a Row,
    sign: f32,
    square: f32,
    alpha: f32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_kinds_of_texts_are_told_apart_also_where_words_are_new() {
        let mut csv = String::from("text,label\n");
        for n in 0..30 {
            csv += &format!("where is parcel {n},delivery\nthe invoice {n} is wrong,billing\n");
        }
        let data = Dataset::parse(csv.as_bytes()).unwrap();
        let linear = Linear::fit(&data, 1);
        for example in &data.examples {
            assert_eq!(linear.classify(&example.text), example.label);
        }
        assert_eq!(linear.classify("two invoices"), 0);
        assert_eq!(linear.classify("my parcels"), 1);
    }

    #[test]
    fn the_machine_meets_the_conditions_of_the_optimum() {
        // One feature: the optimum of C Σ max(0, 1 − y(wx + b))² + (w² + b²)/2 can be derived.
        let rows: Vec<Row> = vec![vec![(0, 1.0)], vec![(0, -1.0)]];
        let machine = Machine::fit(&rows, &[true, false], 1, 1);
        // By symmetry b = 0, and w = 4C(1 − w) gives w = 0.8.
        assert!((machine.weights[0] - 0.8).abs() < 0.02 && machine.bias.abs() < 0.02);
    }
}
