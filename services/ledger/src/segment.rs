//! Segment files: a header line, then frames.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read as _, Seek as _, SeekFrom},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use reeve_domain::Origin;

use crate::{
    frame::{self, FrameKind, Parsed},
    tree::Hash,
};

pub(crate) fn dir(log: &Path) -> PathBuf {
    log.join("segments")
}

pub(crate) fn path(log: &Path, first: u64) -> PathBuf {
    dir(log).join(format!("{first:020}.log"))
}

/// The first line of a segment: a segment moved to another log or renamed is noticed.
pub(crate) fn header(origin: &Origin, first: u64) -> Vec<u8> {
    format!("reeve-ledger 1 {origin} {first}\n").into_bytes()
}

/// The segments of a log by their first index, in order.
pub(crate) fn list(log: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut segments = Vec::new();
    for entry in dir(log).read_dir()? {
        let path = entry?.path();
        let first = path
            .file_name()
            .and_then(|name| name.to_str())
            .and_then(|name| name.strip_suffix(".log"))
            .and_then(|digits| digits.parse().ok());
        if let Some(first) = first {
            segments.push((first, path));
        }
    }
    segments.sort_unstable();
    Ok(segments)
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    pub(crate) fn of(data: &fs::Metadata) -> Self {
        Self { device: data.dev(), inode: data.ino() }
    }
}

/// Whether a path still leads to the file that is being written, and the file ends where it was
/// left: what is written to a file that was deleted or moved away is lost.
pub(crate) fn same_file(path: &Path, file: &File, length: u64) -> io::Result<()> {
    let (there, open) = (fs::metadata(path)?, file.metadata()?);
    if FileId::of(&there) != FileId::of(&open) {
        return Err(io::Error::other("the file was replaced by another"));
    }
    if open.len() != length {
        return Err(io::Error::other("the file's length was changed by somebody else"));
    }
    Ok(())
}

/// What comes next in a segment.
pub(crate) enum Step {
    Entry {
        index: u64,
        payload: Vec<u8>,
    },
    Checkpoint {
        size: u64,
        note: Vec<u8>,
    },
    /// An entry was deleted when its time was over; its hash is left.
    Expired {
        index: u64,
        leaf: Hash,
    },
    /// The file ends where a frame ends.
    End,
    /// The file ends inside a frame.
    Torn,
    /// The bytes are no frame.
    Damaged(&'static str),
}

/// Reads the frames of one segment.
#[derive(Debug)]
pub(crate) struct Frames {
    file: BufReader<File>,
    /// Where the next frame begins.
    pub(crate) offset: u64,
}

impl Frames {
    /// Opens a segment and checks its header; `None` if the header is not what it must be.
    pub(crate) fn open(path: &Path, origin: &Origin, first: u64) -> io::Result<Option<Self>> {
        let expected = header(origin, first);
        let mut file = BufReader::with_capacity(256 * 1024, File::open(path)?);
        let mut found = vec![0; expected.len()];
        match file.read_exact(&mut found) {
            Ok(()) if found == expected => {
                let offset = u64::try_from(expected.len()).unwrap_or(u64::MAX);
                Ok(Some(Self { file, offset }))
            }
            Ok(()) => Ok(None),
            Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Opens a segment at the beginning of a frame that was found before.
    pub(crate) fn resume(path: &Path, offset: u64) -> io::Result<Self> {
        let mut file = BufReader::with_capacity(64 * 1024, File::open(path)?);
        file.seek(SeekFrom::Start(offset))?;
        Ok(Self { file, offset })
    }

    pub(crate) fn file_id(&self) -> io::Result<FileId> {
        self.file.get_ref().metadata().map(|data| FileId::of(&data))
    }

    pub(crate) fn next(&mut self) -> io::Result<Step> {
        let mut bytes = Vec::with_capacity(1024);
        let head = self.fill(&mut bytes, frame::HEAD)?;
        // Zeros were written ahead of what comes.
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(Step::End);
        }
        let Some([a, b, c, d]) = bytes.first_chunk::<4>() else { return Ok(Step::Torn) };
        let length = usize::try_from(u32::from_le_bytes([*a, *b, *c, *d])).unwrap_or(usize::MAX);
        // A length that no frame has is found by parsing what there is.
        if head == frame::HEAD && length <= frame::LARGEST.saturating_add(64) {
            self.fill(&mut bytes, length)?;
        }
        match frame::parse(&bytes) {
            Parsed::Torn => Ok(Step::Torn),
            Parsed::Damaged(why) => Ok(Step::Damaged(why)),
            Parsed::Frame(found) => {
                let length = u64::try_from(found.length).unwrap_or(u64::MAX);
                self.offset = self.offset.saturating_add(length);
                let (index, payload) = (found.index, found.payload.to_vec());
                Ok(match found.kind {
                    FrameKind::Entry => Step::Entry { index, payload },
                    FrameKind::Checkpoint => Step::Checkpoint { size: index, note: payload },
                    FrameKind::Expired => match payload.try_into() {
                        Ok(leaf) => Step::Expired { index, leaf },
                        Err(_) => Step::Damaged("an expired entry without its hash"),
                    },
                })
            }
        }
    }

    /// Whether nothing but zeros follows. To be asked at the end of what is known.
    pub(crate) fn rest_is_blank(&mut self) -> io::Result<bool> {
        self.file.seek(SeekFrom::Start(self.offset))?;
        let mut part = vec![0; 64 * 1024];
        loop {
            let read = self.file.read(&mut part)?;
            if read == 0 {
                return Ok(true);
            }
            if part.iter().take(read).any(|byte| *byte != 0) {
                return Ok(false);
            }
        }
    }

    fn fill(&mut self, bytes: &mut Vec<u8>, wanted: usize) -> io::Result<usize> {
        let limit = u64::try_from(wanted).unwrap_or(u64::MAX);
        self.file.by_ref().take(limit).read_to_end(bytes)
    }
}
