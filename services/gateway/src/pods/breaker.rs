use std::time::Duration;

use parking_lot::Mutex;

/// So many failures in a row open the breaker.
const OPENS_AFTER: u32 = 3;
/// How long it stays open the first time, and at most.
const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(8);

/// Keeps calls away from a process that answers probes and fails calls: one that hangs, breaks off
/// or answers nonsense. When its time is over, one call tries; if it fails too, the next trial is
/// twice as far away. Times are on the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Breaker(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    failures: u32,
    /// Open until then; none: closed.
    until: Option<Duration>,
    stays: Duration,
    /// A call is trying.
    trial: bool,
}

impl Breaker {
    /// Whether a call may go there now.
    pub(crate) fn allows(&self, now: Duration) -> bool {
        let state = self.0.lock();
        state.until.is_none_or(|until| now >= until && !state.trial)
    }

    /// A call goes there; tells whether it is the one that tries.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.0.lock();
        let tries = state.until.is_some() && !state.trial;
        state.trial |= tries;
        tries
    }

    /// A call was answered.
    pub(crate) fn succeeded(&self) {
        let mut state = self.0.lock();
        if state.failures > 0 || state.until.is_some() {
            *state = State::default();
        }
    }

    /// A call failed; tells whether the breaker opened by it.
    pub(crate) fn failed(&self, now: Duration) -> bool {
        let mut state = self.0.lock();
        state.failures = state.failures.saturating_add(1);
        let was_open = state.until.is_some();
        if was_open && !state.trial {
            // Began before it opened.
            return false;
        }
        if state.failures < OPENS_AFTER && !was_open {
            return false;
        }
        state.trial = false;
        state.stays = state.stays.saturating_mul(2).clamp(FIRST, LONGEST);
        state.until = Some(now.saturating_add(state.stays));
        !was_open
    }

    /// The call that tried was given up without an outcome.
    pub(crate) fn given_up(&self) {
        self.0.lock().trial = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_call_tries() {
        let breaker = Breaker::default();
        assert!(!breaker.failed(at(0)) && !breaker.failed(at(0)));
        breaker.succeeded();
        assert!(!breaker.failed(at(0)) && !breaker.failed(at(0)), "not in a row");
        assert!(breaker.allows(at(0)));
        assert!(breaker.failed(at(0)));
        assert!(!breaker.allows(at(499)) && breaker.allows(at(500)));
        assert!(breaker.begin(), "this one tries");
        assert!(!breaker.allows(at(500)), "no other does");
        assert!(!breaker.failed(at(600)), "it was open");
        assert!(!breaker.allows(at(1599)) && breaker.allows(at(1600)), "twice as long");
        assert!(breaker.begin());
        breaker.succeeded();
        assert!(breaker.allows(at(1600)) && !breaker.begin());
    }

    #[test]
    fn it_never_stays_open_for_long() {
        let breaker = Breaker::default();
        let mut now = at(0);
        for _ in 0..3 {
            breaker.failed(now);
        }
        for _ in 0..40 {
            while !breaker.allows(now) {
                now += at(100);
            }
            breaker.begin();
            breaker.failed(now);
        }
        assert!(!breaker.allows(now) && breaker.allows(now + LONGEST));
    }

    #[test]
    fn a_trial_that_is_given_up_leaves_room_for_another() {
        let breaker = Breaker::default();
        for _ in 0..3 {
            breaker.failed(at(0));
        }
        assert!(breaker.begin());
        breaker.given_up();
        assert!(breaker.allows(at(500)));
    }
}
