//! Sealed payloads: ciphertext that lies beside a log. An entry commits to the ciphertext by its
//! hash, so that the ciphertext can be destroyed and every proof still holds.
//!
//! ```text
//! DIR/payloads/<first index>.log    a header line, then for each payload
//! u32 length of the ciphertext | u32 CRC-32C of length and what follows up to the ciphertext
//! u64 index of the entry | 32 bytes key's name | 32 bytes SHA-256 of the ciphertext | ciphertext
//! ```
//! Numbers are little-endian. A ciphertext that was destroyed is zeros in its place: it is
//! overwritten where it lies, and nothing else of the file changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File, OpenOptions},
    io::{self, BufReader, Read as _, Seek as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use reeve_domain::{Digest, Origin, Sealed};
use serde::Deserialize;

use crate::segment::same_file;

/// Length, checksum, index, key, hash.
const HEAD: usize = 80;
/// No ciphertext is larger.
const LARGEST: u32 = 64 * 1024 * 1024;

/// A payload as it is kept: encrypted under the key that `key` names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedPayload {
    /// Which key opens it.
    pub key: Digest,
    /// Nonce and ciphertext.
    pub ciphertext: Vec<u8>,
}

impl SealedPayload {
    /// What an entry says of it.
    pub fn commitment(&self) -> Sealed {
        Sealed {
            key: self.key,
            digest: Digest::of(&self.ciphertext),
            bytes: u64::try_from(self.ciphertext.len()).unwrap_or(u64::MAX),
        }
    }
}

/// The payload that an entry commits to, if it does.
pub(crate) fn commitment(entry: &[u8]) -> Option<Sealed> {
    #[derive(Deserialize)]
    struct Committing {
        sealed: Option<Sealed>,
    }
    // Most entries do not, and are spared the reading.
    memchr::memmem::find(entry, b"\"sealed\":{")?;
    serde_json::from_slice::<Committing>(entry).ok()?.sealed
}

/// What is known of a payload without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadHead {
    /// The entry that commits to it.
    pub index: u64,
    /// Which key opens it.
    pub key: Digest,
    /// The hash of the ciphertext as it was written.
    pub digest: Digest,
    /// Its length in bytes.
    pub length: u32,
}

/// A payload as it lies in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// The ciphertext.
    Kept(SealedPayload),
    /// It was destroyed.
    Destroyed,
    /// The bytes are neither the ciphertext nor zeros.
    Damaged,
}

pub(crate) fn dir(log: &Path) -> PathBuf {
    log.join("payloads")
}

fn path(log: &Path, first: u64) -> PathBuf {
    dir(log).join(format!("{first:020}.log"))
}

fn header(origin: &Origin, first: u64) -> Vec<u8> {
    format!("reeve-payloads 1 {origin} {first}\n").into_bytes()
}

pub(crate) fn header_length(origin: &Origin, first: u64) -> u64 {
    length(&header(origin, first))
}

/// The payload files of a log by the first index that they can hold, in order.
pub(crate) fn list(log: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let entries = match dir(log).read_dir() {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(fault) => return Err(fault),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let first = name.and_then(|name| name.strip_suffix(".log")?.parse().ok());
        files.extend(first.map(|first| (first, path.clone())));
    }
    files.sort_unstable();
    Ok(files)
}

/// The file that the writer appends payloads to.
pub(crate) struct PayloadFile {
    first: u64,
    path: PathBuf,
    file: File,
    committed: u64,
}

impl PayloadFile {
    /// Begins the file of the segment that begins with `first`, durable before it is used. A file
    /// of the same name can only be one that holds nothing committed.
    pub(crate) fn begin(log: &Path, origin: &Origin, first: u64) -> io::Result<Self> {
        use io::Write as _;
        let (dir, path, header) = (dir(log), path(log, first), header(origin, first));
        if !dir.is_dir() {
            fs::create_dir(&dir)?;
            File::open(log)?.sync_all()?;
        }
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        file.write_all(&header)?;
        file.sync_all()?;
        File::open(dir)?.sync_all()?;
        let file = OpenOptions::new().append(true).open(&path)?;
        Ok(Self { first, path, file, committed: length(&header) })
    }

    /// Opens the file of the segment that begins with `first`, if it has one, and cuts off what
    /// belongs to no entry below `size`.
    pub(crate) fn resume(
        log: &Path,
        origin: &Origin,
        first: u64,
        size: u64,
    ) -> io::Result<Option<Self>> {
        let path = path(log, first);
        if !path.exists() {
            return Ok(None);
        }
        let mut committed = length(&header(origin, first));
        if let Some(mut payloads) = Payloads::open(&path, origin, first)? {
            while let Next::Payload(head, _) = payloads.next()? {
                if head.index >= size {
                    break;
                }
                committed = payloads.offset;
            }
        } else {
            // A crash while it was begun: nothing stood in it.
            return Self::begin(log, origin, first).map(Some);
        }
        let file = OpenOptions::new().append(true).open(&path)?;
        file.set_len(committed)?;
        file.sync_all()?;
        Ok(Some(Self { first, path, file, committed }))
    }

    /// The index that the file begins with.
    pub(crate) const fn first(&self) -> u64 {
        self.first
    }

    /// Appends payloads and makes them durable. What was appended counts only when [`Self::keep`]
    /// is told its length.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        use io::Write as _;
        same_file(&self.path, &self.file, self.committed)?;
        self.file.write_all(bytes)?;
        self.file.sync_data()
    }

    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        self.committed = self.committed.saturating_add(length(bytes));
    }

    /// Cuts off what was appended and not kept.
    pub(crate) fn cut(&self) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(&self.path)?;
        file.set_len(self.committed)?;
        file.sync_all()
    }
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// Writes one payload behind others.
pub(crate) fn write(out: &mut Vec<u8>, index: u64, payload: &SealedPayload) {
    let size = u32::try_from(payload.ciphertext.len()).unwrap_or(u32::MAX).to_le_bytes();
    let mut fields = Vec::with_capacity(HEAD);
    fields.extend_from_slice(&index.to_le_bytes());
    fields.extend_from_slice(payload.key.as_bytes());
    fields.extend_from_slice(Digest::of(&payload.ciphertext).as_bytes());
    out.extend_from_slice(&size);
    out.extend_from_slice(&checksum(&size, &fields).to_le_bytes());
    out.extend_from_slice(&fields);
    out.extend_from_slice(&payload.ciphertext);
}

fn checksum(size: &[u8], fields: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(size), fields)
}

/// Whether a payload may be kept at all.
pub(crate) fn fits(payload: &SealedPayload) -> bool {
    u32::try_from(payload.ciphertext.len()).is_ok_and(|length| length <= LARGEST)
}

pub(crate) enum Next {
    /// A payload, and where its ciphertext begins.
    Payload(PayloadHead, u64),
    End,
    Torn,
    Damaged,
}

/// Goes through a file of payloads from head to head.
pub(crate) struct Payloads {
    file: BufReader<File>,
    /// Where the next head begins.
    pub(crate) offset: u64,
    size: u64,
}

impl Payloads {
    /// `None` if the header is not what it must be.
    pub(crate) fn open(path: &Path, origin: &Origin, first: u64) -> io::Result<Option<Self>> {
        let expected = header(origin, first);
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        let mut file = BufReader::with_capacity(64 * 1024, file);
        let mut found = vec![0; expected.len()];
        match file.read_exact(&mut found) {
            Ok(()) if found == expected => Ok(Some(Self { file, offset: length(&expected), size })),
            Ok(()) => Ok(None),
            Err(fault) if fault.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    pub(crate) fn next(&mut self) -> io::Result<Next> {
        let rest = self.size.saturating_sub(self.offset);
        if rest == 0 {
            return Ok(Next::End);
        }
        let head_length = u64::try_from(HEAD).unwrap_or(u64::MAX);
        if rest < head_length {
            return Ok(Next::Torn);
        }
        let here = self.file.stream_position()?;
        // Between neighbours the buffer is kept.
        let ahead = i64::try_from(self.offset.saturating_sub(here)).unwrap_or(i64::MAX);
        self.file.seek_relative(ahead)?;
        let mut bytes = [0_u8; HEAD];
        self.file.read_exact(&mut bytes)?;
        let Some((size, fields)) = bytes.split_first_chunk::<4>() else { return Ok(Next::Torn) };
        let Some((sum, fields)) = fields.split_first_chunk::<4>() else { return Ok(Next::Torn) };
        if checksum(size, fields) != u32::from_le_bytes(*sum) {
            return Ok(Next::Damaged);
        }
        let Some((index, fields)) = fields.split_first_chunk::<8>() else { return Ok(Next::Torn) };
        let Some((key, digest)) = fields.split_first_chunk::<32>() else { return Ok(Next::Torn) };
        let Some(digest) = digest.first_chunk::<32>() else { return Ok(Next::Torn) };
        let head = PayloadHead {
            index: u64::from_le_bytes(*index),
            key: Digest::from_bytes(*key),
            digest: Digest::from_bytes(*digest),
            length: u32::from_le_bytes(*size),
        };
        let begin = self.offset.saturating_add(head_length);
        let end = begin.saturating_add(u64::from(head.length));
        if end > self.size {
            return Ok(Next::Torn);
        }
        self.offset = end;
        Ok(Next::Payload(head, begin))
    }

    /// The ciphertext of the payload that `next` gave last.
    pub(crate) fn read(&self, head: &PayloadHead, begin: u64) -> io::Result<Payload> {
        let mut ciphertext = vec![0; usize::try_from(head.length).unwrap_or(0)];
        self.file.get_ref().read_exact_at(&mut ciphertext, begin)?;
        Ok(if Digest::of(&ciphertext) == head.digest {
            Payload::Kept(SealedPayload { key: head.key, ciphertext })
        } else if ciphertext.iter().all(|byte| *byte == 0) {
            Payload::Destroyed
        } else {
            Payload::Damaged
        })
    }
}

/// The entries of a log whose payloads are still there, judged by their nonces.
pub fn kept_payloads(log: &Path, origin: &Origin) -> io::Result<BTreeSet<u64>> {
    let mut kept = BTreeSet::new();
    for (first, path) in list(log)? {
        let Some(mut payloads) = Payloads::open(&path, origin, first)? else { continue };
        while let Next::Payload(head, begin) = payloads.next()? {
            let mut nonce = vec![0; usize::try_from(head.length).unwrap_or(0).min(24)];
            payloads.file.get_ref().read_exact_at(&mut nonce, begin)?;
            if nonce.iter().any(|byte| *byte != 0) {
                kept.insert(head.index);
            }
        }
    }
    Ok(kept)
}

/// How much was destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Destroyed {
    /// Payloads.
    pub payloads: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Overwrites with zeros every ciphertext that `which` chooses, where it lies, and makes that
/// durable. The log may be written meanwhile. Gives what was destroyed by the name of its key; what
/// was destroyed before does not count again.
pub fn destroy_payloads(
    log: &Path,
    origin: &Origin,
    which: &mut dyn FnMut(&PayloadHead) -> bool,
) -> io::Result<BTreeMap<Digest, Destroyed>> {
    let mut done: BTreeMap<Digest, Destroyed> = BTreeMap::new();
    for (first, path) in list(log)? {
        let Some(mut payloads) = Payloads::open(&path, origin, first)? else { continue };
        let mut file = None;
        while let Next::Payload(head, begin) = payloads.next()? {
            if !which(&head) || payloads.read(&head, begin)? == Payload::Destroyed {
                continue;
            }
            let file = match &mut file {
                Some(file) => file,
                none => none.insert(OpenOptions::new().write(true).open(&path)?),
            };
            file.write_all_at(&vec![0; usize::try_from(head.length).unwrap_or(0)], begin)?;
            let done = done.entry(head.key).or_default();
            done.payloads = done.payloads.saturating_add(1);
            done.bytes = done.bytes.saturating_add(u64::from(head.length));
        }
        if let Some(file) = file {
            file.sync_data()?;
        }
    }
    Ok(done)
}

/// The payload of entry `index`, if it has one.
pub fn read_payload(log: &Path, origin: &Origin, index: u64) -> io::Result<Option<Payload>> {
    let Some((first, path)) = list(log)?.into_iter().rev().find(|(first, _)| *first <= index)
    else {
        return Ok(None);
    };
    let Some(mut payloads) = Payloads::open(&path, origin, first)? else { return Ok(None) };
    while let Next::Payload(head, begin) = payloads.next()? {
        if head.index == index {
            return payloads.read(&head, begin).map(Some);
        }
    }
    Ok(None)
}
