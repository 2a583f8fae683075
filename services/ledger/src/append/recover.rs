//! What a log's directory holds when it is opened.

use std::{
    collections::HashMap,
    fs::{self, OpenOptions},
    path::Path,
};

use super::{
    ledger::OpenError,
    open_segment::{Segment, begun},
};
use crate::{
    note::{Checkpoint, NoteRefused, VerifierKey},
    segment::{self, Frames, Step},
    tiles::{Tile, Tiler},
    tree::{Frontier, Hash, empty_root, leaf_hash},
};

pub(super) struct Recovered {
    pub(super) tree: Frontier,
    pub(super) tiler: Tiler,
    pub(super) tiles: Vec<Tile>,
    /// The last segment, open for appending.
    pub(super) segment: Option<Segment>,
    pub(super) discarded: u64,
    /// The root at every checkpoint's size.
    pub(super) known: HashMap<u64, Hash>,
}

/// Reads all segments, checking everything that opening can check.
pub(super) fn recover(dir: &Path, verifier: &VerifierKey) -> Result<Recovered, OpenError> {
    let io = |fault| OpenError::Io { dir: dir.to_owned(), fault };
    let tampered = |what: String| OpenError::Tampered { dir: dir.to_owned(), what };
    let segments = segment::list(dir).map_err(io)?;
    let mut done = Recovered {
        tree: Frontier::default(),
        tiler: Tiler::default(),
        tiles: Vec::new(),
        segment: None,
        discarded: 0,
        known: HashMap::from([(0, empty_root())]),
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
