//! When those who compute let those who read calls go on, where both want the same core.
//!
//! Who reads interrupts nobody ([`reeve_threads::interrupt_nobody`]). Left until a batch is over, a small
//! tenant's call would wait for others' texts before it is looked at; so who computes lets it go on every
//! few steps, when it reads all that came meanwhile. Where it has its turn, it is the one of the higher
//! priority.

use std::{cell::Cell, thread, time::Duration};

use reeve_domain::Clock;

/// A worker lets others go on after so long: some five steps.
const LET_READ: Duration = Duration::from_micros(150);

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
