use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

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
