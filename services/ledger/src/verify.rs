//! Checks a whole log offline, with its public key alone, and names what is wrong with it.

use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use reeve_domain::Digest;
use serde::Serialize;

use crate::{
    note::{Checkpoint, NoteRefused, VerifierKey},
    payload::{self, Next, Payload, Payloads},
    reader::read_settled,
    segment::{self, Frames, Step},
    tiles::{self, Tiler},
    tree::{Frontier, Hash, empty_root, leaf_hash},
};

/// What was done to a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Bytes were changed.
    Edit,
    /// Entries or files were taken out.
    Deletion,
    /// Entries or files were put in.
    Insertion,
    /// Entries stand in another order.
    Reordering,
    /// The end was cut off.
    Truncation,
    /// Two signed checkpoints contradict each other.
    Fork,
    /// Signed by another key.
    WrongKey,
    /// A file is missing or cannot be read.
    Unreadable,
}

/// One thing that is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was done.
    pub kind: FindingKind,
    /// In which file, seen from the log's directory.
    pub file: String,
    /// At which entry.
    pub index: Option<u64>,
    /// In words.
    pub detail: String,
}

/// What verifying found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The log's name.
    pub origin: String,
    /// Entries that are covered by checkpoints that hold.
    pub size: u64,
    /// The root over them, hexadecimal.
    pub root: String,
    /// Which of them were deleted when their time was over, as first and last index of each run.
    /// Their hashes hold; whether they could be deleted is what the retention's records say.
    pub expired: Vec<(u64, u64)>,
    /// Payloads that lie beside the log and are what their entries commit to.
    pub payloads: u64,
    /// Payloads that were destroyed.
    pub destroyed: u64,
    /// What is wrong; nothing if empty.
    pub findings: Vec<Finding>,
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Verifies the log in `dir`: against `key`, or, if none is given, against the key that lies
/// beside the log, which proves only that the log is of one piece.
pub fn verify(dir: &Path, key: Option<&VerifierKey>) -> Report {
    verify_witnessed(dir, key, &[])
}

/// The same, and that every checkpoint that somebody else has seen is of this log's history: a log
/// that was rolled back as a whole, its `checkpoint` with it, is of one piece, and only who saw
/// more of it can tell.
pub fn verify_witnessed(dir: &Path, key: Option<&VerifierKey>, witnessed: &[Checkpoint]) -> Report {
    let mut check = Check {
        dir: dir.to_owned(),
        tree: Frontier::default(),
        tiler: Tiler::default(),
        tiles: HashMap::new(),
        expired: Vec::new(),
        payloads: HashMap::new(),
        kept: 0,
        destroyed: 0,
        findings: Vec::new(),
    };
    let beside = check.key_beside();
    let key = match (key, beside) {
        (Some(given), beside) => {
            if let Some(beside) = beside.filter(|beside| beside != given) {
                let detail = format!("the log's key is {beside}, not {given}");
                check.find(FindingKind::WrongKey, "log.pub", None, detail);
            }
            Some(given.clone())
        }
        (None, beside) => beside,
    };
    let Some(key) = key else {
        return check.report(String::new(), (0, empty_root()));
    };
    // The newest checkpoint is read first: what is written while this runs comes behind it.
    let acknowledged = check.newest(&key);
    check.payloads(&key);
    let (size, root, known) = check.segments(&key, acknowledged.as_ref().map_or(0, |c| c.size));
    if let Some(last) = acknowledged {
        check.compare("checkpoint", &last, size, &known);
    }
    if let Some(cosigned) = check.cosigned(&key) {
        check.compare("cosigned", &cosigned, size, &known);
    }
    for seen in witnessed.iter().filter(|seen| seen.origin == *key.origin()) {
        check.compare("what a witness has seen", seen, size, &known);
    }
    check.compare_tiles(size);
    check.compare_payloads(size);
    check.report(key.origin().to_string(), (size, root))
}

struct Check {
    dir: PathBuf,
    tree: Frontier,
    tiler: Tiler,
    tiles: HashMap<PathBuf, Vec<u8>>,
    expired: Vec<(u64, u64)>,
    /// What lies beside the log for each entry, as far as the entry was not met yet.
    payloads: HashMap<u64, Digest>,
    kept: u64,
    destroyed: u64,
    findings: Vec<Finding>,
}

impl Check {
    fn find(&mut self, kind: FindingKind, file: &str, index: Option<u64>, detail: String) {
        self.findings.push(Finding { kind, file: file.to_owned(), index, detail });
    }

    fn report(self, origin: String, (size, root): (u64, Hash)) -> Report {
        Report {
            origin,
            size,
            root: hex::encode(root),
            expired: self.expired,
            payloads: self.kept,
            destroyed: self.destroyed,
            findings: self.findings,
        }
    }

    fn read(&mut self, name: &str) -> Option<String> {
        match read_settled(|| fs::read(self.dir.join(name))) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(text) => Some(text),
                Err(_) => {
                    self.find(FindingKind::Edit, name, None, "is not text".to_owned());
                    None
                }
            },
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                self.find(FindingKind::Deletion, name, None, "is missing".to_owned());
                None
            }
            Err(fault) => {
                self.find(FindingKind::Unreadable, name, None, fault.to_string());
                None
            }
        }
    }

    fn key_beside(&mut self) -> Option<VerifierKey> {
        let text = self.read("log.pub")?;
        let key: Option<VerifierKey> = text.strip_suffix('\n').and_then(|text| text.parse().ok());
        if key.is_none() {
            let detail = "is not the log's public key as it was written".to_owned();
            self.find(FindingKind::Edit, "log.pub", None, detail);
        }
        key
    }

    fn newest(&mut self, key: &VerifierKey) -> Option<Checkpoint> {
        let note = self.read("checkpoint")?;
        match Checkpoint::open(&note, key) {
            Ok(checkpoint) => Some(checkpoint),
            Err(refused) => {
                self.find(kind_of(&refused), "checkpoint", None, refused.to_string());
                None
            }
        }
    }

    /// Walks all segments; gives what is covered by signatures that hold.
    fn segments(
        &mut self,
        key: &VerifierKey,
        acknowledged: u64,
    ) -> (u64, Hash, HashMap<u64, Hash>) {
        let mut known = HashMap::from([(0, empty_root())]);
        let mut covered = (0, empty_root());
        let segments = match segment::list(&self.dir) {
            Ok(segments) => segments,
            Err(fault) => {
                self.find(FindingKind::Unreadable, "segments", None, fault.to_string());
                return (0, empty_root(), known);
            }
        };
        let last = segments.len().saturating_sub(1);
        for (number, (first, path)) in segments.into_iter().enumerate() {
            let file = format!("segments/{first:020}.log");
            if first != self.tree.size() {
                let (kind, what) = if first > self.tree.size() {
                    (FindingKind::Deletion, "entries before it are missing")
                } else {
                    (FindingKind::Insertion, "entries before it are too many")
                };
                self.find(kind, &file, Some(self.tree.size()), what.to_owned());
                return (covered.0, covered.1, known);
            }
            match Frames::open(&path, key.origin(), first) {
                Ok(Some(mut frames)) => {
                    let is_last = number == last;
                    let whole = self.frames(
                        &mut frames,
                        key,
                        &file,
                        is_last,
                        acknowledged,
                        &mut known,
                        &mut covered,
                    );
                    if !whole {
                        return (covered.0, covered.1, known);
                    }
                }
                // Being begun, or cut off by a crash while it was: it never held anything.
                Ok(None) if number == last && covered.0 >= acknowledged && first > 0 => {
                    let cut = fs::metadata(&path)
                        .is_ok_and(|data| data.len() < header_length(key, first));
                    if !cut {
                        self.header(&file, first);
                    }
                }
                Ok(None) => {
                    self.header(&file, first);
                    return (covered.0, covered.1, known);
                }
                Err(fault) => {
                    self.find(FindingKind::Unreadable, &file, Some(first), fault.to_string());
                    return (covered.0, covered.1, known);
                }
            }
        }
        (covered.0, covered.1, known)
    }

    fn header(&mut self, file: &str, first: u64) {
        let detail = "the header is not this segment's".to_owned();
        self.find(FindingKind::Edit, file, Some(first), detail);
    }

    /// Walks the frames of one segment; tells whether it makes sense to go on behind it.
    #[expect(clippy::too_many_arguments, reason = "what the walk over all segments carries along")]
    fn frames(
        &mut self,
        frames: &mut Frames,
        key: &VerifierKey,
        file: &str,
        is_last: bool,
        acknowledged: u64,
        known: &mut HashMap<u64, Hash>,
        covered: &mut (u64, Hash),
    ) -> bool {
        loop {
            let at = self.tree.size();
            match frames.next() {
                Ok(Step::Entry { index, payload }) if index == at => {
                    // What came after this began has its payload after this looked for it.
                    if index < acknowledged {
                        self.committed(file, index, &payload);
                    }
                    self.leaf(leaf_hash(&payload));
                }
                Ok(Step::Expired { index, leaf }) if index == at => {
                    match self.expired.last_mut() {
                        Some((_, last)) if last.checked_add(1) == Some(index) => *last = index,
                        _ => self.expired.push((index, index)),
                    }
                    self.leaf(leaf);
                }
                Ok(Step::Entry { index, .. } | Step::Expired { index, .. }) => {
                    let (kind, what) = if index > at.saturating_add(1) {
                        (FindingKind::Deletion, "entries are missing before entry")
                    } else if index < at {
                        (
                            FindingKind::Insertion,
                            "an entry stands twice, or in a wrong place: entry",
                        )
                    } else {
                        (FindingKind::Reordering, "out of order: entry")
                    };
                    self.find(kind, file, Some(at), format!("{what} {index}"));
                    return false;
                }
                Ok(Step::Checkpoint { size, note }) => {
                    if !self.checkpoint(key, file, size, &note, known) {
                        return false;
                    }
                    *covered = (self.tree.size(), self.tree.root());
                }
                Ok(Step::End) if is_last => return true,
                Ok(Step::End) if covered.0 == at => {
                    let blank = frames.rest_is_blank().unwrap_or(false);
                    if !blank {
                        let detail = "something stands behind the segment's end".to_owned();
                        self.find(FindingKind::Insertion, file, Some(at), detail);
                    }
                    return blank;
                }
                Ok(Step::End) => {
                    let detail = "ends without a checkpoint".to_owned();
                    self.find(FindingKind::Truncation, file, Some(at), detail);
                    return false;
                }
                // Behind what was acknowledged: a crash, or a write that is under way.
                Ok(Step::Torn | Step::Damaged(_))
                    if is_last && covered.0 >= acknowledged && acknowledged > 0 =>
                {
                    return true;
                }
                Ok(Step::Torn) => {
                    let detail = "ends inside a frame".to_owned();
                    self.find(FindingKind::Truncation, file, Some(at), detail);
                    return false;
                }
                Ok(Step::Damaged(what)) => {
                    self.find(FindingKind::Edit, file, Some(at), what.to_owned());
                    return false;
                }
                Err(fault) => {
                    self.find(FindingKind::Unreadable, file, Some(at), fault.to_string());
                    return false;
                }
            }
        }
    }

    fn leaf(&mut self, leaf: Hash) {
        self.tree.push(leaf);
        for tile in self.tiler.push(leaf) {
            let path = tiles::path(Path::new(""), tile.level, tile.index);
            self.tiles.insert(path, tile.hashes.as_flattened().to_vec());
        }
    }

    /// Reads everything that lies beside the log, and checks it by itself.
    fn payloads(&mut self, key: &VerifierKey) {
        let files = match payload::list(&self.dir) {
            Ok(files) => files,
            Err(fault) => {
                self.find(FindingKind::Unreadable, "payloads", None, fault.to_string());
                return;
            }
        };
        let last = files.len().saturating_sub(1);
        for (number, (first, path)) in files.into_iter().enumerate() {
            let file = format!("payloads/{first:020}.log");
            if let Err(fault) = self.payload_file(&path, &file, key, first, number == last) {
                self.find(FindingKind::Unreadable, &file, None, fault.to_string());
            }
        }
    }

    fn payload_file(
        &mut self,
        path: &Path,
        file: &str,
        key: &VerifierKey,
        first: u64,
        is_last: bool,
    ) -> io::Result<()> {
        let Some(mut payloads) = Payloads::open(path, key.origin(), first)? else {
            // A fault while it was begun leaves a part of the header; entries that commit to
            // payloads which are missing are found below.
            if fs::metadata(path)?.len() >= payload::header_length(key.origin(), first) {
                self.header(file, first);
            }
            return Ok(());
        };
        loop {
            let (head, begin) = match payloads.next()? {
                Next::Payload(head, begin) => (head, begin),
                Next::End => return Ok(()),
                // Being written, or cut off by a crash: what entries commit to is looked for below.
                Next::Torn | Next::Damaged if is_last => return Ok(()),
                Next::Torn | Next::Damaged => {
                    let detail = "what stands here is no payload".to_owned();
                    self.find(FindingKind::Edit, file, None, detail);
                    return Ok(());
                }
            };
            let mut payload = payloads.read(&head, begin)?;
            if payload == Payload::Damaged {
                // It may be in the middle of being destroyed.
                std::thread::sleep(Duration::from_millis(50));
                payload = payloads.read(&head, begin)?;
            }
            match payload {
                Payload::Kept(_) => self.kept = self.kept.saturating_add(1),
                Payload::Destroyed => self.destroyed = self.destroyed.saturating_add(1),
                Payload::Damaged => {
                    let detail = "the payload's ciphertext was changed".to_owned();
                    self.find(FindingKind::Edit, file, Some(head.index), detail);
                }
            }
            self.payloads.insert(head.index, head.digest);
        }
    }

    /// Compares what an entry commits to with what lies beside the log.
    fn committed(&mut self, file: &str, index: u64, entry: &[u8]) {
        let there = self.payloads.remove(&index);
        let (kind, detail) = match (payload::commitment(entry), there) {
            (None, None) => return,
            (Some(sealed), Some(digest)) if sealed.digest == digest => return,
            (Some(_), Some(_)) => (FindingKind::Edit, "commits to another payload than there is"),
            (Some(_), None) => (FindingKind::Deletion, "its payload is missing"),
            (None, Some(_)) => (FindingKind::Insertion, "a payload to which it does not commit"),
        };
        self.find(kind, file, Some(index), detail.to_owned());
    }

    /// Payloads of entries that are not there. Those behind the last entry were never
    /// acknowledged; those of entries that were deleted must be destroyed, which is not found here.
    fn compare_payloads(&mut self, size: u64) {
        let expired = |index: u64| {
            let run = self.expired.partition_point(|(_, last)| *last < index);
            self.expired.get(run).is_some_and(|(first, _)| *first <= index)
        };
        let mut strays: Vec<u64> = self
            .payloads
            .keys()
            .filter(|index| **index < size && !expired(**index))
            .copied()
            .collect();
        strays.sort_unstable();
        for index in strays {
            let detail = "no entry belongs to it".to_owned();
            self.find(FindingKind::Insertion, "payloads", Some(index), detail);
        }
    }

    fn checkpoint(
        &mut self,
        key: &VerifierKey,
        file: &str,
        size: u64,
        note: &[u8],
        known: &mut HashMap<u64, Hash>,
    ) -> bool {
        let at = Some(self.tree.size());
        let opened = std::str::from_utf8(note)
            .map_err(|_| NoteRefused::Malformed("not text"))
            .and_then(|note| Checkpoint::open(note, key));
        let found = match opened {
            Ok(found) => found,
            Err(refused) => {
                self.find(kind_of(&refused), file, at, refused.to_string());
                return false;
            }
        };
        let here = self.tree.size();
        if found.size != here || size != here {
            let kind =
                if here < found.size { FindingKind::Deletion } else { FindingKind::Insertion };
            let detail = format!("{here} entries stand before a checkpoint of {}", found.size);
            self.find(kind, file, at, detail);
            return false;
        }
        if found.root != self.tree.root() {
            let detail = format!("the entries before {here} are not those that were signed");
            self.find(FindingKind::Edit, file, at, detail);
            return false;
        }
        known.insert(here, found.root);
        true
    }

    fn cosigned(&mut self, key: &VerifierKey) -> Option<Checkpoint> {
        if !self.dir.join("cosigned").exists() {
            return None;
        }
        let note = self.read("cosigned")?;
        match Checkpoint::open(&note, key) {
            Ok(checkpoint) => Some(checkpoint),
            Err(refused) => {
                self.find(kind_of(&refused), "cosigned", None, refused.to_string());
                None
            }
        }
    }

    /// A signed checkpoint against the entries.
    fn compare(&mut self, file: &str, last: &Checkpoint, size: u64, known: &HashMap<u64, Hash>) {
        if !self.findings.is_empty() && last.size > size {
            // What cut the walk short is named already.
            return;
        }
        if last.size > size {
            let detail =
                format!("{} entries were acknowledged ({file}), {size} are there", last.size);
            self.find(FindingKind::Truncation, "segments", Some(size), detail);
        } else if known.get(&last.size) != Some(&last.root) {
            let detail = "is signed, but of another history than the segments".to_owned();
            self.find(FindingKind::Fork, file, Some(last.size), detail);
        }
    }

    /// Every tile that is there must be what the entries make of it. One that a crash kept from
    /// being written is made at the next start.
    fn compare_tiles(&mut self, size: u64) {
        let mut there = Vec::new();
        if let Err(fault) = files(&self.dir.join("tile"), &mut there) {
            self.find(FindingKind::Unreadable, "tile", None, fault.to_string());
        }
        for path in there {
            let name = path.strip_prefix(&self.dir).unwrap_or(&path).to_owned();
            if name.extension().is_some_and(|new| new == "new") {
                continue;
            }
            let text = name.display().to_string();
            match (fs::read(&path), self.tiles.get(&name)) {
                (Ok(found), Some(expected)) if found == *expected => {}
                (Ok(_), Some(_)) => {
                    let detail = "is not what the entries make of it".to_owned();
                    self.find(FindingKind::Edit, &text, None, detail);
                }
                // Written while this ran, for entries behind those that were walked.
                (Ok(_), None) if self.tree.size() >= size && self.findings.is_empty() => {
                    let detail = "no entries belong to it".to_owned();
                    self.find(FindingKind::Insertion, &text, None, detail);
                }
                (Ok(_), None) => {}
                (Err(fault), _) => {
                    self.find(FindingKind::Unreadable, &text, None, fault.to_string());
                }
            }
        }
    }
}

fn header_length(key: &VerifierKey, first: u64) -> u64 {
    u64::try_from(segment::header(key.origin(), first).len()).unwrap_or(0)
}

pub(crate) fn kind_of(refused: &NoteRefused) -> FindingKind {
    match refused {
        NoteRefused::Malformed(_) | NoteRefused::Signature => FindingKind::Edit,
        NoteRefused::Origin(_) | NoteRefused::Key(_) => FindingKind::WrongKey,
    }
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(fault) => return Err(fault),
    };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            files(&path, found)?;
        } else {
            found.push(path);
        }
    }
    Ok(())
}
