use std::collections::VecDeque;

use parking_lot::{Condvar, Mutex};
use reeve_classifier::Encoded;
use tokio::sync::oneshot;

use crate::call::{Answer, Call, Item};

/// Texts that wait for a worker, bounded. It never waits on a timer: a worker that asks gets what
/// is there, at most as many as it can use.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    capacity: usize,
}

struct Waiting {
    items: VecDeque<Item>,
    open: bool,
}

/// Why texts were not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// There is no room for all of them now.
    Full,
    /// Nothing is taken any more.
    Closed,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        let items = VecDeque::with_capacity(capacity.min(4096));
        let waiting = Mutex::new(Waiting { items, open: true });
        Self { waiting, arrived: Condvar::new(), capacity }
    }

    /// The most texts that can wait, and so the most of one call.
    pub(crate) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many texts wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().items.len()
    }

    /// Takes all texts of a call or none. Dropping the receiver gives the call up: what is still
    /// queued of it then is never computed.
    pub(crate) fn submit(&self, texts: Vec<Encoded>) -> Result<oneshot::Receiver<Answer>, Refused> {
        let (call, answer) = Call::new(texts.len());
        let mut waiting = self.waiting.lock();
        if !waiting.open {
            return Err(Refused::Closed);
        }
        if waiting.items.len().saturating_add(texts.len()) > self.capacity {
            // Calls that were given up hold no place against those that are not.
            waiting.items.retain(|item| !item.call.is_given_up());
        }
        if waiting.items.len().saturating_add(texts.len()) > self.capacity {
            return Err(Refused::Full);
        }
        let items = texts.into_iter().enumerate();
        waiting.items.extend(items.map(|(index, text)| Item { text, call: call.clone(), index }));
        drop(waiting);
        // One worker is enough for them; it wakes another if it leaves any.
        self.arrived.notify_one();
        Ok(answer)
    }

    /// Waits for texts and takes the oldest, at most `most`; nothing once the queue is closed and
    /// empty.
    pub(crate) fn take(&self, most: usize) -> Option<Vec<Item>> {
        let mut waiting = self.waiting.lock();
        loop {
            let mut batch = Vec::with_capacity(most.min(waiting.items.len()));
            while batch.len() < most {
                let Some(item) = waiting.items.pop_front() else { break };
                if !item.call.is_given_up() {
                    batch.push(item);
                }
            }
            if !batch.is_empty() {
                if !waiting.items.is_empty() {
                    self.arrived.notify_one();
                }
                return Some(batch);
            }
            if !waiting.open {
                return None;
            }
            self.arrived.wait(&mut waiting);
        }
    }

    /// Takes nothing more; what waits is still handed out.
    pub(crate) fn close(&self) {
        self.waiting.lock().open = false;
        self.arrived.notify_all();
    }

    /// Takes nothing more and gives up what waits, since nobody is left to compute it.
    pub(crate) fn abandon(&self) {
        let left = {
            let mut waiting = self.waiting.lock();
            waiting.open = false;
            std::mem::take(&mut waiting.items)
        };
        self.arrived.notify_all();
        for item in left {
            item.call.fail();
        }
    }
}
