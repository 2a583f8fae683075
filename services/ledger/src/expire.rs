//! Deletion of entries whose time of keeping is over. The hash of each stays in its place, so that
//! every root and every proof still holds.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use reeve_domain::{Digest, Origin};
use sha2::{Digest as _, Sha256};

use crate::{
    frame::{self, FrameKind},
    payload::destroy_payloads,
    segment::{self, Frames, Step},
};

/// What is to be deleted of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiry {
    /// The index that the segment begins with.
    pub segment: u64,
    /// The entries to be deleted.
    pub entries: BTreeSet<u64>,
    /// Those that were deleted before.
    pub before: BTreeSet<u64>,
    /// The bytes of those to be deleted.
    pub bytes: u64,
    /// Whether the segment is closed: only from those can be deleted.
    pub is_closed: bool,
}

impl Expiry {
    /// SHA-256 of the indices of all entries that are missing from the segment when this is done,
    /// ascending, each as eight bytes, the least significant first.
    pub fn digest(&self) -> Digest {
        digest_of(self.entries.union(&self.before))
    }
}

fn digest_of<'a>(indices: impl Iterator<Item = &'a u64>) -> Digest {
    let mut hash = Sha256::new();
    for index in indices {
        hash.update(index.to_le_bytes());
    }
    Digest::from_bytes(hash.finalize().into())
}

/// Goes through a log and gives for each segment which of its entries `which` chooses. It is asked
/// about every entry that is still there, in the order of the log.
pub fn plan_expiry(
    log: &Path,
    origin: &Origin,
    which: &mut dyn FnMut(u64, &[u8]) -> bool,
) -> io::Result<Vec<Expiry>> {
    let segments = segment::list(log)?;
    let last = segments.len().saturating_sub(1);
    let mut plan = Vec::with_capacity(segments.len());
    for (number, (first, path)) in segments.into_iter().enumerate() {
        let mut expiry = Expiry {
            segment: first,
            entries: BTreeSet::new(),
            before: BTreeSet::new(),
            bytes: 0,
            is_closed: number < last,
        };
        let Some(mut frames) = Frames::open(&path, origin, first)? else { continue };
        loop {
            match frames.next()? {
                Step::Entry { index, payload } => {
                    if which(index, &payload) {
                        expiry.entries.insert(index);
                        let bytes = u64::try_from(payload.len()).unwrap_or(u64::MAX);
                        expiry.bytes = expiry.bytes.saturating_add(bytes);
                    }
                }
                Step::Expired { index, .. } => {
                    expiry.before.insert(index);
                }
                Step::Checkpoint { .. } => {}
                // What stands behind is being written.
                Step::End | Step::Torn | Step::Damaged(_) if number == last => break,
                Step::End => break,
                Step::Torn | Step::Damaged(_) => return Err(damaged(&path)),
            }
        }
        plan.push(expiry);
    }
    Ok(plan)
}

/// Deletes what was planned for a closed segment: the payloads first, then the entries, by putting
/// another file in the segment's place in a single step. Doing it twice changes nothing.
pub fn expire(log: &Path, origin: &Origin, plan: &Expiry) -> io::Result<()> {
    if !plan.is_closed {
        return Err(io::Error::other("the segment is still being written"));
    }
    destroy_payloads(log, origin, &mut |head| plan.entries.contains(&head.index))?;
    let path = segment::path(log, plan.segment);
    let mut frames = Frames::open(&path, origin, plan.segment)?.ok_or_else(|| damaged(&path))?;
    let new = path.with_extension("new");
    let mut out = BufWriter::with_capacity(256 * 1024, File::create(&new)?);
    out.write_all(&segment::header(origin, plan.segment))?;
    let mut frame = Vec::new();
    loop {
        frame.clear();
        match frames.next()? {
            Step::Entry { index, payload } if plan.entries.contains(&index) => {
                let leaf = crate::leaf_hash(&payload);
                frame::write(&mut frame, FrameKind::Expired, index, &leaf);
            }
            Step::Entry { index, payload } => {
                frame::write(&mut frame, FrameKind::Entry, index, &payload);
            }
            Step::Expired { index, leaf } => {
                frame::write(&mut frame, FrameKind::Expired, index, &leaf);
            }
            Step::Checkpoint { size, note } => {
                frame::write(&mut frame, FrameKind::Checkpoint, size, &note);
            }
            Step::End => break,
            Step::Torn | Step::Damaged(_) => return Err(damaged(&path)),
        }
        out.write_all(&frame)?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    fs::rename(&new, &path)?;
    File::open(segment::dir(log))?.sync_all()
}

/// Runs of entries that were deleted, for each segment, with the digest that a record of their
/// deletion must have.
pub fn expired(log: &Path, origin: &Origin) -> io::Result<Vec<(u64, BTreeSet<u64>, Digest)>> {
    let plan = plan_expiry(log, origin, &mut |_, _| false)?;
    Ok(plan
        .into_iter()
        .filter(|segment| !segment.before.is_empty())
        .map(|segment| {
            let digest = segment.digest();
            (segment.segment, segment.before, digest)
        })
        .collect())
}

/// Which files a log's segments are, by the index that each begins with: as long as that stays the
/// same, nothing was deleted.
pub fn segment_files(log: &Path) -> io::Result<Vec<(u64, u64)>> {
    segment::list(log)?
        .into_iter()
        .map(|(first, path)| fs::metadata(path).map(|data| (first, data.ino())))
        .collect()
}

fn damaged(path: &Path) -> io::Error {
    io::Error::other(format!("`{}` is damaged: nothing is deleted from it", path.display()))
}
