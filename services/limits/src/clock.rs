use std::{ops::Add, sync::Arc};

use governor::{clock, nanos::Nanos};
use reeve_domain::Clock;

/// Reeve's clock as governor reads it.
#[derive(Clone)]
pub(crate) struct Monotonic(pub(crate) Arc<dyn Clock>);

/// Nanoseconds since the clock's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(u64);

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
