//! Learns a [`Confidence`] from texts that the network did not learn from.

use std::collections::BTreeMap;

use crate::{
    Confidence, OutOfScope, Score,
    metrics::{expected_calibration_error, largest},
};

/// What is asked of answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wishes {
    /// The share of answers that are right among those given; others are unsure.
    pub accuracy: Option<f64>,
    /// As `accuracy`, for each label by itself.
    pub label_precision: Option<f64>,
    /// The share of all texts in scope whose right answer may be lost to finding foreign ones.
    pub in_scope_loss: f64,
    /// The temperature, where it is known from elsewhere and not to be learned from the judged texts.
    pub temperature: Option<f32>,
}

/// Logits of a text and its label's number.
pub type Judged = (Vec<f32>, usize);

/// What calibration found.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// For the bundle.
    pub confidence: Confidence,
    /// Whether the temperature held on the second split.
    pub held: bool,
    /// On the second split, before and after.
    pub errors: (f64, f64),
}

/// Labels with fewer texts get no threshold of their own.
const SUPPORT_MIN: usize = 20;

/// Learns temperature and thresholds from judged texts, and what is out of scope from foreign
/// ones where there are any. The temperature of one half must serve the other half better than
/// none, else there is none: on few texts it can do harm. One that is given is taken as it is.
pub fn calibrate(
    labels: &[String],
    judged: &[Judged],
    foreign: &[Vec<f32>],
    wishes: Wishes,
) -> Calibration {
    let half = |odd: bool| -> Vec<&Judged> {
        judged.iter().enumerate().filter(|(at, _)| (at % 2 == 1) == odd).map(|(_, j)| j).collect()
    };
    let (first, second) = (half(false), half(true));
    let given = wishes.temperature.map(f64::from);
    let tried = given.unwrap_or_else(|| temperature(&first));
    let likelihood = |t: f64| loss(&second, t);
    let errors = (error(&second, 1.0), error(&second, tried));
    let serves = !second.is_empty() && likelihood(tried) < likelihood(1.0) && errors.1 < errors.0;
    let held = given.is_some() || serves;
    let all: Vec<&Judged> = judged.iter().collect();
    let learned = || if held { narrow(temperature(&all)) } else { 1.0 };
    let temperature = wishes.temperature.unwrap_or_else(learned);
    let mut confidence = Confidence { temperature, ..Confidence::default() };
    let sure = |of: Option<usize>| -> Vec<(f32, bool)> {
        judged
            .iter()
            .map(|(logits, label)| (logits, largest(logits), *label))
            .filter(|(_, said, _)| of.is_none_or(|of| of == *said))
            .map(|(logits, said, label)| {
                (confidence.score(Score::Probability, logits), said == label)
            })
            .collect()
    };
    let abstain_below = wishes.accuracy.map_or(0.0, |least| least_threshold(sure(None), least));
    let mut own = BTreeMap::new();
    if let Some(least) = wishes.label_precision {
        for (number, label) in labels.iter().enumerate() {
            let of_label = sure(Some(number));
            if of_label.len() >= SUPPORT_MIN {
                own.insert(label.clone(), least_threshold(of_label, least).max(abstain_below));
            }
        }
    }
    confidence.abstain_below = abstain_below;
    confidence.labels = own;
    if !foreign.is_empty() {
        confidence.out_of_scope = best_rule(&confidence, judged, foreign, wishes.in_scope_loss);
    }
    Calibration { confidence, held, errors }
}

/// The temperature of the least cross-entropy: it is convex in 1/T, so a golden-section search
/// over ln T finds it.
fn temperature(judged: &[&Judged]) -> f64 {
    /// 1/φ
    const RATIO: f64 = 0.618_033_988_749_894_9;
    let (mut low, mut high) = (-3.0_f64, 3.0_f64);
    if judged.is_empty() {
        return 1.0;
    }
    for _ in 0..40 {
        let left = high - RATIO * (high - low);
        let right = low + RATIO * (high - low);
        if loss(judged, left.exp()) < loss(judged, right.exp()) {
            high = right;
        } else {
            low = left;
        }
    }
    f64::midpoint(low, high).exp()
}

/// Mean cross-entropy at a temperature.
fn loss(judged: &[&Judged], temperature: f64) -> f64 {
    let sum: f64 = judged
        .iter()
        .map(|(logits, label)| {
            let scaled = logits.iter().map(|logit| f64::from(*logit) / temperature);
            let most = scaled.clone().fold(f64::NEG_INFINITY, f64::max);
            let all = most + scaled.clone().map(|s| (s - most).exp()).sum::<f64>().ln();
            all - scaled.clone().nth(*label).unwrap_or(most)
        })
        .sum();
    sum / f64::from(u32::try_from(judged.len().max(1)).unwrap_or(u32::MAX))
}

fn error(judged: &[&Judged], temperature: f64) -> f64 {
    let confidence = Confidence { temperature: narrow(temperature), ..Confidence::default() };
    let answers = judged.iter().map(|(logits, label)| {
        (confidence.score(Score::Probability, logits), largest(logits) == *label)
    });
    expected_calibration_error(answers)
}

/// The least score from which on the share of right answers is at least `wanted`; 1 where none is.
fn least_threshold(mut answers: Vec<(f32, bool)>, wanted: f64) -> f32 {
    answers.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut right, mut all, mut threshold) = (0_u32, 0_u32, 1.0);
    for (at, (score, is_right)) in answers.iter().enumerate() {
        all = all.saturating_add(1);
        right = right.saturating_add(u32::from(*is_right));
        let last_of_equals = answers.get(at.saturating_add(1)).is_none_or(|next| next.0 < *score);
        if last_of_equals && f64::from(right) / f64::from(all) >= wanted {
            threshold = *score;
        }
    }
    threshold
}

/// Of all scores the one that finds most foreign texts, at the highest threshold that loses no
/// more right answers than may be lost.
fn best_rule(
    confidence: &Confidence,
    judged: &[Judged],
    foreign: &[Vec<f32>],
    loss: f64,
) -> Option<OutOfScope> {
    let total = f64::from(u32::try_from(judged.len()).unwrap_or(u32::MAX));
    let mut best: Option<(usize, OutOfScope)> = None;
    for score in Score::ALL {
        let mut right: Vec<f32> = judged
            .iter()
            .filter(|(logits, label)| largest(logits) == *label)
            .map(|(logits, _)| confidence.score(score, logits))
            .collect();
        right.sort_by(f32::total_cmp);
        // What is below the threshold is lost: as many as may be, and not the next one.
        let lost = (0..right.len())
            .take_while(|n| f64::from(u32::try_from(*n).unwrap_or(u32::MAX)) <= loss * total)
            .last()
            .unwrap_or(0);
        let Some(&threshold) = right.get(lost) else { continue };
        let found =
            foreign.iter().filter(|logits| confidence.score(score, logits) < threshold).count();
        if best.as_ref().is_none_or(|(most, _)| found > *most) {
            best = Some((found, OutOfScope { score, threshold }));
        }
    }
    best.map(|(_, rule)| rule)
}

#[expect(clippy::as_conversions, reason = "rounds to the nearest f32, which is what is wanted")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

    use super::*;

    /// Texts whose truth is drawn from the softmax of their logits at a known temperature.
    fn drawn(count: usize, temperature: f32, seed: u64) -> Vec<Judged> {
        let mut random = StdRng::seed_from_u64(seed);
        let confidence = Confidence { temperature, ..Confidence::default() };
        (0..count)
            .map(|_| {
                let logits: Vec<f32> = (0..4).map(|_| random.random_range(-6.0..6.0)).collect();
                let mut left: f32 = random.random();
                let mut label = 0;
                for (number, share) in confidence.probabilities(&logits).iter().enumerate() {
                    label = number;
                    left -= share;
                    if left < 0.0 {
                        break;
                    }
                }
                (logits, label)
            })
            .collect()
    }

    const NOTHING: Wishes =
        Wishes { accuracy: None, label_precision: None, in_scope_loss: 0.01, temperature: None };

    fn labels() -> Vec<String> {
        ["a", "b", "c", "d"].map(str::to_owned).to_vec()
    }

    #[test]
    fn the_temperature_that_made_the_truth_is_found_and_calibrates_other_texts() {
        let found = calibrate(&labels(), &drawn(4000, 2.5, 1), &[], NOTHING);
        assert!(found.held && (found.confidence.temperature - 2.5).abs() < 0.2, "{found:?}");
        let others = drawn(4000, 2.5, 2);
        let others: Vec<&Judged> = others.iter().collect();
        assert!(error(&others, found.confidence.temperature.into()) < 0.03);
        assert!(error(&others, 1.0) > 0.1);
    }

    #[test]
    fn a_temperature_that_a_second_split_does_not_confirm_is_dropped() {
        // Right in one half, wrong in the other.
        let judged: Vec<Judged> = (0..200).map(|n| (vec![2.0, 0.0, 0.0, 0.0], n % 2)).collect();
        let found = calibrate(&labels(), &judged, &[], NOTHING);
        assert!(!found.held);
        assert_eq!(found.confidence.temperature, 1.0);
    }

    #[test]
    fn a_temperature_that_is_given_is_taken_and_thresholds_go_by_it() {
        let judged = drawn(4000, 2.0, 4);
        let wishes = Wishes { accuracy: Some(0.9), temperature: Some(3.0), ..NOTHING };
        let found = calibrate(&labels(), &judged, &[], wishes);
        assert!(found.held);
        assert_eq!(found.confidence.temperature, 3.0);
        let learned = Wishes { temperature: None, ..wishes };
        let learned = calibrate(&labels(), &judged, &[], learned).confidence;
        assert!(found.confidence.abstain_below < learned.abstain_below);
    }

    #[test]
    fn answers_above_the_threshold_are_as_right_as_was_wished() {
        let judged = drawn(4000, 2.0, 3);
        let wishes = Wishes { accuracy: Some(0.9), label_precision: Some(0.95), ..NOTHING };
        let confidence = calibrate(&labels(), &judged, &[], wishes).confidence;
        let share = |least: &dyn Fn(usize) -> f32| {
            let given: Vec<bool> = judged
                .iter()
                .map(|(logits, label)| (logits, largest(logits), *label))
                .filter(|(l, said, _)| confidence.score(Score::Probability, l) >= least(*said))
                .map(|(_, said, label)| said == label)
                .collect();
            f64::from(u32::try_from(given.iter().filter(|right| **right).count()).unwrap())
                / f64::from(u32::try_from(given.len()).unwrap())
        };
        let all = share(&|_| confidence.abstain_below);
        assert!((0.9..0.91).contains(&all), "{all}");
        assert_eq!(confidence.labels.len(), 4);
        let strict = share(&|said| confidence.labels[&labels()[said]]);
        assert!(strict >= 0.95, "{strict}");
    }

    #[test]
    fn foreign_texts_are_found_at_the_loss_that_is_allowed_and_no_more() {
        let judged: Vec<Judged> =
            (0..1000_u16).map(|n| (vec![f32::from(n) / 100.0, 0.0, 0.0, 0.0], 0)).collect();
        let foreign: Vec<Vec<f32>> = (0..100).map(|_| vec![0.05, 0.0, 0.0, 0.0]).collect();
        let wishes = Wishes { in_scope_loss: 0.01, ..NOTHING };
        let confidence = calibrate(&labels(), &judged, &foreign, wishes).confidence;
        let rule = confidence.out_of_scope.unwrap();
        let below = |logits: &[f32]| confidence.score(rule.score, logits) < rule.threshold;
        assert!(judged.iter().filter(|(logits, _)| below(logits)).count() <= 10);
        assert!(foreign.iter().all(|logits| below(logits)), "{rule:?}");
    }
}
