use std::{num::NonZeroU32, ops::Add, sync::Arc, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{self, Clock as _},
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::keyed::DefaultKeyedStateStore,
};
use reeve_domain::Clock;

/// Attempts to sign in, for each name and each address.
const ATTEMPTS_A_MINUTE: NonZeroU32 = match NonZeroU32::new(10) {
    Some(ten) => ten,
    None => NonZeroU32::MIN,
};
/// More names than this are not remembered at once.
const REMEMBERED: usize = 10_000;

type Limiter =
    RateLimiter<String, DefaultKeyedStateStore<String>, Monotonic, NoOpMiddleware<Moment>>;

/// How often somebody may try to sign in.
pub(crate) struct Throttle {
    clock: Monotonic,
    attempts: Limiter,
    recorded: Limiter,
}

/// There were too many attempts.
pub(crate) struct TooMany {
    /// When the next one is looked at.
    pub(crate) wait: Duration,
    /// Whether it is to be recorded. Once a minute for each name and address, so that a flood
    /// cannot fill the log.
    pub(crate) record: bool,
}

impl Throttle {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Self {
        let clock = Monotonic(clock);
        let limiter = |a_minute| {
            let quota = Quota::per_minute(a_minute);
            Limiter::new(quota, DefaultKeyedStateStore::default(), clock.clone())
        };
        Self {
            attempts: limiter(ATTEMPTS_A_MINUTE),
            recorded: limiter(NonZeroU32::MIN),
            clock: clock.clone(),
        }
    }

    /// Counts an attempt for each of `keys`, up to the first that has none left: what is
    /// attempted from an address that has none left must not use up those of a name.
    pub(crate) fn attempt(&self, keys: impl IntoIterator<Item = String>) -> Result<(), TooMany> {
        for limiter in [&self.attempts, &self.recorded] {
            if limiter.len() > REMEMBERED {
                limiter.retain_recent();
            }
        }
        for key in keys {
            if let Err(until) = self.attempts.check_key(&key) {
                let wait = until.wait_time_from(self.clock.now());
                return Err(TooMany { wait, record: self.recorded.check_key(&key).is_ok() });
            }
        }
        Ok(())
    }
}

/// Reeve's clock as governor reads it.
#[derive(Clone)]
struct Monotonic(Arc<dyn Clock>);

/// Nanoseconds since the clock's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Moment(u64);

impl clock::Clock for Monotonic {
    type Instant = Moment;

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.0.monotonic().as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Add<Nanos> for Moment {
    type Output = Self;

    fn add(self, later: Nanos) -> Self {
        Self(self.0.saturating_add(later.as_u64()))
    }
}

impl clock::Reference for Moment {
    fn duration_since(&self, earlier: Self) -> Nanos {
        self.0.saturating_sub(earlier.0).into()
    }

    fn saturating_sub(&self, by: Nanos) -> Self {
        Self(self.0.saturating_sub(by.into()))
    }
}

#[cfg(test)]
mod tests {
    use reeve_domain::{FixedClock, Timestamp};

    use super::*;

    #[test]
    fn ten_a_minute_and_then_one_every_six_seconds() {
        let clock = Arc::new(FixedClock::new(Timestamp::from_micros(0)));
        let throttle = Throttle::new(clock.clone());
        let attempt = |keys: &[&str]| throttle.attempt(keys.iter().map(|key| (*key).to_owned()));
        for _ in 0..10 {
            assert!(attempt(&["address", "name"]).is_ok());
        }
        let refused = attempt(&["address", "other"]).unwrap_err();
        assert!(refused.record && refused.wait > Duration::from_secs(5), "{:?}", refused.wait);
        assert!(!attempt(&["address", "other"]).unwrap_err().record);
        clock.advance(Duration::from_secs(6));
        assert!(attempt(&["address"]).is_ok() && attempt(&["address"]).is_err());
        // None of the refused attempts was counted against the name.
        assert!((0..10).all(|_| attempt(&["other"]).is_ok()));
    }
}
