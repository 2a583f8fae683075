use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::Observed;

/// What is watched of what a model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Measure {
    /// How far the labels' shares are from those it was trained with.
    LabelDrift,
    /// How far the lengths of texts are.
    LengthDrift,
    /// How far its confidence is from what it was on held-out data.
    ConfidenceDrift,
    /// The share of tokens that its vocabulary does not have, beyond that of its training data.
    UnknownTokens,
    /// The share of texts that a version which is asked besides labels otherwise.
    Disagreement,
}

impl Measure {
    /// Every measure.
    pub const ALL: [Self; 5] = [
        Self::LabelDrift,
        Self::LengthDrift,
        Self::ConfidenceDrift,
        Self::UnknownTokens,
        Self::Disagreement,
    ];

    /// The name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LabelDrift => "label-drift",
            Self::LengthDrift => "length-drift",
            Self::ConfidenceDrift => "confidence-drift",
            Self::UnknownTokens => "unknown-tokens",
            Self::Disagreement => "disagreement",
        }
    }

    /// The measure of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|measure| measure.as_str() == name)
    }

    /// From where on somebody wants to know if nobody said otherwise, in thousandths. For the
    /// population stability index 0.25 is the customary bound of a large shift (Siddiqi 2006).
    pub const fn threshold_permille(self) -> i64 {
        match self {
            Self::LabelDrift | Self::LengthDrift | Self::ConfidenceDrift => 250,
            Self::UnknownTokens | Self::Disagreement => 100,
        }
    }
}

/// A measure's value now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// What was measured.
    pub measure: Measure,
    /// The value, in thousandths.
    pub permille: i64,
    /// What chance alone would hardly pass with so few texts, in thousandths.
    pub chance_permille: i64,
}

impl Measured {
    /// Whether it is worth telling.
    pub fn passes(&self, threshold_permille: i64) -> bool {
        self.permille > threshold_permille.max(self.chance_permille)
    }
}

/// Fewer texts than this say nothing.
pub const LEAST_TEXTS: u64 = 200;

/// What can be said of what was seen, compared with the training data's fingerprint. `mirrored` are
/// texts that it was asked beside another version, and how many of them it labelled otherwise.
pub fn measure(
    baseline: Option<&Observed>,
    seen: &Observed,
    mirrored: (u64, u64),
) -> Vec<Measured> {
    let mut measured = Vec::new();
    if let Some(baseline) = baseline.filter(|_| seen.texts >= LEAST_TEXTS) {
        measured.extend(
            [
                stability(Measure::LabelDrift, &baseline.labels, &seen.labels),
                stability(Measure::LengthDrift, &baseline.lengths, &seen.lengths),
                stability(Measure::ConfidenceDrift, &baseline.confidence, &seen.confidence),
            ]
            .into_iter()
            .flatten(),
        );
        let usual = share(baseline.unknown, baseline.told);
        if let (Some(usual), Some(now)) = (usual, share(seen.unknown, seen.told)) {
            let more = thousandths(now - usual).max(0);
            measured.push(Measured {
                measure: Measure::UnknownTokens,
                permille: more,
                chance_permille: 0,
            });
        }
    }
    let (texts, differing) = mirrored;
    if let Some(differ) = share(differing, texts).filter(|_| texts >= LEAST_TEXTS) {
        measured.push(Measured {
            measure: Measure::Disagreement,
            permille: thousandths(differ),
            chance_permille: 0,
        });
    }
    measured
}

/// The population stability index: the sum over all buckets of (q − p) · ln(q / p), with half a text
/// more in each so that no share is nothing. Without any shift it is about χ² · (1/n + 1/m) with one
/// degree of freedom less than there are buckets (Yurdakul 2018); three standard deviations above
/// that mean is what chance hardly passes.
fn stability<K: Ord + Clone>(
    measure: Measure,
    expected: &BTreeMap<K, u64>,
    seen: &BTreeMap<K, u64>,
) -> Option<Measured> {
    let sum = |counts: &BTreeMap<K, u64>| counts.values().map(|n| real(*n)).sum::<f64>();
    let (n, m) = (sum(expected), sum(seen));
    if n <= 0.0 || m <= 0.0 {
        return None;
    }
    let buckets: std::collections::BTreeSet<&K> = expected.keys().chain(seen.keys()).collect();
    let count = real(u64::try_from(buckets.len()).unwrap_or(u64::MAX));
    let smoothed = |counts: &BTreeMap<K, u64>, bucket: &K, of: f64| {
        let here = counts.get(bucket).copied().map_or(0.0, real);
        (here + 0.5) / 0.5f64.mul_add(count, of)
    };
    let index: f64 = buckets
        .iter()
        .map(|bucket| {
            let (p, q) = (smoothed(expected, bucket, n), smoothed(seen, bucket, m));
            (q - p) * (q / p).ln()
        })
        .sum();
    let freedom = (count - 1.0).max(0.0);
    let chance = 3.0f64.mul_add((2.0 * freedom).sqrt(), freedom) * (1.0 / n + 1.0 / m);
    Some(Measured { measure, permille: thousandths(index), chance_permille: thousandths(chance) })
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| real(part) / real(whole))
}

/// Exact below four thousand million, which no window comes near.
fn real(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// Through its decimal form: there is no conversion of a fraction to a whole number without a cast.
fn thousandths(value: f64) -> i64 {
    format!("{:.0}", value * 1000.0).parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(labels: &[(&str, u64)]) -> Observed {
        let labels: BTreeMap<String, u64> =
            labels.iter().map(|(label, count)| ((*label).to_owned(), *count)).collect();
        Observed { texts: labels.values().sum(), labels, ..Observed::default() }
    }

    fn label_drift(baseline: &Observed, now: &Observed) -> Measured {
        let measured = measure(Some(baseline), now, (0, 0));
        *measured.iter().find(|it| it.measure == Measure::LabelDrift).unwrap()
    }

    #[test]
    fn the_index_is_that_of_the_definition() {
        // (0.7 − 0.5) · ln(0.7 / 0.5) + (0.3 − 0.5) · ln(0.3 / 0.5) = 0.1695
        let baseline = seen(&[("a", 50_000), ("b", 50_000)]);
        let shifted = seen(&[("a", 70_000), ("b", 30_000)]);
        let drift = label_drift(&baseline, &shifted);
        assert_eq!(drift.permille, 169);
        assert_eq!(label_drift(&baseline, &baseline).permille, 0);
        assert!(drift.passes(100) && !drift.passes(250));
    }

    #[test]
    fn few_texts_over_many_labels_are_no_alarm() {
        // 150 labels, each equally likely; 200 texts that hit 130 of them once or twice.
        let names: Vec<String> = (0..150).map(|n| n.to_string()).collect();
        let baseline: Vec<_> = names.iter().map(|name| (name.as_str(), 100)).collect();
        let now: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(n, name)| (name.as_str(), u64::try_from(n % 4).unwrap()))
            .filter(|(_, count)| *count > 0)
            .collect();
        let drift = label_drift(&seen(&baseline), &seen(&now));
        assert!(drift.permille > 250, "{drift:?}");
        assert!(!drift.passes(250), "{drift:?}");
        // All of them in one label is an alarm all the same.
        assert!(label_drift(&seen(&baseline), &seen(&[("7", 225)])).passes(250));
    }

    #[test]
    fn what_cannot_be_said_is_not_said() {
        let baseline = seen(&[("a", 1000)]);
        assert!(measure(Some(&baseline), &seen(&[("a", 199)]), (0, 0)).is_empty());
        assert!(measure(None, &seen(&[("a", 1000)]), (199, 50)).is_empty());
        let told = Observed { unknown: 30, told: 100, ..seen(&[("a", 500)]) };
        let usual = Observed { unknown: 1, told: 100, ..baseline };
        let measured = measure(Some(&usual), &told, (1000, 250));
        let of = |measure| measured.iter().find(|it| it.measure == measure).unwrap().permille;
        assert_eq!(of(Measure::UnknownTokens), 290);
        assert_eq!(of(Measure::Disagreement), 250);
        for measure in Measure::ALL {
            assert_eq!(Measure::named(measure.as_str()), Some(measure));
        }
    }
}
