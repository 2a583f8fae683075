//! A log open for writing, as those who append see it.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use ed25519_dalek::SigningKey;
use parking_lot::{Condvar, Mutex};
use reeve_domain::{Clock, Origin};
use tokio::sync::oneshot;

use super::{
    queue::{Done, Pending, QUEUE, State},
    writer::Writer,
};
use crate::{
    frame,
    payload::{self, SealedPayload},
    tree::{Hash, leaf_hash},
};

/// How a log is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// The log's directory; made if it is not there.
    pub dir: PathBuf,
    /// The log's name.
    pub origin: Origin,
    /// How long an entry may take to become durable.
    pub commit_deadline: Duration,
    /// Entries are refused when the disk has fewer free bytes than this.
    pub headroom_bytes: u64,
    /// A segment that has grown to this is followed by another; see [`SEGMENT_BYTES`].
    pub segment_bytes: u64,
}

/// How large a segment is by default.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// A log that cannot be opened for writing.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file cannot be read or written.
    #[error("the log in `{dir}` cannot be opened: {fault}")]
    Io {
        /// The log's directory.
        dir: PathBuf,
        /// What the system said.
        fault: io::Error,
    },
    /// Another process writes it.
    #[error("the log in `{0}` is being written by another process")]
    Locked(PathBuf),
    /// The key is not the one that the log was begun with.
    #[error("the log in `{dir}` belongs to the key {log}, not to {given}")]
    Key {
        /// The log's directory.
        dir: PathBuf,
        /// The log's key.
        log: String,
        /// The key that was given.
        given: String,
    },
    /// The log is not what it was when it was last acknowledged.
    #[error(
        "the log in `{dir}` was changed since it was written: {what}; `reeve ledger verify` names the place"
    )]
    Tampered {
        /// The log's directory.
        dir: PathBuf,
        /// What does not fit.
        what: String,
    },
}

/// What opening a log found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Committed entries.
    pub size: u64,
    /// Bytes of entries that were never acknowledged, cut off.
    pub discarded_bytes: u64,
}

/// Why an entry was not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The log cannot be written now.
    #[error("the log cannot be written now")]
    Unavailable,
    /// It did not become durable in time. It may stand in the log all the same.
    #[error("the entry did not become durable in time")]
    Deadline,
    /// The disk is almost full.
    #[error("the log's disk is almost full")]
    Full,
    /// The entry has more than 65,535 bytes, or its payload more than 64 MiB.
    #[error("the entry or its payload is too large")]
    TooLarge,
}

/// Where an entry stands, and the signed checkpoint that covers it.
#[derive(Clone, Debug)]
pub struct Receipt {
    /// The log.
    pub origin: Origin,
    /// The entry's place, counted from 0.
    pub index: u64,
    /// Its RFC 6962 hash.
    pub leaf_hash: Hash,
    /// The checkpoint's size.
    pub size: u64,
    /// The checkpoint as a signed note.
    pub checkpoint: Arc<str>,
}

/// Ends the writer when the last handle is gone, and waits until it has closed its files and all
/// are told.
struct Handle {
    state: Arc<State>,
    threads: Vec<thread::JoinHandle<()>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.state.pending.lock().closed = true;
        self.state.something.notify_one();
        for thread in self.threads.drain(..) {
            // One that panicked said so.
            drop(thread.join());
        }
    }
}

/// A log open for writing. Clones share it.
#[derive(Clone)]
pub struct Ledger {
    handle: Arc<Handle>,
    deadline: Duration,
}

impl Ledger {
    /// Opens a log, or begins it: cuts off what was never acknowledged, and refuses a log that lost
    /// or changed what was.
    pub fn open(
        options: Options,
        key: SigningKey,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovery), OpenError> {
        let (writer, recovery, note) = Writer::open(&options, key, clock)?;
        let state = Arc::new(State {
            pending: Mutex::new(Pending {
                tree: writer.tree.clone(),
                tiler: writer.tiler.clone(),
                bytes: Vec::new(),
                payloads: Vec::new(),
                full: Vec::new(),
                waiting: Vec::new(),
                wanted: 1,
                closed: false,
            }),
            something: Condvar::new(),
            available: AtomicBool::new(true),
            condemned: AtomicBool::new(false),
            size: AtomicU64::new(recovery.size),
            checkpoint: Mutex::new(note),
        });
        let of_writer = Arc::clone(&state);
        let (afterwards, done) = std::sync::mpsc::channel::<Done>();
        let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let started = thread::Builder::new().name(name.to_owned()).spawn(work);
            started.map_err(|fault| OpenError::Io { dir: options.dir.clone(), fault })
        };
        let dir = options.dir.clone();
        let finish_all = move || done.into_iter().for_each(|batch| batch.finish(&dir));
        let finisher = start("ledger-answers", Box::new(finish_all))?;
        let write_all = move || {
            // What comes while it waits for its turn shares a sync and a signature.
            reeve_threads::interrupt_nobody();
            writer.run(&of_writer, &afterwards);
        };
        let writer = start("ledger", Box::new(write_all))?;
        let handle = Arc::new(Handle { state, threads: vec![writer, finisher] });
        Ok((Self { handle, deadline: options.commit_deadline }, recovery))
    }

    /// Appends an entry and waits until it is durable.
    pub async fn append(&self, entry: Vec<u8>) -> Result<Receipt, AppendError> {
        self.append_with(entry, None).await
    }

    /// Appends an entry that commits to a payload, and the payload beside it; the entry is never
    /// durable without the payload.
    pub async fn append_with(
        &self,
        entry: Vec<u8>,
        payload: Option<SealedPayload>,
    ) -> Result<Receipt, AppendError> {
        let answer = self.enqueue(entry, payload)?;
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(AppendError::Unavailable),
            Err(_) => Err(AppendError::Deadline),
        }
    }

    /// The same outside an async context. Waits without the deadline.
    pub fn append_blocking(&self, entry: Vec<u8>) -> Result<Receipt, AppendError> {
        self.append_blocking_with(entry, None)
    }

    /// [`Self::append_with`] outside an async context. Waits without the deadline.
    pub fn append_blocking_with(
        &self,
        entry: Vec<u8>,
        payload: Option<SealedPayload>,
    ) -> Result<Receipt, AppendError> {
        self.enqueue(entry, payload)?.blocking_recv().unwrap_or(Err(AppendError::Unavailable))
    }

    fn enqueue(
        &self,
        entry: Vec<u8>,
        payload: Option<SealedPayload>,
    ) -> Result<oneshot::Receiver<Result<Receipt, AppendError>>, AppendError> {
        if self.handle.state.condemned.load(Ordering::Acquire) {
            return Err(AppendError::Unavailable);
        }
        if entry.len() > frame::LARGEST {
            return Err(AppendError::TooLarge);
        }
        if payload.as_ref().is_some_and(|payload| !payload::fits(payload)) {
            return Err(AppendError::TooLarge);
        }
        let leaf = leaf_hash(&entry);
        let (answer, answered) = oneshot::channel();
        let mut pending = self.handle.state.pending.lock();
        if pending.waiting.len() >= QUEUE {
            return Err(AppendError::Unavailable);
        }
        pending.add(&entry, leaf, payload.as_ref(), answer);
        let is_enough = pending.waiting.len() == pending.wanted;
        drop(pending);
        if is_enough {
            self.handle.state.something.notify_one();
        }
        Ok(answered)
    }

    /// Whether the last commit succeeded.
    pub fn is_available(&self) -> bool {
        self.handle.state.available.load(Ordering::Acquire)
    }

    /// Takes no entry any more: somebody found that the log is not the one that it was.
    pub fn condemn(&self) {
        self.handle.state.condemned.store(true, Ordering::Release);
        self.handle.state.available.store(false, Ordering::Release);
    }

    /// Committed entries.
    pub fn size(&self) -> u64 {
        self.handle.state.size.load(Ordering::Acquire)
    }

    /// The newest checkpoint as a signed note.
    pub fn checkpoint(&self) -> Arc<str> {
        self.handle.state.checkpoint.lock().clone()
    }
}
