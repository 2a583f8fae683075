//! Full tiles of hashes as C2SP tlog-tiles lays them out: each holds 256 hashes of its level, and
//! each hash of level n+1 is the root of a full tile of level n.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::tree::{Hash, node_hash};

pub(crate) const WIDTH: usize = 256;

/// `tile/<level>/<index>`, the index in groups of three digits, all but the last behind an `x`.
pub(crate) fn path(log: &Path, level: u32, index: u64) -> PathBuf {
    log.join("tile").join(level.to_string()).join(index_path(index))
}

pub(crate) fn index_path(index: u64) -> String {
    let mut path = format!("{:03}", index % 1000);
    let mut rest = index / 1000;
    while rest > 0 {
        path = format!("x{:03}/{path}", rest % 1000);
        rest /= 1000;
    }
    path
}

/// A full tile, if it is there and has the right length.
pub(crate) fn read(log: &Path, level: u32, index: u64) -> io::Result<Option<Vec<Hash>>> {
    let bytes = match fs::read(path(log, level, index)) {
        Ok(bytes) => bytes,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(fault) => return Err(fault),
    };
    let (hashes, rest) = bytes.as_chunks::<32>();
    Ok((hashes.len() == WIDTH && rest.is_empty()).then(|| hashes.to_vec()))
}

/// Writes a tile in one step, unless it is there. Not synced: it can be made again.
pub(crate) fn keep(log: &Path, tile: &Tile) -> io::Result<()> {
    let path = path(log, tile.level, tile.index);
    if path.exists() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let new = path.with_extension("new");
    fs::write(&new, tile.hashes.as_flattened())?;
    fs::rename(new, path)
}

/// The root of complete hashes; their number is a power of two.
pub(crate) fn fold(hashes: &[Hash]) -> Option<Hash> {
    match hashes {
        [] => None,
        [hash] => Some(*hash),
        _ => {
            let (left, right) = hashes.split_at_checked(hashes.len() / 2)?;
            Some(node_hash(&fold(left)?, &fold(right)?))
        }
    }
}

/// A tile that has become full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tile {
    pub(crate) level: u32,
    pub(crate) index: u64,
    pub(crate) hashes: Vec<Hash>,
}

/// Collects hashes into tiles.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tiler {
    levels: Vec<(u64, Vec<Hash>)>,
}

impl Tiler {
    /// Adds a leaf's hash; gives the tiles that are full with it.
    pub(crate) fn push(&mut self, leaf: Hash) -> Vec<Tile> {
        let mut full = Vec::new();
        let (mut level, mut hash) = (0_u32, leaf);
        loop {
            let place = usize::try_from(level).unwrap_or(usize::MAX);
            if self.levels.len() <= place {
                self.levels.push((0, Vec::new()));
            }
            let Some((index, hashes)) = self.levels.get_mut(place) else { return full };
            hashes.push(hash);
            if hashes.len() < WIDTH {
                return full;
            }
            let hashes = std::mem::take(hashes);
            let Some(root) = fold(&hashes) else { return full };
            full.push(Tile { level, index: *index, hashes });
            *index = index.saturating_add(1);
            hash = root;
            level = level.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Frontier, leaf_hash};

    #[test]
    fn paths_are_those_of_the_specification() {
        let at = |index| path(Path::new("l"), 0, index);
        assert_eq!(at(5), Path::new("l/tile/0/005"));
        assert_eq!(at(1_234_067), Path::new("l/tile/0/x001/x234/067"));
        assert_eq!(at(1_000), Path::new("l/tile/0/x001/000"));
    }

    #[test]
    fn a_full_tiles_root_is_the_trees() {
        let (mut tiler, mut tree, mut full) = (Tiler::default(), Frontier::default(), Vec::new());
        for i in 0..65_536_u32 {
            let leaf = leaf_hash(&i.to_le_bytes());
            tree.push(leaf);
            full.extend(tiler.push(leaf));
        }
        assert_eq!(full.len(), 257);
        let top = full.last().unwrap();
        assert_eq!((top.level, top.index), (1, 0));
        assert_eq!(fold(&top.hashes).unwrap(), tree.root());
    }
}
