use std::time::Duration;

use reeve_domain::Timestamp;

/// What a tenant has used in the calendar month, and what calls under way may still use.
#[derive(Debug, Default)]
pub(crate) struct Month {
    start: Timestamp,
    pub(crate) items: u64,
    pub(crate) micros: i64,
    pub(crate) reserved_items: u64,
    pub(crate) reserved_micros: i64,
}

impl Month {
    /// Begins anew when a month has passed. What calls under way reserved stays reserved.
    pub(crate) fn roll(&mut self, now: Timestamp) {
        let start = now.month_start();
        if start > self.start {
            self.start = start;
            self.items = 0;
            self.micros = 0;
        }
    }

    pub(crate) fn seed(&mut self, start: Timestamp, items: u64, micros: i64) {
        self.start = start;
        self.items = self.items.saturating_add(items);
        self.micros = self.micros.saturating_add(micros);
    }

    pub(crate) fn items_left(&self, quota: u64) -> u64 {
        quota.saturating_sub(self.items.saturating_add(self.reserved_items))
    }
}

/// How long the month that holds `now` still lasts.
pub(crate) fn left(now: Timestamp) -> Duration {
    let start = now.month_start();
    // No month has more than 31 days, and 32 days after a month's start lie in the next one.
    let next = start.after(Duration::from_secs(32 * 86_400)).month_start();
    next.since(now)
}
