//! The one writer of a log: a thread that takes whoever waits, writes them together, syncs once,
//! signs one checkpoint, and answers all.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use ed25519_dalek::SigningKey;
use parking_lot::{Condvar, Mutex};
use reeve_domain::{Clock, Origin, Timestamp};
use tokio::sync::oneshot;

use crate::{
    frame::{self, FrameKind},
    note::{Checkpoint, NoteRefused, VerifierKey},
    payload::{self, PayloadFile, SealedPayload},
    segment::{self, FileId, Frames, Step, same_file},
    tiles::{self, Tile, Tiler},
    tree::{Frontier, Hash, leaf_hash},
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

/// Entries that may wait for the writer.
const QUEUE: usize = 8 * 1024;
/// So few are woken by the writer itself.
const FEW: usize = 4;
/// How large a segment is by default.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// A segment that has been written to for so long is followed by another, too.
const SEGMENT_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it is tried to go on after a failure, and how often free space is looked at.
const PROBE_EVERY: Duration = Duration::from_millis(200);

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

type Answer = oneshot::Sender<Result<Receipt, AppendError>>;

/// What waits for the writer. Whoever appends puts its entry here itself, in its place and with its
/// index, so that the writer finds a batch ready and has only to sign and sync it.
struct Pending {
    /// The tree with what waits.
    tree: Frontier,
    tiler: Tiler,
    /// Frames of what waits.
    bytes: Vec<u8>,
    payloads: Vec<u8>,
    full: Vec<Tile>,
    waiting: Vec<(Hash, Answer)>,
    closed: bool,
}

/// What a log's handles and its writer share.
struct State {
    pending: Mutex<Pending>,
    /// Something waits, or nobody ever will.
    something: Condvar,
    available: AtomicBool,
    condemned: AtomicBool,
    size: AtomicU64,
    checkpoint: Mutex<Arc<str>>,
}

/// Ends the writer when the last handle is gone, and waits until it has closed its files.
struct Handle {
    state: Arc<State>,
    writer: Option<thread::JoinHandle<()>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.state.pending.lock().closed = true;
        self.state.something.notify_one();
        if let Some(writer) = self.writer.take() {
            // A writer that panicked said so.
            drop(writer.join());
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
                closed: false,
            }),
            something: Condvar::new(),
            available: AtomicBool::new(true),
            condemned: AtomicBool::new(false),
            size: AtomicU64::new(recovery.size),
            checkpoint: Mutex::new(note),
        });
        let of_writer = Arc::clone(&state);
        let (tell, told) = std::sync::mpsc::channel::<Told>();
        let start = |name: &str, work: Box<dyn FnOnce() + Send>| {
            let started = thread::Builder::new().name(name.to_owned()).spawn(work);
            started.map_err(|fault| OpenError::Io { dir: options.dir.clone(), fault })
        };
        start("ledger-answers", Box::new(move || told.into_iter().for_each(Told::tell)))?;
        let writer = start("ledger", Box::new(move || writer.run(&of_writer, &tell)))?;
        let handle = Arc::new(Handle { state, writer: Some(writer) });
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
        let is_first = pending.waiting.len() == 1;
        drop(pending);
        if is_first {
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

/// A batch that was taken from what waits, and the tree with it.
#[derive(Default)]
struct Batch {
    first: u64,
    tree: Frontier,
    tiler: Tiler,
    bytes: Vec<u8>,
    payloads: Vec<u8>,
    full: Vec<Tile>,
    waiting: Vec<(Hash, Answer)>,
}

impl Pending {
    fn add(&mut self, entry: &[u8], leaf: Hash, payload: Option<&SealedPayload>, answer: Answer) {
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
    fn take(&self, batch: &mut Batch) -> bool {
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

    /// Goes back to what is committed; gives those who waited.
    fn reset(&self, tree: &Frontier, tiler: &Tiler) -> Vec<(Hash, Answer)> {
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
struct Told {
    waiting: Vec<(Hash, Answer)>,
    /// The log, the index of the first of them, and the checkpoint with its size.
    outcome: Result<(Origin, u64, u64, Arc<str>), AppendError>,
}

type Tellers = std::sync::mpsc::Sender<Told>;

impl Told {
    fn tell(self) {
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

/// An open segment, and how far it is committed.
struct Segment {
    first: u64,
    begun: Timestamp,
    path: PathBuf,
    file: File,
    committed: u64,
    /// The file's length: behind what is committed, zeros are written ahead. A sync of bytes in
    /// place takes half the time of one that makes the file longer.
    length: u64,
}

/// So many zeros are written ahead at once, if segments are not smaller.
const AHEAD: u64 = 1024 * 1024;

/// A log that has written so much to a segment is a fast one.
const FAST: u64 = 4 * 1024 * 1024;

impl Segment {
    /// Writes behind what is committed, and makes it durable.
    fn write(&mut self, parts: &[&[u8]; 2], ahead: u64) -> io::Result<()> {
        same_file(&self.path, &self.file, self.length)?;
        let [entries, signed] = parts.map(|part| u64::try_from(part.len()).unwrap_or(u64::MAX));
        let middle = self.committed.saturating_add(entries);
        let end = middle.saturating_add(signed);
        if end > self.length {
            let zeros = vec![0; usize::try_from(ahead.clamp(1, AHEAD)).unwrap_or(1)];
            while end > self.length {
                self.file.write_all_at(&zeros, self.length)?;
                let more = u64::try_from(zeros.len()).unwrap_or(u64::MAX);
                self.length = self.length.saturating_add(more);
            }
            self.file.sync_all()?;
        }
        let [entries, signed] = parts;
        self.file.write_all_at(entries, self.committed)?;
        self.file.write_all_at(signed, middle)?;
        self.file.sync_data()
    }

    /// Where so many more bytes end.
    fn end(&self, bytes: usize) -> u64 {
        self.committed.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// Cuts off what was written ahead.
    fn trim(&self) -> io::Result<()> {
        self.file.set_len(self.committed)
    }
}

struct Writer {
    dir: PathBuf,
    origin: Origin,
    key: SigningKey,
    clock: Arc<dyn Clock>,
    headroom: u64,
    segment_bytes: u64,
    tree: Frontier,
    tiler: Tiler,
    segment: Segment,
    newest: Newest,
    /// The file for the next segment, while it is made and when it is ready.
    spare: Option<thread::JoinHandle<io::Result<PathBuf>>>,
    /// Where the segment's payloads go, if there are any.
    payloads: Option<PayloadFile>,
    /// A write failed: the segment may hold more than what is committed.
    failed: bool,
    last_probe: Option<Duration>,
    last_space: Option<(Duration, bool)>,
    _lock: nix::fcntl::Flock<File>,
}

impl Writer {
    fn open(
        options: &Options,
        key: SigningKey,
        clock: Arc<dyn Clock>,
    ) -> Result<(Self, Recovery, Arc<str>), OpenError> {
        let dir = options.dir.clone();
        let io = |fault| OpenError::Io { dir: dir.clone(), fault };
        let tampered = |what: String| OpenError::Tampered { dir: dir.clone(), what };
        fs::create_dir_all(segment::dir(&dir)).map_err(io)?;
        let lock = File::create(dir.join("lock")).map_err(io)?;
        let lock = nix::fcntl::Flock::lock(lock, nix::fcntl::FlockArg::LockExclusiveNonblock)
            .map_err(|_| OpenError::Locked(dir.clone()))?;
        let verifier = VerifierKey::new(options.origin.clone(), key.verifying_key());
        claim(&dir, &verifier)?;

        let Recovered { tree, tiler, tiles, mut segment, discarded, known } =
            recover(&dir, &verifier)?;
        // What was acknowledged last must be a prefix of what is here.
        let acknowledged = match fs::read_to_string(dir.join("checkpoint")) {
            Ok(note) => Some(
                Checkpoint::open(&note, &verifier)
                    .map_err(|refused| tampered(format!("`checkpoint`: {refused}")))?,
            ),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => None,
            Err(fault) => return Err(io(fault)),
        };
        match &acknowledged {
            Some(last) if last.size > tree.size() => {
                return Err(tampered(format!(
                    "{} entries were acknowledged, {} are there",
                    last.size,
                    tree.size()
                )));
            }
            Some(last) if known.get(&last.size) != Some(&last.root) => {
                return Err(tampered(
                    "the entries are not those that were acknowledged".to_owned(),
                ));
            }
            None if tree.size() > 0 => {
                return Err(tampered("`checkpoint` is missing".to_owned()));
            }
            _ => {}
        }
        for tile in &tiles {
            tiles::keep(&dir, tile).map_err(io)?;
        }
        if segment.is_none() {
            let begun = begin(&dir, &options.origin, tree.size(), clock.now()).map_err(io)?;
            segment = Some(begun);
        }
        let Some(segment) = segment else {
            return Err(io(io::Error::other("no segment to write to")));
        };
        segment.file.set_len(segment.committed).map_err(io)?;
        segment.file.sync_all().map_err(io)?;
        let size = tree.size();
        let payloads =
            PayloadFile::resume(&dir, &options.origin, segment.first, size).map_err(io)?;
        let checkpoint = Checkpoint { origin: options.origin.clone(), size, root: tree.root() };
        let note: Arc<str> = checkpoint.sign(&key).into();
        let newest = Newest::begin(&dir, &note).map_err(io)?;
        let writer = Self {
            dir: dir.clone(),
            origin: options.origin.clone(),
            key,
            clock,
            headroom: options.headroom_bytes,
            segment_bytes: options.segment_bytes,
            tree,
            tiler,
            segment,
            newest,
            spare: None,
            payloads,
            failed: false,
            last_probe: None,
            last_space: None,
            _lock: lock,
        };
        Ok((writer, Recovery { size, discarded_bytes: discarded }, note))
    }

    fn run(mut self, state: &State, told: &Tellers) {
        let mut batch = Batch::default();
        // Whoever waits when the writer is free goes along; nobody is waited for.
        while state.take(&mut batch) {
            let outcome = self.commit(&batch);
            let condemned = state.condemned.load(Ordering::Acquire);
            state.available.store(outcome.is_ok() && !condemned, Ordering::Release);
            let outcome = match outcome {
                Ok(note) => {
                    state.size.store(self.tree.size(), Ordering::Release);
                    *state.checkpoint.lock() = Arc::clone(&note);
                    Ok((self.origin.clone(), batch.first, self.tree.size(), note))
                }
                Err(error) => {
                    // What was put behind the batch meanwhile has the wrong place.
                    let waiting = state.reset(&self.tree, &self.tiler);
                    Told { waiting, outcome: Err(error) }.tell();
                    Err(error)
                }
            };
            // Waking many takes as long as half a sync: the next batch is not kept waiting for it.
            let waiting = std::mem::take(&mut batch.waiting);
            let few = waiting.len() <= FEW;
            let of_batch = Told { waiting, outcome };
            if few {
                of_batch.tell();
            } else if let Err(undelivered) = told.send(of_batch) {
                undelivered.0.tell();
            }
        }
        // What a crash leaves is cut off at the next start.
        drop(self.segment.trim());
    }

    /// Makes a batch durable: all of it or nothing that is acknowledged. Gives the checkpoint.
    fn commit(&mut self, batch: &Batch) -> Result<Arc<str>, AppendError> {
        if self.failed {
            self.probe()?;
        }
        if !self.has_space() {
            return Err(AppendError::Full);
        }
        let size = batch.tree.size();
        let checkpoint = Checkpoint { origin: self.origin.clone(), size, root: batch.tree.root() };
        let note: Arc<str> = checkpoint.sign(&self.key).into();
        let mut signed = Vec::with_capacity(512);
        frame::write(&mut signed, FrameKind::Checkpoint, size, note.as_bytes());
        let written = self.write(&batch.bytes, &signed, &batch.payloads, &note, &batch.full);
        if let Err(fault) = written {
            tracing::error!(error = %fault, log = %self.origin, "a commit failed: the log is unavailable");
            self.failed = true;
            self.last_probe = Some(self.clock.monotonic());
            return Err(AppendError::Unavailable);
        }
        self.tree.clone_from(&batch.tree);
        self.tiler.clone_from(&batch.tiler);
        Ok(note)
    }

    fn write(
        &mut self,
        entries: &[u8],
        signed: &[u8],
        payloads: &[u8],
        note: &str,
        full: &[Tile],
    ) -> io::Result<()> {
        let end = self.segment.end(entries.len().saturating_add(signed.len()));
        // A file of zeros that is ready is better than one that must be made longer.
        let better = end > self.segment.length
            && self.spare.as_ref().is_some_and(thread::JoinHandle::is_finished);
        if self.segment.committed >= self.segment_bytes || better || self.is_old() {
            let next = self.next_segment()?;
            let full = std::mem::replace(&mut self.segment, next);
            if let Err(fault) = full.trim() {
                tracing::warn!(error = %fault, "a full segment could not be trimmed");
            }
        }
        self.make_spare();
        // An entry that commits to a payload is never there without it.
        if !payloads.is_empty() {
            self.payload_file()?.append(payloads)?;
        }
        self.segment.write(&[entries, signed], self.segment_bytes)?;
        self.newest.write(note)?;
        self.segment.committed = self.segment.end(entries.len().saturating_add(signed.len()));
        if let Some(file) = self.payloads.as_mut().filter(|_| !payloads.is_empty()) {
            file.keep(payloads);
        }
        for tile in full {
            // A tile that cannot be written now is made at the next start.
            if let Err(fault) = tiles::keep(&self.dir, tile) {
                tracing::warn!(error = %fault, "a tile could not be written");
            }
        }
        Ok(())
    }

    /// Tries to go on after a failure: the segment is cut back to what is committed and left, and
    /// another begun. Without the old one there is no log to go on with.
    fn probe(&mut self) -> Result<(), AppendError> {
        let now = self.clock.monotonic();
        if self.last_probe.is_some_and(|last| now.saturating_sub(last) < PROBE_EVERY) {
            return Err(AppendError::Unavailable);
        }
        self.last_probe = Some(now);
        match self.resume() {
            Ok(()) => {
                tracing::info!(log = %self.origin, size = self.tree.size(), "the log is available again");
                self.failed = false;
                Ok(())
            }
            Err(fault) => {
                tracing::debug!(error = %fault, "the log is still unavailable");
                Err(AppendError::Unavailable)
            }
        }
    }

    fn resume(&mut self) -> io::Result<()> {
        let path = fs::metadata(&self.segment.path)?;
        let open = self.segment.file.metadata()?;
        if FileId::of(&path) != FileId::of(&open) {
            return Err(io::Error::other("the segment was replaced by another file"));
        }
        if open.len() < self.segment.committed {
            return Err(io::Error::other("the segment is shorter than what was committed"));
        }
        // The failed file handle is not trusted any more: its errors may have been swallowed.
        let old = OpenOptions::new().write(true).open(&self.segment.path)?;
        old.set_len(self.segment.committed)?;
        old.sync_all()?;
        if let Some(payloads) = &self.payloads
            && payloads.first() == self.segment.first
        {
            payloads.cut()?;
        }
        let checkpoint = Checkpoint {
            origin: self.origin.clone(),
            size: self.tree.size(),
            root: self.tree.root(),
        };
        self.newest = Newest::begin(&self.dir, &checkpoint.sign(&self.key))?;
        self.segment = begin(&self.dir, &self.origin, self.tree.size(), self.clock.now())?;
        self.payloads = None;
        Ok(())
    }

    /// Whether entries have been collected in the segment for long enough: only what is in a
    /// segment that is closed can be deleted when its time is over.
    fn is_old(&self) -> bool {
        self.tree.size() > self.segment.first
            && self.clock.now().since(self.segment.begun) >= SEGMENT_AGE
    }

    /// Has a file of zeros made for the next segment, when this one is well on its way: a log that
    /// is written fast is not held up by zeros.
    fn make_spare(&mut self) {
        let late = self.segment.committed > (self.segment_bytes / 4).min(FAST);
        if self.spare.is_some() || !late || self.segment_bytes < AHEAD {
            return;
        }
        let (path, length) = (segment::dir(&self.dir).join("spare"), self.segment_bytes);
        let make = move || make_spare(&path, length).map(|()| path);
        self.spare = thread::Builder::new().name("ledger-spare".to_owned()).spawn(make).ok();
    }

    fn next_segment(&mut self) -> io::Result<Segment> {
        let (first, now) = (self.tree.size(), self.clock.now());
        let ready = self.spare.take_if(|spare| spare.is_finished());
        let Some(Ok(Ok(spare))) = ready.map(thread::JoinHandle::join) else {
            return begin(&self.dir, &self.origin, first, now);
        };
        let path = segment::path(&self.dir, first);
        let header = segment::header(&self.origin, first);
        let file = OpenOptions::new().write(true).open(&spare)?;
        file.write_all_at(&header, 0)?;
        file.sync_all()?;
        fs::rename(spare, &path)?;
        File::open(segment::dir(&self.dir))?.sync_all()?;
        let committed = u64::try_from(header.len()).unwrap_or(u64::MAX);
        let length = file.metadata()?.len();
        Ok(Segment { first, begun: now, path, file, committed, length })
    }

    fn payload_file(&mut self) -> io::Result<&mut PayloadFile> {
        let first = self.segment.first;
        match self.payloads.take() {
            Some(file) if file.first() == first => Ok(self.payloads.insert(file)),
            _ => Ok(self.payloads.insert(PayloadFile::begin(&self.dir, &self.origin, first)?)),
        }
    }

    fn has_space(&mut self) -> bool {
        let now = self.clock.monotonic();
        if let Some((at, enough)) = self.last_space
            && now.saturating_sub(at) < PROBE_EVERY
        {
            return enough;
        }
        let enough = nix::sys::statvfs::statvfs(&self.dir).is_ok_and(|disk| {
            disk.blocks_available().saturating_mul(disk.fragment_size()) >= self.headroom
        });
        // A directory that is away is found, and named, by the commit.
        let enough = enough || !self.dir.exists();
        self.last_space = Some((now, enough));
        enough
    }
}

/// Writes the log's public key beside it the first time, and compares it later.
fn claim(dir: &Path, verifier: &VerifierKey) -> Result<(), OpenError> {
    let io = |fault| OpenError::Io { dir: dir.to_owned(), fault };
    let path = dir.join("log.pub");
    let given = format!("{verifier}\n");
    match fs::read_to_string(&path) {
        Ok(log) if log == given => Ok(()),
        Ok(log) => {
            let (log, given) = (log.trim().to_owned(), verifier.to_string());
            Err(OpenError::Key { dir: dir.to_owned(), log, given })
        }
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            fs::write(&path, given).map_err(io)
        }
        Err(fault) => Err(io(fault)),
    }
}

/// Fills a file with zeros, and makes that durable.
fn make_spare(path: &Path, length: u64) -> io::Result<()> {
    let mut file = File::create(path)?;
    let zeros = vec![0; usize::try_from(AHEAD).unwrap_or(0)];
    for _ in 0..length.div_ceil(AHEAD) {
        file.write_all(&zeros)?;
    }
    file.sync_all()
}

/// Begins a segment, durable before it is used.
fn begin(dir: &Path, origin: &Origin, first: u64, now: Timestamp) -> io::Result<Segment> {
    let path = segment::path(dir, first);
    let header = segment::header(origin, first);
    // A segment of the same name can only be one that holds nothing committed.
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
    file.write_all(&header)?;
    file.sync_all()?;
    File::open(segment::dir(dir))?.sync_all()?;
    let committed = u64::try_from(header.len()).unwrap_or(u64::MAX);
    Ok(Segment { first, begun: now, path, file, committed, length: committed })
}

/// When a segment was begun; where the file system does not tell, when it was last written to.
fn begun(data: &fs::Metadata) -> Timestamp {
    let at = data.created().or_else(|_| data.modified()).ok();
    let since = at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// The file with the newest checkpoint.
///
/// It is overwritten where it lies, with every commit: a rename for each would cost as much as the
/// sync. A note is shorter than a sector, so that no crash leaves half of one; whoever reads it
/// while it is written reads it again ([`crate::reader`]).
struct Newest {
    path: PathBuf,
    file: File,
    length: usize,
}

impl Newest {
    /// Puts a new file in the place of the one before, in a single step.
    fn begin(dir: &Path, note: &str) -> io::Result<Self> {
        let (new, path) = (dir.join("checkpoint.new"), dir.join("checkpoint"));
        fs::write(&new, note)?;
        fs::rename(new, &path)?;
        let file = OpenOptions::new().write(true).open(&path)?;
        Ok(Self { path, file, length: note.len() })
    }

    fn write(&mut self, note: &str) -> io::Result<()> {
        let (there, open) = (fs::metadata(&self.path)?, self.file.metadata()?);
        if FileId::of(&there) != FileId::of(&open) {
            return Err(io::Error::other("`checkpoint` was replaced by another file"));
        }
        // Sizes only grow, and with them the note.
        if note.len() < self.length {
            return Err(io::Error::other("the checkpoint would be shorter than the one before"));
        }
        self.file.write_all_at(note.as_bytes(), 0)?;
        self.length = note.len();
        Ok(())
    }
}

struct Recovered {
    tree: Frontier,
    tiler: Tiler,
    tiles: Vec<Tile>,
    /// The last segment, open for appending.
    segment: Option<Segment>,
    discarded: u64,
    /// The root at every checkpoint's size.
    known: std::collections::HashMap<u64, Hash>,
}

/// Reads all segments, checking everything that opening can check.
fn recover(dir: &Path, verifier: &VerifierKey) -> Result<Recovered, OpenError> {
    let io = |fault| OpenError::Io { dir: dir.to_owned(), fault };
    let tampered = |what: String| OpenError::Tampered { dir: dir.to_owned(), what };
    let segments = segment::list(dir).map_err(io)?;
    let mut done = Recovered {
        tree: Frontier::default(),
        tiler: Tiler::default(),
        tiles: Vec::new(),
        segment: None,
        discarded: 0,
        known: std::collections::HashMap::from([(0, crate::tree::empty_root())]),
    };
    let last = segments.len().saturating_sub(1);
    for (number, (first, path)) in segments.into_iter().enumerate() {
        let is_last = number == last;
        if first != done.tree.size() {
            return Err(tampered(format!("the entries from {} on are missing", done.tree.size())));
        }
        let Some(mut frames) = Frames::open(&path, verifier.origin(), first).map_err(io)? else {
            let length = fs::metadata(&path).map_err(io)?.len();
            let whole = u64::try_from(segment::header(verifier.origin(), first).len());
            if is_last && whole.is_ok_and(|whole| length < whole) {
                // A crash while the segment was begun: nothing stood in it.
                done.segment = None;
                continue;
            }
            return Err(tampered(format!("the header of `{}`", path.display())));
        };
        let (mut tree, mut tiler, mut tiles) = (done.tree.clone(), done.tiler.clone(), Vec::new());
        let mut committed = frames.offset;
        loop {
            match frames.next().map_err(io)? {
                Step::Entry { index, payload } if index == tree.size() => {
                    let leaf = leaf_hash(&payload);
                    tree.push(leaf);
                    tiles.extend(tiler.push(leaf));
                }
                Step::Expired { index, leaf } if index == tree.size() => {
                    tree.push(leaf);
                    tiles.extend(tiler.push(leaf));
                }
                Step::Checkpoint { note, .. } => {
                    let note = String::from_utf8_lossy(&note);
                    let found = Checkpoint::open(&note, verifier)
                        .map_err(|refused: NoteRefused| tampered(refused.to_string()))?;
                    if found.size != tree.size() || found.root != tree.root() {
                        return Err(tampered(format!(
                            "the entries before {} are not those that were signed",
                            found.size
                        )));
                    }
                    done.known.insert(found.size, found.root);
                    done.tree = tree.clone();
                    done.tiler = tiler.clone();
                    done.tiles.append(&mut tiles);
                    committed = frames.offset;
                }
                Step::End => break,
                // Never acknowledged, if what was acknowledged is all here: compared by the caller.
                _ if is_last => break,
                Step::Torn | Step::Damaged(_) | Step::Entry { .. } | Step::Expired { .. } => {
                    return Err(tampered(format!("`{}` is damaged", path.display())));
                }
            }
        }
        let length = fs::metadata(&path).map_err(io)?.len();
        frames.offset = committed;
        if !frames.rest_is_blank().map_err(io)? {
            if !is_last {
                return Err(tampered(format!("`{}` has unsigned entries", path.display())));
            }
            let rest = length.saturating_sub(committed);
            done.discarded = done.discarded.saturating_add(rest);
        }
        let file = OpenOptions::new().write(true).open(&path).map_err(io)?;
        let begun = begun(&fs::metadata(&path).map_err(io)?);
        // What stands behind is cut off before anything is written.
        done.segment = Some(Segment { first, begun, path, file, committed, length: committed });
    }
    Ok(done)
}
