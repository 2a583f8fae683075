use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
};

use parking_lot::Mutex;
use reeve_domain::Origin;

use crate::{
    note::Checkpoint,
    receipt::ReceiptProof,
    segment::{self, FileId, Frames, Step},
    tiles,
    tree::{self, Hash, Subtrees, leaf_hash, node_hash},
};

/// A log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadFailed {
    /// A file cannot be read.
    #[error("the log in `{dir}` cannot be read: {fault}")]
    Io {
        /// The log's directory.
        dir: PathBuf,
        /// What the system said.
        fault: io::Error,
    },
    /// A file is not what it must be; `reeve ledger verify` names what and where.
    #[error("the log in `{dir}` is damaged at entry {index}: {what}")]
    Damaged {
        /// The log's directory.
        dir: PathBuf,
        /// The entry that could not be read.
        index: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The entry was deleted when its time was over; its hash is left.
    #[error("entry {0} was deleted when its time was over")]
    Expired(u64),
    /// The entry is longer than what can be published.
    #[error("entry {0} is longer than what can be published")]
    TooLong(u64),
    /// There is no such entry yet.
    #[error("the log has {size} entries, none with index {index}")]
    Beyond {
        /// What was asked for.
        index: u64,
        /// How many there are.
        size: u64,
    },
}

/// Where an entry begins, to go on from there the next time, as long as the file is the same: one
/// from which entries were deleted is another.
#[derive(Clone, Copy, Debug)]
struct Place {
    segment: u64,
    file: FileId,
    offset: u64,
    index: u64,
}

/// Reads the committed entries of a log, also while it is written. It trusts the files; whether
/// they may be trusted is what [`crate::verify`] finds out.
#[derive(Debug)]
pub struct Reader {
    dir: PathBuf,
    last: Mutex<Option<Place>>,
}

impl Reader {
    /// A reader of the log in `dir`.
    pub fn open(dir: &Path) -> Result<Self, ReadFailed> {
        let this = Self { dir: dir.to_owned(), last: Mutex::new(None) };
        this.newest()?;
        Ok(this)
    }

    /// The newest checkpoint, as the signed note.
    pub fn checkpoint(&self) -> Result<String, ReadFailed> {
        let read = || fs::read_to_string(self.dir.join("checkpoint"));
        read_settled(read).map_err(|fault| self.io(fault))
    }

    /// How many entries are committed now; 0 if that cannot be read.
    pub fn size(&self) -> u64 {
        self.newest().map(|checkpoint| checkpoint.size).unwrap_or(0)
    }

    /// What the newest checkpoint says.
    pub fn newest(&self) -> Result<Checkpoint, ReadFailed> {
        self.newest_note().map(|(_, checkpoint)| checkpoint)
    }

    pub(crate) fn newest_note(&self) -> Result<(String, Checkpoint), ReadFailed> {
        let note = self.checkpoint()?;
        match Checkpoint::read(&note) {
            Ok((checkpoint, _)) => Ok((note, checkpoint)),
            Err(_) => Err(self.damaged(0, "`checkpoint` is not a signed checkpoint")),
        }
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// The committed entries from `from` on, as of now. Those that were deleted when their time was
    /// over are left out.
    pub fn entries(&self, from: u64) -> Entries<'_> {
        Entries(self.leaves(from))
    }

    pub(crate) fn leaves(&self, from: u64) -> Leaves<'_> {
        Leaves { reader: self, next: from, open: None, end: None, failed: false }
    }

    /// The proof that entry `index` stands in the tree of the first `size` entries.
    pub fn inclusion_proof(&self, index: u64, size: u64) -> Result<Vec<Hash>, ReadFailed> {
        let committed = self.newest()?.size;
        if index >= size || size > committed {
            return Err(ReadFailed::Beyond { index, size: size.min(committed) });
        }
        tree::inclusion_proof(&mut self.hashes(), index, size)
    }

    /// The proof that the tree of the first `old` entries is a prefix of the one of `new`.
    pub fn consistency_proof(&self, old: u64, new: u64) -> Result<Vec<Hash>, ReadFailed> {
        let committed = self.newest()?.size;
        if old > new || new > committed {
            return Err(ReadFailed::Beyond { index: new, size: committed });
        }
        tree::consistency_proof(&mut self.hashes(), old, new)
    }

    /// Entry `index` with its proof under the newest checkpoint that witnesses cosigned, or, if none
    /// covers the entry yet, under the newest.
    pub fn receipt(&self, index: u64) -> Result<ReceiptProof, ReadFailed> {
        let (mut note, mut newest) = self.newest_note()?;
        if let Some(cosigned) = self.cosigned()?
            && let Ok((checkpoint, _)) = Checkpoint::read(&cosigned)
            && checkpoint.size > index
            && checkpoint.size <= newest.size
        {
            (note, newest) = (cosigned, checkpoint);
        }
        self.prove(index, note, newest)
    }

    /// Entry `index` with its proof under a checkpoint of this log, given as a note.
    pub fn receipt_under(&self, index: u64, note: &str) -> Result<ReceiptProof, ReadFailed> {
        let (checkpoint, _) = Checkpoint::read(note)
            .map_err(|_| self.damaged(0, "what was given is not a signed checkpoint"))?;
        self.prove(index, note.to_owned(), checkpoint)
    }

    fn prove(
        &self,
        index: u64,
        note: String,
        under: Checkpoint,
    ) -> Result<ReceiptProof, ReadFailed> {
        let beyond = ReadFailed::Beyond { index, size: under.size };
        let Leaf::Entry(entry) = self.leaves(index).next().ok_or(beyond)??.1 else {
            return Err(ReadFailed::Expired(index));
        };
        let proof = self.inclusion_proof(index, under.size)?;
        Ok(ReceiptProof::new(under.origin, index, &entry, under.size, &proof, note))
    }

    pub(crate) fn hashes(&self) -> Hashes<'_> {
        Hashes { reader: self, leaves: HashMap::new() }
    }

    pub(crate) fn io(&self, fault: io::Error) -> ReadFailed {
        ReadFailed::Io { dir: self.dir.clone(), fault }
    }

    fn damaged(&self, index: u64, what: &'static str) -> ReadFailed {
        ReadFailed::Damaged { dir: self.dir.clone(), index, what }
    }

    /// Opens the segment that holds entry `index`, at a frame at or before it.
    fn seek(&self, index: u64, origin: &Origin) -> Result<(Frames, u64), ReadFailed> {
        let segments = segment::list(&self.dir).map_err(|fault| self.io(fault))?;
        let (first, path) = segments
            .into_iter()
            .rev()
            .find(|(first, _)| *first <= index)
            .ok_or_else(|| self.damaged(index, "its segment is missing"))?;
        let last = *self.last.lock();
        if let Some(place) = last.filter(|place| place.segment == first && place.index <= index) {
            let frames = Frames::resume(&path, place.offset).map_err(|fault| self.io(fault))?;
            if frames.file_id().ok() == Some(place.file) {
                return Ok((frames, first));
            }
        }
        let frames = Frames::open(&path, origin, first)
            .map_err(|fault| self.io(fault))?
            .ok_or_else(|| self.damaged(index, "the segment's header"))?;
        Ok((frames, first))
    }
}

/// Reads a file that may be overwritten meanwhile, until two readings say the same.
pub(crate) fn read_settled<T: PartialEq>(read: impl Fn() -> io::Result<T>) -> io::Result<T> {
    let mut before = read()?;
    loop {
        let again = read()?;
        if again == before {
            return Ok(again);
        }
        before = again;
    }
}

/// What stands at a place of the log.
pub(crate) enum Leaf {
    Entry(Vec<u8>),
    Expired(Hash),
}

impl Leaf {
    pub(crate) fn hash(&self) -> Hash {
        match self {
            Self::Entry(entry) => leaf_hash(entry),
            Self::Expired(hash) => *hash,
        }
    }
}

/// Committed leaves, each with its index.
pub(crate) struct Leaves<'a> {
    reader: &'a Reader,
    next: u64,
    open: Option<(Frames, u64, FileId)>,
    end: Option<Checkpoint>,
    failed: bool,
}

impl Leaves<'_> {
    fn step(&mut self) -> Result<Option<(u64, Leaf)>, ReadFailed> {
        let reader = self.reader;
        let end = match &self.end {
            Some(end) => end.clone(),
            None => self.end.insert(reader.newest()?).clone(),
        };
        if self.next >= end.size {
            return Ok(None);
        }
        let mut sought = false;
        loop {
            let (frames, segment, file) = match &mut self.open {
                Some(open) => (&mut open.0, open.1, open.2),
                None if sought => {
                    return Err(reader.damaged(self.next, "it is in no segment"));
                }
                None => {
                    sought = true;
                    let (frames, segment) = reader.seek(self.next, &end.origin)?;
                    let file = frames.file_id().map_err(|fault| reader.io(fault))?;
                    let open = self.open.insert((frames, segment, file));
                    (&mut open.0, open.1, open.2)
                }
            };
            let (index, leaf) = match frames.next().map_err(|fault| reader.io(fault))? {
                Step::Entry { index, payload } => (index, Leaf::Entry(payload)),
                Step::Expired { index, leaf } => (index, Leaf::Expired(leaf)),
                Step::Checkpoint { .. } => continue,
                // The next entry is in the next segment.
                Step::End => {
                    self.open = None;
                    continue;
                }
                Step::Torn => return Err(reader.damaged(self.next, "its segment is cut off")),
                Step::Damaged(what) => return Err(reader.damaged(self.next, what)),
            };
            if index > self.next {
                return Err(reader.damaged(self.next, "another entry stands in its place"));
            }
            if index == self.next {
                self.next = self.next.saturating_add(1);
                let offset = frames.offset;
                *reader.last.lock() = Some(Place { segment, file, offset, index: self.next });
                return Ok(Some((index, leaf)));
            }
        }
    }
}

impl Iterator for Leaves<'_> {
    type Item = Result<(u64, Leaf), ReadFailed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let step = self.step();
        self.failed = step.is_err();
        step.transpose()
    }
}

/// Committed entries, each with its index.
pub struct Entries<'a>(Leaves<'a>);

impl Iterator for Entries<'_> {
    type Item = Result<(u64, Vec<u8>), ReadFailed>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            return match self.0.next()? {
                Ok((index, Leaf::Entry(entry))) => Some(Ok((index, entry))),
                Ok((_, Leaf::Expired(_))) => continue,
                Err(failed) => Some(Err(failed)),
            };
        }
    }
}

/// Hashes of subtrees: from tiles where they are full, else from the entries.
pub(crate) struct Hashes<'a> {
    reader: &'a Reader,
    leaves: HashMap<u64, Hash>,
}

impl Hashes<'_> {
    fn leaf(&mut self, index: u64) -> Result<Hash, ReadFailed> {
        if let Some(hash) = self.leaves.get(&index) {
            return Ok(*hash);
        }
        // Its neighbours will be asked for next.
        let width = u64::try_from(tiles::WIDTH).unwrap_or(u64::MAX);
        let first = index.checked_div(width).unwrap_or(0).saturating_mul(width);
        for leaf in self.reader.leaves(first).take(tiles::WIDTH) {
            let (at, leaf) = leaf?;
            self.leaves.insert(at, leaf.hash());
        }
        self.leaves
            .get(&index)
            .copied()
            .ok_or_else(|| self.reader.damaged(index, "it is in no segment"))
    }
}

impl Subtrees for Hashes<'_> {
    type Error = ReadFailed;

    fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, ReadFailed> {
        let (tile_level, rest) = (level / 8, level % 8);
        let first = index << rest;
        let tile = tiles::read(&self.reader.dir, tile_level, first >> 8)
            .map_err(|fault| self.reader.io(fault))?;
        if let Some(hashes) = tile {
            let begin = usize::try_from(first & 255).unwrap_or(0);
            let end = begin.saturating_add(1 << rest);
            return hashes
                .get(begin..end)
                .and_then(tiles::fold)
                .ok_or_else(|| self.reader.damaged(first, "a tile is too short"));
        }
        if level == 0 {
            return self.leaf(index);
        }
        let left = self.subtree(level.saturating_sub(1), index << 1)?;
        let right = self.subtree(level.saturating_sub(1), (index << 1) | 1)?;
        Ok(node_hash(&left, &right))
    }
}
