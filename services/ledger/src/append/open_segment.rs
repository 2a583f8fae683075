//! The segment that is written to.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use reeve_domain::{Clock, Origin, Timestamp};

use crate::segment::{self, same_file};

/// An open segment, and how far it is committed.
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) begun: Timestamp,
    pub(super) path: PathBuf,
    pub(super) file: File,
    pub(super) committed: u64,
    /// The file's length: behind what is committed, zeros are written ahead. A sync of bytes in
    /// place takes half the time of one that makes the file longer.
    pub(super) length: u64,
}

/// So many zeros are written ahead at once, if segments are not smaller.
pub(super) const AHEAD: u64 = 1024 * 1024;

/// So many zeros of a spare file are written at once.
const PIECE: u64 = 256 * 1024;

/// After a piece of a spare file, the disk is left to others for so many times as long as it took.
const REST: u32 = 3;

/// But not for longer: the file has to be ready some day.
const LONGEST_REST: Duration = Duration::from_millis(50);

/// A log that has written so much to a segment is a fast one.
pub(super) const FAST: u64 = 4 * 1024 * 1024;

impl Segment {
    /// Writes behind what is committed, and makes it durable.
    pub(super) fn write(&mut self, parts: &[&[u8]; 2], ahead: u64) -> io::Result<()> {
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
    pub(super) fn end(&self, bytes: usize) -> u64 {
        self.committed.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX))
    }

    /// Cuts off what was written ahead.
    pub(super) fn trim(&self) -> io::Result<()> {
        self.file.set_len(self.committed)
    }
}

/// Fills a file with zeros, and makes that durable, a piece at a time: a sync of the log that meets it
/// waits for a piece and not for the whole file.
pub(super) fn make_spare(path: &Path, length: u64, clock: &dyn Clock) -> io::Result<()> {
    let mut file = File::create(path)?;
    let zeros = vec![0; usize::try_from(PIECE).unwrap_or(0)];
    for _ in 0..length.div_ceil(PIECE) {
        let begun = clock.monotonic();
        file.write_all(&zeros)?;
        file.sync_data()?;
        let took = clock.monotonic().saturating_sub(begun);
        thread::sleep(took.saturating_mul(REST).min(LONGEST_REST));
    }
    file.sync_all()
}

/// Begins a segment, durable before it is used.
pub(super) fn begin(
    dir: &Path,
    origin: &Origin,
    first: u64,
    now: Timestamp,
) -> io::Result<Segment> {
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
pub(super) fn begun(data: &fs::Metadata) -> Timestamp {
    let at = data.created().or_else(|_| data.modified()).ok();
    let since = at.and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok()).unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
