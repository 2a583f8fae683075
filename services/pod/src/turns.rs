//! How the threads that read calls and those that compute share a core that both want.
//!
//! Reading each call as soon as it comes costs two changes of threads, and finds nothing in the caches
//! that a network has just gone through; left until a batch is over, a small tenant's call waits for
//! others' texts before it is looked at. So who reads interrupts nobody, and who computes lets it go on
//! every few steps, when it reads all that came meanwhile. Where it has its turn, it is the one of the
//! higher priority.
//!
//! On Linux a policy and a priority are a thread's own; elsewhere both stay as they are.

use std::{cell::Cell, thread, time::Duration};

use reeve_domain::Clock;

/// How much lower the priority of workers is (nice(2)).
#[cfg(target_os = "linux")]
const LOWER: i32 = 5;
/// A worker lets others go on after so long: some five steps.
const LET_READ: Duration = Duration::from_micros(150);

/// Said by a thread that reads calls.
pub(crate) fn reads_calls() {
    #[cfg(target_os = "linux")]
    {
        let none = libc::sched_param { sched_priority: 0 };
        #[expect(unsafe_code, reason = "no library here has the call")]
        // SAFETY: 0 is the thread that says it, and the parameters live as long as the call.
        let set = unsafe { libc::sched_setscheduler(0, libc::SCHED_BATCH, &raw const none) };
        if set != 0 {
            let error = std::io::Error::last_os_error();
            tracing::warn!(%error, "a thread that reads calls keeps its usual policy");
        }
    }
}

/// Said by a thread that computes.
pub(crate) fn computes() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::nice(LOWER) {
        tracing::warn!(%error, "a worker keeps the priority of the others");
    }
}

/// When a worker let others go on.
pub(crate) struct Turns<'a> {
    clock: &'a dyn Clock,
    last: Cell<Duration>,
}

impl<'a> Turns<'a> {
    pub(crate) fn new(clock: &'a dyn Clock) -> Self {
        Self { clock, last: Cell::new(clock.monotonic()) }
    }

    /// Lets others go on, if they were not lately.
    pub(crate) fn give(&self) {
        if self.clock.monotonic().saturating_sub(self.last.get()) >= LET_READ {
            self.give_now();
        }
    }

    /// Lets others go on.
    pub(crate) fn give_now(&self) {
        thread::yield_now();
        self.last.set(self.clock.monotonic());
    }
}
