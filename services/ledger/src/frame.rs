//! Frames of a segment: length, checksum, kind, index and payload.
//!
//! ```text
//! u32 length of what follows the checksum | u32 CRC-32C of it | u8 kind | u64 index | payload
//! ```
//! Numbers are little-endian. The index is the entry's, or for a checkpoint its size. Kinds: 1 an
//! entry, 2 a checkpoint, 3 the hash of an entry whose time of keeping is over.

/// What a frame holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameKind {
    Entry,
    Checkpoint,
    /// Stands in the place of an entry that was deleted; its payload is the leaf's hash.
    Expired,
}

pub(crate) const HEAD: usize = 8;
const FIXED: usize = 9;
/// No entry is larger: C2SP's bundles of entries give the length two bytes.
pub(crate) const LARGEST: usize = 65_535;

pub(crate) fn write(out: &mut Vec<u8>, kind: FrameKind, index: u64, payload: &[u8]) {
    let kind = match kind {
        FrameKind::Entry => 1,
        FrameKind::Checkpoint => 2,
        FrameKind::Expired => 3,
    };
    let mut fixed = [kind; FIXED];
    if let Some(rest) = fixed.last_chunk_mut() {
        *rest = index.to_le_bytes();
    }
    let length = u32::try_from(payload.len().saturating_add(FIXED)).unwrap_or(u32::MAX);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&fixed), payload);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&checksum.to_le_bytes());
    out.extend_from_slice(&fixed);
    out.extend_from_slice(payload);
}

/// A frame as it was read.
pub(crate) struct Frame<'a> {
    pub(crate) kind: FrameKind,
    pub(crate) index: u64,
    pub(crate) payload: &'a [u8],
    /// Its length with head, in bytes.
    pub(crate) length: usize,
}

/// What stands at a place where a frame should begin.
pub(crate) enum Parsed<'a> {
    Frame(Frame<'a>),
    /// The bytes end before the frame does.
    Torn,
    /// The bytes are there but are no frame.
    Damaged(&'static str),
}

pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else { return Parsed::Torn };
    let [a, b, c, d, e, f, g, h] = *head;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length < FIXED || length > LARGEST.saturating_add(FIXED) {
        return Parsed::Damaged("a length that no frame has");
    }
    let Some(body) = rest.get(..length) else { return Parsed::Torn };
    if crc32c::crc32c(body) != u32::from_le_bytes([e, f, g, h]) {
        return Parsed::Damaged("the checksum does not hold");
    }
    let Some(([kind], rest)) = body.split_first_chunk::<1>() else {
        return Parsed::Damaged("no kind");
    };
    let Some((index, payload)) = rest.split_first_chunk::<8>() else {
        return Parsed::Damaged("no index");
    };
    let kind = match kind {
        1 => FrameKind::Entry,
        2 => FrameKind::Checkpoint,
        3 => FrameKind::Expired,
        _ => return Parsed::Damaged("a kind that no frame has"),
    };
    let index = u64::from_le_bytes(*index);
    Parsed::Frame(Frame { kind, index, payload, length: length.saturating_add(HEAD) })
}
