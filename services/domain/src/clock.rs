use std::{
    fmt,
    sync::atomic::{AtomicI64, Ordering},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// A moment in microseconds since the Unix epoch, UTC. Written as an integer in records and in
/// the store, as RFC 3339 where people read it (`Display`).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Timestamp(i64);

/// The text is not an RFC 3339 date and time, or lies outside the years that can be shown.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not an RFC 3339 date and time such as 2026-11-24T08:00:00Z")]
pub struct TimestampOutOfRange(String);

impl Timestamp {
    /// From microseconds since the Unix epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn as_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Parses RFC 3339.
    pub fn parse(text: &str) -> Result<Self, TimestampOutOfRange> {
        text.parse::<jiff::Timestamp>()
            .map(|at| Self(at.as_microsecond()))
            .map_err(|_| TimestampOutOfRange(text.to_owned()))
    }

    /// This moment moved later, saturating at the end of time.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// This moment moved earlier, saturating at the beginning of time.
    #[must_use]
    pub fn before(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time from `earlier` to this moment; zero if `earlier` is later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The calendar day in UTC, `2026-11-24`.
    pub fn day(self) -> String {
        self.civil().map_or_else(|| "0000-00-00".to_owned(), |at| at.date().to_string())
    }

    /// The calendar year in UTC; 0 outside the years 1 to 9999.
    pub fn year(self) -> u16 {
        self.civil().and_then(|at| u16::try_from(at.year()).ok()).unwrap_or(0)
    }

    /// The first moment of this calendar month in UTC: where monthly quotas begin anew.
    #[must_use]
    pub fn month_start(self) -> Self {
        self.civil()
            .map(|at| at.date().first_of_month().at(0, 0, 0, 0))
            .and_then(|first| jiff::tz::Offset::UTC.to_timestamp(first).ok())
            .map_or(self, |at| Self(at.as_microsecond()))
    }

    fn civil(self) -> Option<jiff::civil::DateTime> {
        let at = jiff::Timestamp::from_microsecond(self.0).ok()?;
        Some(jiff::tz::Offset::UTC.to_datetime(at))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(at) => write!(f, "{at:.6}"),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

/// Where time comes from. Logic takes one of these instead of reading the machine's clock.
pub trait Clock: Send + Sync {
    /// The time of day; may be set back by an operator.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary start that never runs backwards; for measuring durations.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    start: std::time::Instant,
}

impl Default for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    fn default() -> Self {
        Self { start: std::time::Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    fn now(&self) -> Timestamp {
        Timestamp(jiff::Timestamp::now().as_microsecond())
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// A clock that stands still until it is told to move.
#[derive(Debug)]
pub struct FixedClock {
    micros: AtomicI64,
    start: Timestamp,
}

impl FixedClock {
    /// A clock that shows `at`.
    pub const fn new(at: Timestamp) -> Self {
        Self { micros: AtomicI64::new(at.0), start: at }
    }

    /// Moves the clock forward.
    pub fn advance(&self, by: Duration) {
        self.micros.store(self.now().after(by).0, Ordering::SeqCst);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.micros.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        self.now().since(self.start)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_and_parses_rfc_3339() {
        let at = Timestamp::parse("2026-11-24T08:00:00.000001Z").unwrap();
        assert_eq!(at.to_string(), "2026-11-24T08:00:00.000001Z");
        assert_eq!(at.day(), "2026-11-24");
        assert_eq!(at.month_start().to_string(), "2026-11-01T00:00:00.000000Z");
        assert!(Timestamp::parse("yesterday").is_err());
    }

    #[test]
    fn a_fixed_clock_moves_only_when_told() {
        let clock = FixedClock::new(Timestamp::from_micros(5));
        assert_eq!(clock.now(), Timestamp::from_micros(5));
        clock.advance(Duration::from_micros(7));
        assert_eq!(clock.now(), Timestamp::from_micros(12));
        assert_eq!(clock.monotonic(), Duration::from_micros(7));
    }
}
