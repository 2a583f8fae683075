use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Confidence, Judged, Score};

/// How well predictions agree with the truth.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Texts judged.
    pub texts: u64,
    /// Share of texts with the right label, 0 to 1.
    pub accuracy: f64,
    /// Mean of the labels' F1, each label counting the same.
    pub macro_f1: f64,
    /// By label.
    pub labels: BTreeMap<String, LabelMetrics>,
    /// How far the probabilities are from the truth, where that was measured: see
    /// [`expected_calibration_error`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
}

/// How well one label is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelMetrics {
    /// Of the texts given this label, the share that has it. 0 where none was given it.
    pub precision: f64,
    /// Of the texts that have this label, the share that was given it. 0 where none has it.
    pub recall: f64,
    /// 2PR / (P + R), 0 where both are 0.
    pub f1: f64,
    /// Texts that have this label.
    pub support: u64,
}

impl Metrics {
    /// Compares pairs of (true, predicted) label numbers. A number without a label is ignored.
    pub fn of(labels: &[String], pairs: &[(usize, usize)]) -> Self {
        let mut by_label = BTreeMap::new();
        let mut f1_sum = 0.0;
        for (index, label) in labels.iter().enumerate() {
            let support = count(pairs, |(truth, _)| truth == index);
            let predicted = count(pairs, |(_, predicted)| predicted == index);
            let right = count(pairs, |(truth, predicted)| truth == index && predicted == index);
            let (precision, recall) = (ratio(right, predicted), ratio(right, support));
            let f1 = ratio_or_zero(2.0 * precision * recall, precision + recall);
            f1_sum += f1;
            let support = u64::from(support);
            by_label.insert(label.clone(), LabelMetrics { precision, recall, f1, support });
        }
        let all = count(pairs, |_| true);
        let right = count(pairs, |(truth, predicted)| truth == predicted);
        let classes = u32::try_from(labels.len()).unwrap_or(u32::MAX);
        Self {
            texts: u64::from(all),
            accuracy: ratio(right, all),
            macro_f1: ratio_or_zero(f1_sum, f64::from(classes)),
            labels: by_label,
            calibration_error: None,
        }
    }

    /// With how far calibrated probabilities are from the truth.
    #[must_use]
    pub fn with_calibration_error(self, confidence: &Confidence, judged: &[Judged]) -> Self {
        let answers = judged.iter().map(|(logits, label)| {
            (confidence.score(Score::Probability, logits), largest(logits) == *label)
        });
        Self { calibration_error: Some(expected_calibration_error(answers)), ..self }
    }
}

/// Bins of equal width.
const BINS: usize = 15;

/// One bin of a reliability diagram.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Bin {
    /// Answers in it.
    pub count: u32,
    /// Their mean probability.
    pub confidence: f64,
    /// The share of them that is right.
    pub accuracy: f64,
}

/// Answers by their probability, in 15 bins of equal width.
pub fn reliability(answers: impl Iterator<Item = (f32, bool)>) -> Vec<Bin> {
    let mut bins = vec![Bin::default(); BINS];
    let width = f64::from(u32::try_from(BINS).unwrap_or(1)).recip();
    for (probability, right) in answers {
        let probability = f64::from(probability);
        // The edge belongs to the bin below it.
        let below = (1..BINS)
            .take_while(|n| probability > f64::from(u32::try_from(*n).unwrap_or(1)) * width)
            .count();
        if let Some(bin) = bins.get_mut(below) {
            bin.count = bin.count.saturating_add(1);
            bin.confidence += probability;
            bin.accuracy += f64::from(u8::from(right));
        }
    }
    for bin in &mut bins {
        let count = f64::from(bin.count.max(1));
        bin.confidence /= count;
        bin.accuracy /= count;
    }
    bins
}

/// The mean distance of probability and share of right answers, over 15 bins of equal width
/// (Guo et al. 2017), each counting as the answers in it.
pub fn expected_calibration_error(answers: impl Iterator<Item = (f32, bool)>) -> f64 {
    let bins = reliability(answers);
    let all: f64 = bins.iter().map(|bin| f64::from(bin.count)).sum();
    let apart = |bin: &Bin| f64::from(bin.count) * (bin.accuracy - bin.confidence).abs();
    ratio_or_zero(bins.iter().map(apart).sum(), all)
}

/// The two-sided exact p of McNemar's test: how likely two classifiers that are equally good
/// would differ so much, of the texts that only one of them has right.
pub fn mcnemar(only_first: u32, only_second: u32) -> f64 {
    let all = only_first.saturating_add(only_second);
    let fewer = only_first.min(only_second);
    // Binomial terms of 1/2, from the smallest on, as logarithms.
    let mut term = -f64::from(all) * std::f64::consts::LN_2;
    let mut sum = 0.0;
    for k in 0..=fewer {
        sum += term.exp();
        term += (f64::from(all.saturating_sub(k)) / f64::from(k.saturating_add(1))).ln();
    }
    (2.0 * sum).min(1.0)
}

fn count(pairs: &[(usize, usize)], is: impl Fn((usize, usize)) -> bool) -> u32 {
    u32::try_from(pairs.iter().filter(|pair| is(**pair)).count()).unwrap_or(u32::MAX)
}

fn ratio(part: u32, whole: u32) -> f64 {
    ratio_or_zero(f64::from(part), f64::from(whole))
}

fn ratio_or_zero(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

/// Which number is largest, the first of equals.
pub fn largest(numbers: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, &number) in numbers.iter().enumerate() {
        if number > best.1 {
            best = (index, number);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_error_and_mcnemar_agree_with_figures_worked_out_by_hand() {
        // One bin at 0.9 with half right, one at 0.3 with all right.
        let answers = [(0.9, true), (0.9, false), (0.3, true), (0.3, true)];
        let error = expected_calibration_error(answers.into_iter());
        assert!((error - (0.4 + 0.7) / 2.0).abs() < 1e-6, "{error}");
        // R: binom.test(5, 20)$p.value, binom.test(1, 10)$p.value
        assert!((mcnemar(5, 15) - 0.041_389_47).abs() < 1e-6, "{}", mcnemar(5, 15));
        assert!((mcnemar(9, 1) - 0.021_484_38).abs() < 1e-6);
        assert_eq!(mcnemar(0, 0), 1.0);
        assert_eq!(mcnemar(7, 7), 1.0);
    }

    #[test]
    fn agrees_with_figures_worked_out_by_hand() {
        let labels = ["a".to_owned(), "b".to_owned(), "never".to_owned()];
        let metrics = Metrics::of(&labels, &[(0, 0), (0, 0), (0, 1), (1, 1)]);
        assert_eq!(metrics.accuracy, 0.75);
        let a = &metrics.labels["a"];
        assert_eq!((a.precision, a.support), (1.0, 3));
        assert!((a.recall - 2.0 / 3.0).abs() < 1e-12 && (a.f1 - 0.8).abs() < 1e-12);
        let b = &metrics.labels["b"];
        assert!((b.precision, b.recall) == (0.5, 1.0) && (b.f1 - 2.0 / 3.0).abs() < 1e-12);
        assert_eq!(metrics.labels["never"].f1, 0.0);
        assert!((metrics.macro_f1 - (0.8 + 2.0 / 3.0) / 3.0).abs() < 1e-12);
    }
}
