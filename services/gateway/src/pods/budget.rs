use std::time::Duration;

use parking_lot::Mutex;

/// A call adds a fifth of a retry; a second that passes adds one.
const PER_CALL: f64 = 0.2;
const PER_SECOND: f64 = 1.0;
const AT_START: f64 = 10.0;
const MOST: f64 = 100.0;

/// How many calls may be asked twice: a share of all calls and a few more, so that pods that fail
/// under load do not get the load twice over.
#[derive(Debug)]
pub(crate) struct RetryBudget(Mutex<(f64, Duration)>);

impl Default for RetryBudget {
    fn default() -> Self {
        Self(Mutex::new((AT_START, Duration::ZERO)))
    }
}

impl RetryBudget {
    /// A call is made.
    pub(crate) fn deposit(&self) {
        let mut state = self.0.lock();
        state.0 = (state.0 + PER_CALL).min(MOST);
    }

    /// Whether one may be made again.
    pub(crate) fn withdraw(&self, now: Duration) -> bool {
        let mut state = self.0.lock();
        let (left, since) = *state;
        let passed = now.saturating_sub(since).as_secs_f64();
        let left = PER_SECOND.mul_add(passed, left).min(MOST);
        let enough = left >= 1.0;
        *state = (if enough { left - 1.0 } else { left }, now);
        enough
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
