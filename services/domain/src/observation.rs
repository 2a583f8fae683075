use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Digest, TenantId, Timestamp};

/// What a version of a model answered to one tenant over some time: counts of many calls together,
/// so that no answer about anybody can be read from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// Since when.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// Whose calls.
    pub tenant: TenantId,
    /// The model's name.
    pub name: String,
    /// The version.
    pub model: Digest,
    /// What was seen.
    pub observed: Observed,
}

/// Histograms of texts and their answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Observed {
    /// Texts.
    pub texts: u64,
    /// Tokens that the model read.
    pub tokens: u64,
    /// Tokens among them that its vocabulary does not have, where the pod tells.
    pub unknown: u64,
    /// Tokens of the texts of which `unknown` is told.
    pub told: u64,
    /// Best labels.
    pub labels: BTreeMap<String, u64>,
    /// Probabilities of the best labels, in tenths: 9 is from 0.9 to 1.
    #[serde(with = "by_number")]
    pub confidence: BTreeMap<u8, u64>,
    /// Texts by their number of tokens: the smallest power of two that holds it.
    #[serde(with = "by_number")]
    pub lengths: BTreeMap<u32, u64>,
}

/// Maps by number as JSON has them, by the number's text: inside of a tagged record serde does not
/// read them back by itself.
mod by_number {
    use std::{collections::BTreeMap, fmt::Display, str::FromStr};

    use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

    pub(super) fn serialize<K: Display, S: Serializer>(
        map: &BTreeMap<K, u64>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_map(map.iter().map(|(number, count)| (number.to_string(), count)))
    }

    pub(super) fn deserialize<'de, K, D>(from: D) -> Result<BTreeMap<K, u64>, D::Error>
    where
        K: Ord + FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let read = |(number, count): (String, u64)| {
            number.parse().map(|number| (number, count)).map_err(D::Error::custom)
        };
        BTreeMap::<String, u64>::deserialize(from)?.into_iter().map(read).collect()
    }
}

/// The bucket of a probability.
pub fn confidence_bucket(probability: f32) -> u8 {
    (0..9_u8)
        .rev()
        .find(|tenth| probability >= (f32::from(*tenth) + 1.0) / 10.0)
        .map_or(0, |tenth| tenth + 1)
}

/// The bucket of a length in tokens.
pub const fn length_bucket(tokens: u32) -> u32 {
    match tokens.checked_next_power_of_two() {
        Some(bucket) => bucket,
        None => u32::MAX,
    }
}

fn add<K: Ord + Clone>(all: &mut BTreeMap<K, u64>, key: &K, count: u64) {
    let sum = all.entry(key.clone()).or_default();
    *sum = sum.saturating_add(count);
}

impl Observed {
    /// Counts one text.
    pub fn count(&mut self, label: &str, probability: f32, tokens: u32, unknown: Option<u32>) {
        self.texts = self.texts.saturating_add(1);
        self.tokens = self.tokens.saturating_add(u64::from(tokens));
        if let Some(unknown) = unknown {
            self.unknown = self.unknown.saturating_add(u64::from(unknown));
            self.told = self.told.saturating_add(u64::from(tokens));
        }
        add(&mut self.labels, &label.to_owned(), 1);
        add(&mut self.confidence, &confidence_bucket(probability), 1);
        add(&mut self.lengths, &length_bucket(tokens), 1);
    }

    /// Adds what was seen elsewhere or at another time.
    pub fn add(&mut self, other: &Self) {
        self.texts = self.texts.saturating_add(other.texts);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.unknown = self.unknown.saturating_add(other.unknown);
        self.told = self.told.saturating_add(other.told);
        for (label, count) in &other.labels {
            add(&mut self.labels, label, *count);
        }
        for (tenth, count) in &other.confidence {
            add(&mut self.confidence, tenth, *count);
        }
        for (length, count) in &other.lengths {
            add(&mut self.lengths, length, *count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_counted_by_label_confidence_and_length() {
        let mut seen = Observed::default();
        seen.count("refund", 0.95, 5, Some(1));
        seen.count("refund", 1.0, 8, None);
        seen.count("other", 0.0, 0, Some(0));
        let record = crate::Record::Observation(Box::new(Observation {
            from: Timestamp::from_micros(0),
            until: Timestamp::from_micros(1),
            tenant: TenantId::new("acme").unwrap(),
            name: "support".to_owned(),
            model: Digest::of(b"m"),
            observed: seen.clone(),
        }));
        let written = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<crate::Record>(&written).unwrap(), record);
        let mut twice = seen.clone();
        twice.add(&seen);
        assert_eq!((seen.texts, seen.tokens, seen.unknown, seen.told), (3, 13, 1, 5));
        assert_eq!(
            twice.labels,
            BTreeMap::from([("other".to_owned(), 2), ("refund".to_owned(), 4)])
        );
        assert_eq!(twice.confidence, BTreeMap::from([(0, 2), (9, 4)]));
        assert_eq!(twice.lengths, BTreeMap::from([(1, 2), (8, 4)]));
    }

    #[test]
    fn buckets_meet_at_their_lower_bounds() {
        for (probability, bucket) in
            [(0.0, 0), (0.099, 0), (0.1, 1), (0.5, 5), (0.899, 8), (0.9, 9), (1.0, 9)]
        {
            assert_eq!(confidence_bucket(probability), bucket, "{probability}");
        }
        for (tokens, bucket) in
            [(0, 1), (1, 1), (2, 2), (3, 4), (64, 64), (65, 128), (u32::MAX, u32::MAX)]
        {
            assert_eq!(length_bucket(tokens), bucket);
        }
    }
}
