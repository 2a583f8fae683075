//! A log as the static files of C2SP tlog-tiles, for whoever reads logs with other tools:
//! `checkpoint`, `tile/<level>/<n>[.p/<width>]` and `tile/entries/<n>[.p/<width>]`.

use crate::{
    reader::{ReadFailed, Reader},
    tiles,
    tree::Subtrees as _,
};

/// One file of a published log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resource {
    /// Its path, seen from the log's address.
    pub path: String,
    /// Its content.
    pub bytes: Vec<u8>,
}

const WIDTH: u64 = 256;

fn name(kind: &str, index: u64, width: u64) -> String {
    let index = tiles::index_path(index);
    if width == WIDTH {
        format!("tile/{kind}/{index}")
    } else {
        format!("tile/{kind}/{index}.p/{width}")
    }
}

/// How many hashes level `level` has in a tree of `size` leaves.
fn hashes_at(size: u64, level: u32) -> u64 {
    size.checked_shr(level.saturating_mul(8)).unwrap_or(0)
}

/// Tiles of a level that a tree of `size` leaves has and one of `from` has not: index and width.
fn grown(from: u64, size: u64, level: u32) -> impl Iterator<Item = (u64, u64)> {
    let (old, new) = (hashes_at(from, level), hashes_at(size, level));
    let first = if new > old { old / WIDTH } else { new.div_ceil(WIDTH) };
    (first..new.div_ceil(WIDTH))
        .map(move |index| (index, WIDTH.min(new.saturating_sub(index.saturating_mul(WIDTH)))))
}

fn levels(size: u64) -> impl Iterator<Item = u32> {
    (0..8).take_while(move |level| hashes_at(size, *level) > 0)
}

impl Reader {
    /// What must be put beside a publication of the first `from` entries to make it one of the
    /// first `size`, besides the checkpoint, which comes last.
    pub fn resources(
        &self,
        from: u64,
        size: u64,
    ) -> impl Iterator<Item = Result<Resource, ReadFailed>> + '_ {
        let tiles = levels(size).flat_map(move |level| {
            grown(from, size, level).map(move |(index, width)| self.tile(level, index, width))
        });
        let bundles = grown(from, size, 0).map(move |(index, width)| self.bundle(index, width));
        bundles.chain(tiles)
    }

    /// The paths of a publication of `from` entries that one of `size` has no use for.
    pub fn superseded(from: u64, size: u64) -> Vec<String> {
        let mut paths = Vec::new();
        for level in levels(from) {
            let (old, new) = (hashes_at(from, level), hashes_at(size, level));
            if new > old && old % WIDTH > 0 {
                paths.push(name(&level.to_string(), old / WIDTH, old % WIDTH));
                if level == 0 {
                    paths.push(name("entries", old / WIDTH, old % WIDTH));
                }
            }
        }
        paths
    }

    fn tile(&self, level: u32, index: u64, width: u64) -> Result<Resource, ReadFailed> {
        let mut hashes = self.hashes();
        let mut bytes = Vec::new();
        let first = index.saturating_mul(WIDTH);
        for place in first..first.saturating_add(width) {
            bytes.extend_from_slice(&hashes.subtree(level.saturating_mul(8), place)?);
        }
        Ok(Resource { path: name(&level.to_string(), index, width), bytes })
    }

    /// Bundle `index` of entries, `width` of them: each a length of two bytes, most significant
    /// first, and its bytes. An entry that was deleted when its time was over has length 0.
    pub fn bundle(&self, index: u64, width: u64) -> Result<Resource, ReadFailed> {
        let mut bytes = Vec::new();
        let first = index.saturating_mul(WIDTH);
        let mut missing = first;
        let end = first.saturating_add(width);
        let mut pad = |bytes: &mut Vec<u8>, until: u64| {
            for _ in missing..until {
                bytes.extend_from_slice(&[0, 0]);
            }
            missing = until.saturating_add(1);
        };
        for entry in self.entries(first) {
            let (at, entry) = entry?;
            if at >= end {
                break;
            }
            pad(&mut bytes, at);
            let length = u16::try_from(entry.len()).map_err(|_| ReadFailed::TooLong(at))?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(&entry);
        }
        pad(&mut bytes, end);
        Ok(Resource { path: name("entries", index, width), bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_what_is_new() {
        let all = |from, size, level| grown(from, size, level).collect::<Vec<_>>();
        assert_eq!(all(0, 300, 0), [(0, 256), (1, 44)]);
        assert_eq!(all(0, 300, 1), [(0, 1)]);
        assert_eq!(all(300, 310, 0), [(1, 54)]);
        assert_eq!(all(300, 310, 1), []);
        assert_eq!(all(310, 310, 0), []);
        assert_eq!(all(256, 512, 0), [(1, 256)]);
        assert_eq!(Reader::superseded(300, 310), ["tile/0/001.p/44", "tile/entries/001.p/44"]);
        assert_eq!(Reader::superseded(256, 512), ["tile/1/000.p/1"]);
    }
}
