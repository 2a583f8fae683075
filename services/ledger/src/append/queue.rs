//! What waits for the writer, and those who wait.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use reeve_domain::{Clock, Origin};
use tokio::sync::oneshot;

use super::ledger::{AppendError, Receipt};
use crate::{
    frame::{self, FrameKind},
    payload::{self, SealedPayload},
    tiles::{Tile, Tiler},
    tree::{Frontier, Hash},
};

/// So long it takes who was told to wake up and come back, and so long the one after the other.
const FIRST_BACK: Duration = Duration::from_micros(60);
const NEXT_BACK: Duration = Duration::from_micros(15);

/// Entries that may wait for the writer.
pub(super) const QUEUE: usize = 8 * 1024;

pub(super) type Answer = oneshot::Sender<Result<Receipt, AppendError>>;

/// What waits for the writer. Whoever appends puts its entry here itself, in its place and with its
/// index, so that the writer finds a batch ready and has only to sign and sync it.
pub(super) struct Pending {
    /// The tree with what waits.
    pub(super) tree: Frontier,
    pub(super) tiler: Tiler,
    /// Frames of what waits.
    pub(super) bytes: Vec<u8>,
    pub(super) payloads: Vec<u8>,
    pub(super) full: Vec<Tile>,
    pub(super) waiting: Vec<(Hash, Answer)>,
    pub(super) closed: bool,
}

/// What a log's handles and its writer share.
pub(super) struct State {
    pub(super) pending: Mutex<Pending>,
    /// Something waits, or nobody ever will.
    pub(super) something: Condvar,
    /// How many ever came.
    pub(super) arrivals: AtomicU64,
    pub(super) available: AtomicBool,
    pub(super) condemned: AtomicBool,
    pub(super) size: AtomicU64,
    pub(super) checkpoint: Mutex<Arc<str>>,
}

/// A batch that was taken from what waits, and the tree with it.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) first: u64,
    pub(super) tree: Frontier,
    pub(super) tiler: Tiler,
    pub(super) bytes: Vec<u8>,
    pub(super) payloads: Vec<u8>,
    pub(super) full: Vec<Tile>,
    pub(super) waiting: Vec<(Hash, Answer)>,
}

impl Pending {
    pub(super) fn add(
        &mut self,
        entry: &[u8],
        leaf: Hash,
        payload: Option<&SealedPayload>,
        answer: Answer,
    ) {
        let index = self.tree.size();
        frame::write(&mut self.bytes, FrameKind::Entry, index, entry);
        if let Some(payload) = payload {
            payload::write(&mut self.payloads, index, payload);
        }
        self.tree.push(leaf);
        self.full.extend(self.tiler.push(leaf));
        self.waiting.push((leaf, answer));
    }
}

impl State {
    /// Waits until something waits, and takes all of it. False when nothing ever will.
    pub(super) fn take(&self, batch: &mut Batch) -> bool {
        let mut pending = self.pending.lock();
        while pending.waiting.is_empty() {
            if pending.closed {
                return false;
            }
            self.something.wait(&mut pending);
        }
        // The buffers change places, so that they need not be made anew.
        batch.bytes.clear();
        batch.payloads.clear();
        batch.full.clear();
        let pending = &mut *pending;
        std::mem::swap(&mut batch.bytes, &mut pending.bytes);
        std::mem::swap(&mut batch.payloads, &mut pending.payloads);
        std::mem::swap(&mut batch.full, &mut pending.full);
        batch.waiting = std::mem::take(&mut pending.waiting);
        batch.tree.clone_from(&pending.tree);
        batch.tiler.clone_from(&pending.tiler);
        let count = u64::try_from(batch.waiting.len()).unwrap_or(u64::MAX);
        batch.first = batch.tree.size().saturating_sub(count);
        true
    }

    /// Gives those who were told time to come back with their next entry, while they do, at most
    /// for `most`. Tells how many came.
    pub(super) fn gather(&self, told: u64, most: Duration, clock: &dyn Clock) -> u64 {
        let before = self.arrivals.load(Ordering::Acquire);
        let begun = clock.monotonic();
        let (mut came, mut last) = (0, begun);
        loop {
            thread::yield_now();
            let now = clock.monotonic();
            let all = self.arrivals.load(Ordering::Acquire).saturating_sub(before);
            if all > came {
                (came, last) = (all, now);
            }
            let patience = if came == 0 { FIRST_BACK } else { NEXT_BACK };
            let over = now.saturating_sub(last) > patience || now.saturating_sub(begun) > most;
            if came >= told || over {
                return came;
            }
        }
    }

    /// Goes back to what is committed; gives those who waited.
    pub(super) fn reset(&self, tree: &Frontier, tiler: &Tiler) -> Vec<(Hash, Answer)> {
        let mut pending = self.pending.lock();
        pending.tree.clone_from(tree);
        pending.tiler.clone_from(tiler);
        pending.bytes.clear();
        pending.payloads.clear();
        pending.full.clear();
        std::mem::take(&mut pending.waiting)
    }
}

/// Those whose fate is decided, for the thread that tells them.
pub(super) struct Told {
    pub(super) waiting: Vec<(Hash, Answer)>,
    /// The log, the index of the first of them, and the checkpoint with its size.
    pub(super) outcome: Result<(Origin, u64, u64, Arc<str>), AppendError>,
}

pub(super) type Tellers = std::sync::mpsc::Sender<Told>;

impl Told {
    pub(super) fn tell(self) {
        match self.outcome {
            Ok((origin, first, size, checkpoint)) => {
                for ((leaf_hash, answer), index) in self.waiting.into_iter().zip(first..) {
                    let (origin, checkpoint) = (origin.clone(), Arc::clone(&checkpoint));
                    // Whoever no longer waits is recorded all the same.
                    drop(answer.send(Ok(Receipt { origin, index, leaf_hash, size, checkpoint })));
                }
            }
            Err(error) => {
                for (_, answer) in self.waiting {
                    drop(answer.send(Err(error)));
                }
            }
        }
    }
}
