use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{classifier::softmax, metrics::largest};

/// What a bundle knows of how far its answers can be trusted; learned from texts that the network
/// did not learn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confidence {
    /// Logits are divided by it before they become probabilities (Guo et al. 2017); 1 where
    /// calibration did not hold on a second split.
    pub temperature: f32,
    /// Below this probability an answer is said to be unsure; 0 for never.
    #[serde(default)]
    pub abstain_below: f32,
    /// As `abstain_below`, for labels that need another.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, f32>,
    /// How texts that are about none of the labels are told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_scope: Option<OutOfScope>,
}

/// A text with a lower score is taken for one about none of the labels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutOfScope {
    /// What is looked at.
    pub score: Score,
    /// The least that is in scope.
    pub threshold: f32,
}

/// A number that is higher for texts like those learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Score {
    /// The likeliest label's calibrated probability (Hendrycks and Gimpel 2017).
    Probability,
    /// ln Σ e^logit (Liu et al. 2020).
    Energy,
    /// The largest logit.
    Logit,
    /// How far the largest logit is above the second.
    Margin,
}

impl Score {
    /// All there are.
    pub const ALL: [Self; 4] = [Self::Probability, Self::Energy, Self::Logit, Self::Margin];
}

/// An answer with what can be said of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The label's number.
    pub label: usize,
    /// A calibrated probability for each label.
    pub scores: Vec<f32>,
    /// Whether to believe it.
    pub standing: Standing,
}

/// Whether an answer is to be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// Nothing speaks against it.
    Sure,
    /// It is less likely than the bundle wants of this label.
    Unsure,
    /// The text seems to be about none of the labels.
    OutOfScope,
}

impl Default for Confidence {
    fn default() -> Self {
        Self { temperature: 1.0, abstain_below: 0.0, labels: BTreeMap::new(), out_of_scope: None }
    }
}

impl Confidence {
    /// Says what is impossible about it.
    pub(crate) fn check(&self, labels: &[String]) -> Result<(), String> {
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            return Err(format!("temperature {}: expected above 0", self.temperature));
        }
        let thresholds = self.labels.values().chain([&self.abstain_below]);
        if let Some(wrong) = thresholds.into_iter().find(|t| !(0.0..=1.0).contains(*t)) {
            return Err(format!("a threshold of {wrong}: expected 0 to 1"));
        }
        if let Some(label) = self.labels.keys().find(|label| !labels.contains(label)) {
            return Err(format!("a threshold for `{label}`, which is no label"));
        }
        match self.out_of_scope {
            Some(rule) if !rule.threshold.is_finite() => {
                Err(format!("an out-of-scope threshold of {}", rule.threshold))
            }
            _ => Ok(()),
        }
    }

    /// Calibrated probabilities that add up to 1.
    pub fn probabilities(&self, logits: &[f32]) -> Vec<f32> {
        let scaled: Vec<f32> = logits.iter().map(|logit| logit / self.temperature).collect();
        softmax(&scaled)
    }

    /// How much a text is like those learned from.
    pub fn score(&self, score: Score, logits: &[f32]) -> f32 {
        let mut highest = logits.to_vec();
        highest.sort_by(|a, b| b.total_cmp(a));
        let first = highest.first().copied().unwrap_or_default();
        match score {
            Score::Probability => self.probabilities(logits).into_iter().fold(0.0, f32::max),
            Score::Energy => first + logits.iter().map(|l| (l - first).exp()).sum::<f32>().ln(),
            Score::Logit => first,
            Score::Margin => first - highest.get(1).copied().unwrap_or_default(),
        }
    }

    /// What a network's logits say; `labels` are the bundle's.
    pub fn answer(&self, labels: &[String], logits: &[f32]) -> Answer {
        let scores = self.probabilities(logits);
        let label = largest(logits);
        let threshold = labels
            .get(label)
            .and_then(|name| self.labels.get(name))
            .copied()
            .unwrap_or(self.abstain_below);
        let foreign =
            self.out_of_scope.is_some_and(|rule| self.score(rule.score, logits) < rule.threshold);
        let standing = if foreign {
            Standing::OutOfScope
        } else if scores.get(label).is_none_or(|score| *score < threshold) {
            Standing::Unsure
        } else {
            Standing::Sure
        };
        Answer { label, scores, standing }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_of_its_own_threshold_and_a_foreign_text_are_told() {
        let labels = ["a".to_owned(), "b".to_owned()];
        let confidence = Confidence {
            temperature: 2.0,
            abstain_below: 0.7,
            labels: [("b".to_owned(), 0.99)].into(),
            out_of_scope: Some(OutOfScope { score: Score::Logit, threshold: 0.5 }),
        };
        let standing = |logits: &[f32]| confidence.answer(&labels, logits).standing;
        assert_eq!(standing(&[4.0, 0.0]), Standing::Sure);
        assert_eq!(standing(&[1.0, 0.0]), Standing::Unsure, "0.62 with the temperature");
        assert_eq!(standing(&[0.0, 4.0]), Standing::Unsure, "0.88 is too little for b");
        assert_eq!(standing(&[0.4, -9.0]), Standing::OutOfScope);
        let energy = confidence.score(Score::Energy, &[1.0, 1.0]);
        assert!((energy - (1.0 + 2_f32.ln())).abs() < 1e-6);
        assert!((confidence.probabilities(&[2.0, 0.0])[0] - 0.731_058_6).abs() < 1e-6);
    }
}
