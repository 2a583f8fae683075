use std::time::Duration;

use parking_lot::Mutex;

/// What a retry costs, in parts of one.
const RETRY: u64 = 1_000;
/// A call adds a fifth of a retry; a second that passes adds one.
const PER_CALL: u64 = RETRY / 5;
const AT_START: u64 = 10 * RETRY;
const MOST: u64 = 100 * RETRY;

/// How many calls may be asked twice: a share of all calls and a few more, so that pods that fail
/// under load do not get the load twice over.
#[derive(Debug)]
pub(crate) struct RetryBudget(Mutex<State>);

#[derive(Debug)]
struct State {
    left: u64,
    /// Up to when passing time was added.
    since: Duration,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Mutex::new(State { left: AT_START, since: Duration::ZERO }))
    }
}

impl RetryBudget {
    /// A call is made.
    pub(crate) fn deposit(&self) {
        let mut state = self.0.lock();
        state.left = state.left.saturating_add(PER_CALL).min(MOST);
    }

    /// Whether one may be made again.
    pub(crate) fn withdraw(&self, now: Duration) -> bool {
        let mut state = self.0.lock();
        let passed = u64::try_from(now.saturating_sub(state.since).as_millis()).unwrap_or(MOST);
        state.since = now;
        state.left = state.left.saturating_add(passed).min(MOST);
        let without = state.left.checked_sub(RETRY);
        state.left = without.unwrap_or(state.left);
        without.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_calls() {
        let budget = RetryBudget::default();
        let now = Duration::ZERO;
        let mut made = 0;
        for _ in 0..1000 {
            budget.deposit();
            made += u32::from(budget.withdraw(now));
        }
        assert_eq!(made, 210, "a fifth, and what there was at the start");
        assert!(!budget.withdraw(now));
        assert!(budget.withdraw(Duration::from_secs(1)), "time helps");
    }
}
