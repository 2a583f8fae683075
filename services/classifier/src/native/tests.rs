//! Held against the plain computation on random networks.

use proptest::prelude::*;

use super::{Instructions, Native};
use crate::{
    Activation, Architecture, Arithmetic, Body, Encoded, Plain, Readout, Weights,
    testing::{architectures, texts, weights},
};

/// The network by all instructions that this processor has.
fn natives(
    architecture: &Architecture,
    weights: &Weights,
    precision: Arithmetic,
) -> Vec<(Instructions, Native)> {
    let with = |one| Some((one, Native::with(one, architecture, weights, precision)?));
    Instructions::ALL.into_iter().filter_map(with).collect()
}

fn answers(native: &Native, texts: &[&Encoded]) -> Vec<Vec<f32>> {
    native.answers(texts, &|| ())
}

fn plain(architecture: &Architecture, weights: &Weights, texts: &[&Encoded]) -> Vec<Vec<f32>> {
    let plain = Plain::new(architecture, weights).unwrap();
    texts.iter().map(|text| plain.logits(text)).collect()
}

fn apart(left: &[Vec<f32>], right: &[Vec<f32>]) -> f32 {
    assert_eq!(left.len(), right.len());
    let mut most = 0.0_f32;
    for (left, right) in left.iter().zip(right) {
        assert_eq!(left.len(), right.len());
        most = left.iter().zip(right).map(|(l, r)| (l - r).abs()).fold(most, f32::max);
    }
    most
}

fn slices(texts: &[Encoded]) -> Vec<&Encoded> {
    texts.iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn logits_are_those_of_the_formula(
        architecture in architectures(),
        lengths in prop::collection::vec(1_usize..24, 1..20),
        seed in any::<u64>(),
    ) {
        let weights = weights(&architecture, seed);
        let texts = texts(&architecture, &lengths, seed);
        let expected = plain(&architecture, &weights, &slices(&texts));
        let mut before: Option<Vec<Vec<f32>>> = None;
        // None is said by `what_this_processor_can_do`.
        for (instructions, native) in natives(&architecture, &weights, Arithmetic::Fp32) {
            let found = answers(&native, &slices(&texts));
            let difference = apart(&expected, &found);
            prop_assert!(difference < 1e-5, "{instructions:?}: {difference}");
            prop_assert!(before.replace(found.clone()).is_none_or(|before| before == found));
        }
    }

    #[test]
    fn the_batch_changes_no_bit(
        architecture in architectures(),
        lengths in prop::collection::vec(1_usize..24, 1..20),
        precision in prop_oneof![
            Just(Arithmetic::Fp32), Just(Arithmetic::Bf16), Just(Arithmetic::Int8),
        ],
        seed in any::<u64>(),
    ) {
        let weights = weights(&architecture, seed);
        let texts = texts(&architecture, &lengths, seed);
        let mut before: Option<Vec<Vec<f32>>> = None;
        for (instructions, native) in natives(&architecture, &weights, precision) {
            let together = answers(&native, &slices(&texts));
            for (text, expected) in texts.iter().zip(&together) {
                prop_assert_eq!(&answers(&native, &[text])[0], expected);
            }
            // Products of 16 bits round their sums differently.
            let is_wide = matches!(instructions, Instructions::Avx512Fma | Instructions::Avx2);
            if is_wide || precision != Arithmetic::Bf16 {
                let same = before.replace(together.clone()).is_none_or(|before| before == together);
                prop_assert!(same);
            }
        }
    }
}

#[test]
fn what_this_processor_can_do() {
    for one in Instructions::ALL {
        for precision in [Arithmetic::Fp32, Arithmetic::Bf16, Arithmetic::Int8] {
            if !one.compute(precision) {
                eprintln!("skipped: this processor has no {precision} by {one:?}");
            }
        }
    }
}

#[test]
fn less_precision_is_close() {
    let architecture = Architecture {
        body: Body::Lstm,
        wide: None,
        vocabulary: 500,
        embedding: 64,
        hidden: 128,
        layers: 1,
        bidirectional: false,
        classes: 5,
        activation: Activation::None,
        readout: Readout::LastReal,
    };
    let weights = weights(&architecture, 7);
    let texts = texts(&architecture, &[1, 5, 64, 30, 30, 12, 48, 64], 8);
    let expected = plain(&architecture, &weights, &slices(&texts));
    for (precision, bound) in [(Arithmetic::Bf16, 0.02), (Arithmetic::Int8, 0.06)] {
        for (instructions, native) in natives(&architecture, &weights, precision) {
            let difference = apart(&expected, &answers(&native, &slices(&texts)));
            // Not the same either: then it would not be what it says.
            let is_close = difference > 1e-6 && difference < bound;
            assert!(is_close, "{precision} by {instructions:?}: {difference}");
        }
    }
}

#[test]
fn large_sums_saturate_and_stay_finite() {
    let architecture = Architecture {
        body: Body::Lstm,
        wide: None,
        vocabulary: 10,
        embedding: 4,
        hidden: 20,
        layers: 1,
        bidirectional: false,
        classes: 3,
        activation: Activation::None,
        readout: Readout::LastReal,
    };
    let mut weights = weights(&architecture, 3);
    for weight in weights.0.values_mut() {
        weight.values.iter_mut().for_each(|value| *value *= 400.0);
    }
    let texts = texts(&architecture, &[30, 7], 4);
    let expected = plain(&architecture, &weights, &slices(&texts));
    for (instructions, native) in natives(&architecture, &weights, Arithmetic::Fp32) {
        let all = answers(&native, &slices(&texts));
        for (expected, found) in expected.iter().flatten().zip(all.iter().flatten()) {
            let is_close = (expected - found).abs() <= 1e-4 * expected.abs().max(1.0);
            assert!(is_close, "{instructions:?}: {expected} {found}");
        }
    }
}

#[test]
fn sums_beyond_fp16_are_made_in_fp32() {
    if !Instructions::Avx512Fp16.compute(Arithmetic::Bf16) {
        eprintln!("skipped: this processor has no AVX512-FP16");
        return;
    }
    let architecture = Architecture {
        body: Body::Lstm,
        wide: None,
        vocabulary: 50,
        embedding: 8,
        hidden: 40,
        layers: 1,
        bidirectional: false,
        classes: 3,
        activation: Activation::None,
        readout: Readout::LastReal,
    };
    let mut weights = weights(&architecture, 9);
    let texts = texts(&architecture, &[12, 30, 7], 10);
    let both = |weights: &Weights| {
        [Instructions::Avx512Fp16, Instructions::Avx512Fma].map(|one| {
            let native = Native::with(one, &architecture, weights, Arithmetic::Bf16).unwrap();
            answers(&native, &slices(&texts))
        })
    };
    let [half, full] = both(&weights);
    assert_ne!(half, full, "sums of 16 bits are rounded");
    assert!(apart(&half, &full) < 5e-3, "{}", apart(&half, &full));
    // 70,000 is more than fp16 holds, and so is 40 times 3,000.
    for (many, large) in [(1, 7e4), (40, 3e3), (1, f32::INFINITY)] {
        let recurrent = weights.0.get_mut("lstm.weight_hh_l0").unwrap();
        let before = recurrent.values.clone();
        recurrent.values[..many].fill(large);
        let [half, full] = both(&weights);
        let bits = |all: &[Vec<f32>]| -> Vec<u32> {
            all.iter().flatten().map(|logit| logit.to_bits()).collect()
        };
        assert_eq!(bits(&half), bits(&full), "{many} weights of {large}");
        weights.0.get_mut("lstm.weight_hh_l0").unwrap().values = before;
    }
}

#[test]
fn what_is_computed_between_two_steps_changes_nothing() {
    let architecture = Architecture {
        body: Body::Lstm,
        wide: None,
        vocabulary: 50,
        embedding: 8,
        hidden: 40,
        layers: 2,
        bidirectional: true,
        classes: 3,
        activation: Activation::Relu,
        readout: Readout::Max,
    };
    let weights = weights(&architecture, 5);
    let texts = texts(&architecture, &[9, 3, 12, 1, 7, 7, 2], 6);
    for precision in [Arithmetic::Fp32, Arithmetic::Bf16, Arithmetic::Int8] {
        for (_, native) in natives(&architecture, &weights, precision) {
            let expected = answers(&native, &slices(&texts));
            let steps = std::cell::Cell::new(0);
            let between = || {
                steps.set(steps.get() + 1);
                assert_eq!(answers(&native, &[&texts[0], &texts[2]])[1], expected[2]);
            };
            assert_eq!(native.answers(&slices(&texts), &between), expected);
            // Two layers of two directions, the longest text and its windows.
            assert!(steps.get() >= 4 * 12, "{}", steps.get());
        }
    }
}
