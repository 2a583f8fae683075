use std::{collections::HashMap, path::Path};

use crate::{
    note::{Checkpoint, VerifierKey},
    reader::{Hashes, Leaf, ReadFailed, Reader},
    tree::{self, Hash, Subtrees, node_hash},
    verify::{Finding, FindingKind, Report},
};

/// Verifies that the entries from `from` up to but not including `until` stand in the log under
/// its newest checkpoint, and reads no others but those that no tile covers. For the rest the tiles
/// of hashes are taken, which can only be right if they lead to the signed root. Without `key` the
/// key that lies beside the log counts.
pub fn verify_range(dir: &Path, key: Option<&VerifierKey>, from: u64, until: u64) -> Report {
    let mut report = Report::default();
    if let Err(finding) = check(dir, key, from, until, &mut report) {
        report.findings.push(finding);
    }
    report
}

fn check(
    dir: &Path,
    key: Option<&VerifierKey>,
    from: u64,
    until: u64,
    report: &mut Report,
) -> Result<(), Finding> {
    let find = |kind, file: &str, index, detail: String| Finding {
        kind,
        file: file.to_owned(),
        index,
        detail,
    };
    let unreadable = |fault: &dyn std::fmt::Display| {
        find(FindingKind::Unreadable, "checkpoint", None, fault.to_string())
    };
    let key = match key {
        Some(key) => key.clone(),
        None => std::fs::read_to_string(dir.join("log.pub"))
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .ok_or_else(|| unreadable(&"`log.pub` is not the log's public key"))?,
    };
    report.origin = key.origin().to_string();
    let reader = Reader::open(dir).map_err(|fault| unreadable(&fault))?;
    let (note, _) = reader.newest_note().map_err(|fault| unreadable(&fault))?;
    let newest = Checkpoint::open(&note, &key).map_err(|refused| {
        find(crate::verify::kind_of(&refused), "checkpoint", None, refused.to_string())
    })?;
    report.size = newest.size;
    report.root = hex::encode(newest.root);
    if from >= until || until > newest.size {
        let detail = format!("the log has {} entries, not all from {from} to {until}", newest.size);
        return Err(find(FindingKind::Truncation, "segments", Some(newest.size), detail));
    }
    let broken = |fault: ReadFailed| {
        let (kind, index) = match fault {
            ReadFailed::Damaged { index, .. } => (FindingKind::Edit, Some(index)),
            _ => (FindingKind::Unreadable, None),
        };
        find(kind, "segments", index, fault.to_string())
    };
    let mut leaves = HashMap::new();
    for leaf in reader.leaves(from) {
        let (index, leaf) = leaf.map_err(broken)?;
        if index >= until {
            break;
        }
        if let Leaf::Expired(_) = leaf {
            match report.expired.last_mut() {
                Some((_, last)) if last.checked_add(1) == Some(index) => *last = index,
                _ => report.expired.push((index, index)),
            }
        }
        leaves.insert(index, leaf.hash());
    }
    let mut source = Range { leaves, from, until, others: reader.hashes() };
    let root = tree::range_hash(&mut source, 0, newest.size).map_err(broken)?;
    if root == newest.root {
        return Ok(());
    }
    // Which is wrong, the entries or the hashes beside them?
    let mut differing = source.leaves.iter().filter_map(|(index, hash)| {
        let kept = reader.hashes().subtree(0, *index).ok()?;
        (kept != *hash).then_some(*index)
    });
    Err(differing.by_ref().min().map_or_else(
        || {
            let detail = "the hashes of the tiles do not lead to the signed root".to_owned();
            find(FindingKind::Edit, "tile", None, detail)
        },
        |index| {
            let detail = "the entry is not the one whose hash was kept".to_owned();
            find(FindingKind::Edit, "segments", Some(index), detail)
        },
    ))
}

/// Hashes of what was read, and the tiles' for everything else.
struct Range<'a> {
    leaves: HashMap<u64, Hash>,
    from: u64,
    until: u64,
    others: Hashes<'a>,
}

impl Subtrees for Range<'_> {
    type Error = ReadFailed;

    fn subtree(&mut self, level: u32, index: u64) -> Result<Hash, ReadFailed> {
        let (begin, end) = (index << level, index.saturating_add(1) << level);
        if end <= self.from || begin >= self.until {
            return self.others.subtree(level, index);
        }
        if level == 0 {
            let known = self.leaves.get(&index).copied();
            return known.map_or_else(|| self.others.subtree(0, index), Ok);
        }
        let left = self.subtree(level.saturating_sub(1), index << 1)?;
        let right = self.subtree(level.saturating_sub(1), (index << 1) | 1)?;
        Ok(node_hash(&left, &right))
    }
}
