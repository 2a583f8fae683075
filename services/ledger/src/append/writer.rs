//! The one writer of a log: a thread that takes whoever waits, writes them together, syncs once,
//! signs one checkpoint, and answers all.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{Arc, atomic::Ordering},
    thread,
    time::Duration,
};

use ed25519_dalek::SigningKey;
use reeve_domain::{Clock, Origin};

use super::{
    ledger::{AppendError, OpenError, Options, Recovery},
    newest::Newest,
    open_segment::{AHEAD, FAST, Segment, begin, make_spare},
    queue::{Afterwards, Batch, Done, State},
    recover::{Recovered, recover},
};
use crate::{
    frame::{self, FrameKind},
    note::{Checkpoint, VerifierKey},
    payload::PayloadFile,
    segment::{self, FileId},
    tiles::{self, Tiler},
    tree::Frontier,
};

/// So few are woken by the writer itself.
const FEW: usize = 4;
/// So long at most is waited for those who are told.
const MOST_WAIT: Duration = Duration::from_millis(2);
/// It is tried again after so many batches at most whether those who are told come back at once.
const MOST_REST: u32 = 512;
/// A segment that has been written to for so long is followed by another, too.
const SEGMENT_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it is tried to go on after a failure, and how often free space is looked at.
const PROBE_EVERY: Duration = Duration::from_millis(200);

/// Whether those who were told come back at once.
///
/// Callers that append one entry after the other do. If the writer went on without them, they would
/// fall into two halves that wait for each other's syncs, each half as full as it could be. Where
/// they do not come back, as with calls that have something else to do in between, the writer does
/// not wait for them but tries again now and then.
#[derive(Default)]
struct Returners {
    rest: u32,
    failures: u32,
}

impl Returners {
    fn are_expected(&mut self) -> bool {
        let expected = self.rest == 0;
        self.rest = self.rest.saturating_sub(1);
        expected
    }

    fn came(&mut self, back: usize, told: usize) {
        if back.saturating_mul(2) >= told {
            self.failures = 0;
        } else {
            self.failures = self.failures.saturating_add(1).min(MOST_REST.ilog2());
            self.rest = 1 << self.failures;
        }
    }
}

pub(super) struct Writer {
    dir: PathBuf,
    origin: Origin,
    key: SigningKey,
    clock: Arc<dyn Clock>,
    headroom: u64,
    segment_bytes: u64,
    pub(super) tree: Frontier,
    pub(super) tiler: Tiler,
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
    pub(super) fn open(
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

    pub(super) fn run(mut self, state: &State, afterwards: &Afterwards) {
        let mut batch = Batch::default();
        let mut returners = Returners::default();
        // Whoever waits when the writer is free goes along.
        while state.take(&mut batch) {
            let begun = self.clock.monotonic();
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
                    Done { waiting, outcome: Err(error), tiles: Vec::new() }.tell();
                    Err(error)
                }
            };
            let count = batch.waiting.len();
            let took = self.clock.monotonic().saturating_sub(begun);
            let wait = count > FEW && returners.are_expected();
            let mut done = Done {
                waiting: std::mem::take(&mut batch.waiting),
                outcome,
                tiles: std::mem::take(&mut batch.full),
            };
            // Waking many takes as long as half a sync: unless the next batch waits for them, it is
            // not kept waiting for it. Nor is it for tiles.
            if count <= FEW || wait {
                done.tell();
            }
            if !done.is_over()
                && let Err(undelivered) = afterwards.send(done)
            {
                undelivered.0.finish(&self.dir);
            }
            if wait {
                returners.came(state.gather(count, MOST_WAIT.min(took / 2)), count);
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
        let written = self.write(&batch.bytes, &signed, &batch.payloads, &note);
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
        let clock = Arc::clone(&self.clock);
        let make = move || make_spare(&path, length, &*clock).map(|()| path);
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
