//! Random networks and texts, for tests of what computes them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use proptest::prelude::*;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use crate::{Activation, Architecture, Body, Encoded, Gram, Readout, Weight, Weights, Wide};

/// Weights of a random network, the same for a seed.
pub fn weights(architecture: &Architecture, seed: u64) -> Weights {
    let mut random = StdRng::seed_from_u64(seed);
    let mut weights = Weights::default();
    for (name, shape) in architecture.weights() {
        let count: usize = shape.iter().product();
        let range = if name.starts_with("embedding") { 1.0 } else { 0.25_f32 };
        let values = (0..count).map(|_| random.random_range(-range..range)).collect();
        weights.0.insert(name, Weight { shape, values });
    }
    weights
}

/// Random texts of these lengths, some in windows and with n-grams, the same for a seed.
pub fn texts(architecture: &Architecture, lengths: &[usize], seed: u64) -> Vec<Encoded> {
    let mut random = StdRng::seed_from_u64(seed);
    let most = i64::from(architecture.vocabulary);
    let mut ids = |n: usize| (0..n).map(|_| random.random_range(0..most)).collect::<Vec<i64>>();
    let windows = architecture.readout != Readout::EveryToken;
    let mut made = Vec::new();
    for (number, length) in lengths.iter().enumerate() {
        // Some texts are read in windows.
        let more = if windows && number % 3 == 2 { vec![ids(*length), ids(2)] } else { Vec::new() };
        let grams = architecture.wide.map_or(0, |_| number % 5);
        let buckets = architecture.wide.map_or(1, |wide| wide.buckets);
        let gram = |n: usize| Gram {
            bucket: u32::try_from(n * 7 + number).unwrap() % buckets,
            weight: 0.5 + f32::from(u8::try_from(n).unwrap()),
        };
        made.push(Encoded {
            ids: ids(*length),
            more,
            grams: (0..grams).map(gram).collect(),
            ..Encoded::default()
        });
    }
    made
}

/// Small LSTMs of every kind.
pub fn architectures() -> impl Strategy<Value = Architecture> {
    let activation = prop_oneof![
        Just(Activation::None),
        Just(Activation::Sigmoid),
        Just(Activation::Tanh),
        Just(Activation::Relu),
    ];
    let readout = prop_oneof![
        Just(Readout::LastReal),
        Just(Readout::Max),
        Just(Readout::Mean),
        Just(Readout::EveryToken),
    ];
    let wide = prop_oneof![Just(None), (1_u32..30, 0_u32..9).prop_map(Some)];
    (
        (1_u32..50, 1_u32..20, 1_u32..70),
        (1_u32..3, any::<bool>(), 1_u32..80),
        activation,
        readout,
        wide,
    )
        .prop_map(|((vocabulary, embedding, hidden), rest, activation, readout, wide)| {
            let (layers, bidirectional, classes) = rest;
            let wide = wide.filter(|_| readout != Readout::EveryToken);
            Architecture {
                body: Body::Lstm,
                wide: wide.map(|(buckets, width)| Wide {
                    buckets,
                    words: 1,
                    characters_from: 1,
                    characters_to: 0,
                    width,
                }),
                vocabulary,
                embedding,
                hidden,
                layers,
                bidirectional,
                classes,
                activation,
                readout,
            }
        })
}
