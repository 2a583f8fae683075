use std::sync::Mutex;

use rand::{RngCore, SeedableRng, rngs::StdRng};
use uuid::Uuid;

use crate::{DecisionId, Timestamp};

/// Where random bytes and ids come from. Logic takes one of these, so that a test can fix them.
pub trait Entropy: Send + Sync {
    /// Fills `bytes` with random bytes fit for keys.
    fn fill(&self, bytes: &mut [u8]);

    /// A new id for a call: UUID version 7 (RFC 9562), so that ids sort by time.
    fn decision_id(&self, at: Timestamp) -> DecisionId {
        DecisionId::from_uuid(self.uuid(at))
    }

    /// A new UUID version 7 (RFC 9562).
    fn uuid(&self, at: Timestamp) -> Uuid {
        let mut random = [0_u8; 10];
        self.fill(&mut random);
        let millis = u64::try_from(at.as_micros().div_euclid(1000)).unwrap_or(0);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }
}

/// The operating system's random source, through a generator seeded from it for each thread.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::rng().fill_bytes(bytes);
    }
}

/// The same bytes each time for the same seed. For tests only.
#[derive(Debug)]
pub struct SeededEntropy(Mutex<StdRng>);

impl SeededEntropy {
    /// A source that repeats itself for the same `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }
}

impl Entropy for SeededEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).fill_bytes(bytes);
    }
}
