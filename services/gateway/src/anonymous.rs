use std::collections::BTreeMap;

use parking_lot::Mutex;
use reeve_domain::{Code, RefusalAggregate, Timestamp};

/// Counts refusals of callers that did not prove who they are, until they are recorded together:
/// a flood of them costs the log one entry a second.
#[derive(Default)]
pub(crate) struct AnonymousRefusals(Mutex<Option<RefusalAggregate>>);

impl AnonymousRefusals {
    pub(crate) fn count(&self, code: Code, at: Timestamp) {
        let mut slot = self.0.lock();
        let aggregate = slot.get_or_insert_with(|| RefusalAggregate {
            from: at,
            until: at,
            counts: BTreeMap::new(),
        });
        aggregate.until = aggregate.until.max(at);
        let count = aggregate.counts.entry(code).or_default();
        *count = count.saturating_add(1);
    }

    /// Takes what has been counted since the last time.
    pub(crate) fn take(&self) -> Option<RefusalAggregate> {
        self.0.lock().take()
    }

    /// Puts back what could not be recorded.
    pub(crate) fn put_back(&self, earlier: RefusalAggregate) {
        let mut slot = self.0.lock();
        match slot.as_mut() {
            None => *slot = Some(earlier),
            Some(now) => {
                now.from = now.from.min(earlier.from);
                for (code, count) in earlier.counts {
                    let sum = now.counts.entry(code).or_default();
                    *sum = sum.saturating_add(count);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_counted_is_lost() {
        let refusals = AnonymousRefusals::default();
        assert!(refusals.take().is_none());
        refusals.count(Code::MissingCredential, Timestamp::from_micros(5));
        let first = refusals.take().unwrap();
        refusals.count(Code::MissingCredential, Timestamp::from_micros(9));
        refusals.count(Code::InvalidCredential, Timestamp::from_micros(8));
        refusals.put_back(first);
        let all = refusals.take().unwrap();
        assert_eq!(all.from, Timestamp::from_micros(5));
        assert_eq!(all.until, Timestamp::from_micros(9));
        assert_eq!(all.counts[&Code::MissingCredential], 2);
        assert_eq!(all.counts[&Code::InvalidCredential], 1);
    }
}
