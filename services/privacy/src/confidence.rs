use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How sure something must be, from 0 to 1 in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Confidence(u16);

/// A confidence outside 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a confidence is a number from 0 to 1")]
pub struct NotAConfidence;

impl Confidence {
    /// The confidence from which on policy acts, unless it says otherwise.
    pub const ACTED_UPON: Self = Self(400);

    /// Takes a number from 0 to 1; what is finer than a thousandth is rounded.
    pub fn new(share: f64) -> Result<Self, NotAConfidence> {
        if !(0.0..=1.0).contains(&share) {
            return Err(NotAConfidence);
        }
        // The nearest of a thousand and one: no rounding of floats to integers is needed.
        let at = (0..=1000_u16).find(|thousandths| f64::from(*thousandths) + 0.5 > share * 1000.0);
        at.map(Self).ok_or(NotAConfidence)
    }

    /// The number.
    pub fn share(self) -> f32 {
        f32::from(self.0) / 1000.0
    }
}

impl Serialize for Confidence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(f64::from(self.0) / 1000.0)
    }
}

impl<'de> Deserialize<'de> for Confidence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(f64::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}
