//! What waits for the writer, and those who wait.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use reeve_domain::Origin;
use tokio::sync::oneshot;

use super::ledger::{AppendError, Receipt};
use crate::{
    frame::{self, FrameKind},
    payload::{self, SealedPayload},
    tiles::{self, Tile, Tiler},
    tree::{Frontier, Hash},
};

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
    /// The writer is woken when so many wait.
    pub(super) wanted: usize,
    pub(super) closed: bool,
}

/// What a log's handles and its writer share.
pub(super) struct State {
    pub(super) pending: Mutex<Pending>,
    /// Something waits, or nobody ever will.
    pub(super) something: Condvar,
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

    /// Gives those who were told time to come back with their next entry, at most for `most` from
    /// when the first of them does: to wait for the first costs nothing, without it there is
    /// nothing to write. Tells how many wait.
    pub(super) fn gather(&self, told: usize, most: Duration) -> usize {
        let mut pending = self.pending.lock();
        while pending.waiting.is_empty() && !pending.closed {
            self.something.wait(&mut pending);
        }
        pending.wanted = told;
        if pending.waiting.len() < told && !pending.closed {
            self.something.wait_for(&mut pending, most);
        }
        pending.wanted = 1;
        pending.waiting.len()
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

/// A batch whose fate is decided: whom to tell, and what else is to do.
pub(super) struct Done {
    pub(super) waiting: Vec<(Hash, Answer)>,
    /// The log, the index of the first of them, and the checkpoint with its size.
    pub(super) outcome: Result<(Origin, u64, u64, Arc<str>), AppendError>,
    /// Tiles that are full with it.
    pub(super) tiles: Vec<Tile>,
}

/// To the thread that does what need not hold up the next batch.
pub(super) type Afterwards = std::sync::mpsc::Sender<Done>;

impl Done {
    pub(super) fn tell(&mut self) {
        match &self.outcome {
            Ok((origin, first, size, checkpoint)) => {
                for ((leaf_hash, answer), index) in self.waiting.drain(..).zip(*first..) {
                    let (origin, checkpoint) = (origin.clone(), Arc::clone(checkpoint));
                    let receipt = Receipt { origin, index, leaf_hash, size: *size, checkpoint };
                    // Whoever no longer waits is recorded all the same.
                    drop(answer.send(Ok(receipt)));
                }
            }
            Err(error) => {
                for (_, answer) in self.waiting.drain(..) {
                    drop(answer.send(Err(*error)));
                }
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.waiting.is_empty() && self.tiles.is_empty()
    }

    /// Tells who was not told yet, and keeps the tiles of a batch that is durable.
    pub(super) fn finish(mut self, log: &Path) {
        self.tell();
        if self.outcome.is_err() {
            return;
        }
        for tile in &self.tiles {
            // A tile that cannot be written now is made at the next start.
            if let Err(fault) = tiles::keep(log, tile) {
                tracing::warn!(error = %fault, "a tile could not be written");
            }
        }
    }
}
