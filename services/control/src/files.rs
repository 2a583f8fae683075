use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::{Path, PathBuf},
};

use reeve_domain::{Digest, Origin, TenantId};
use reeve_ledger::{
    Checkpoint, Destroyed, Expiry, Reader, VerifierKey, destroy_key, destroy_payloads, expire,
    inclusion_holds, kept_payloads, plan_expiry, seen_by_witness, verify_witnessed,
};

/// A leaf of a log that was proved to stand in it.
#[derive(Clone, Debug)]
pub struct Inclusion {
    /// Leaves of the tree that the proof is for.
    pub tree_size: u64,
    /// The tree's root hash.
    pub root: [u8; 32],
    /// The proof (RFC 6962, section 2.1.1).
    pub proof: Vec<[u8; 32]>,
    /// Whether leaf and proof give the root, and the log's key signed it.
    pub verified: bool,
}

/// Something that is wrong with a log.
#[derive(Clone, Debug)]
pub struct LogFault {
    /// What it is: `edit`, `truncation`, …
    pub kind: String,
    /// The file.
    pub file: String,
    /// The first leaf concerned.
    pub index: Option<u64>,
    /// For people.
    pub detail: String,
}

/// What the verification of a log found.
#[derive(Clone, Debug)]
pub struct Verified {
    /// Leaves that the log holds.
    pub size: u64,
    /// The root over them.
    pub root: Option<[u8; 32]>,
    /// What is wrong; empty if nothing.
    pub faults: Vec<LogFault>,
}

/// The public key that a log is registered with, as a C2SP verifier key. Where none is registered,
/// the key beside the log is believed, which only proves that the log is of one piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogKey(pub String);

/// The logs in directories of this machine. All calls block.
#[derive(Clone, Debug)]
pub struct LogDirs {
    /// Where each log is.
    pub dirs: BTreeMap<Origin, PathBuf>,
    /// Where this installation's witness keeps what it has seen of them.
    pub witness: PathBuf,
}

impl LogDirs {
    /// Leaves and root of the newest checkpoint; `None` if there is no such log or it cannot be
    /// read, here and below.
    pub fn head(&self, origin: &Origin) -> Option<(u64, [u8; 32])> {
        let newest = self.reader(origin)?.newest().ok()?;
        Some((newest.size, newest.root))
    }

    /// Proves that the leaf stands in the log, under a checkpoint that `key` signed.
    pub fn prove(
        &self,
        origin: &Origin,
        index: u64,
        leaf_hash: &[u8; 32],
        key: Option<&LogKey>,
    ) -> Option<Inclusion> {
        let reader = self.reader(origin)?;
        let signed = key.and_then(|key| {
            let key: VerifierKey = key.0.parse().ok()?;
            Checkpoint::open(&reader.checkpoint().ok()?, &key).ok()
        });
        let trusted = signed.is_some() || key.is_none();
        let newest = signed.map_or_else(|| reader.newest().ok(), Some)?;
        let proof = reader.inclusion_proof(index, newest.size).ok()?;
        let verified =
            trusted && inclusion_holds(leaf_hash, index, newest.size, &proof, &newest.root);
        Some(Inclusion { tree_size: newest.size, root: newest.root, proof, verified })
    }

    /// Reads the whole log and checks every byte of it, that `key` signed it, and that it is the
    /// log that the witness has seen.
    pub fn verify(&self, origin: &Origin, key: Option<&LogKey>) -> Option<Verified> {
        let dir = self.dirs.get(origin)?;
        let parsed = key.map(|key| key.0.parse::<VerifierKey>());
        let unusable = matches!(parsed, Some(Err(_))).then(|| LogFault {
            kind: "wrong-key".to_owned(),
            file: String::new(),
            index: None,
            detail: "the key that is registered for the log cannot be read".to_owned(),
        });
        let parsed = parsed.and_then(Result::ok);
        let seen = self.witnessed(origin);
        let report = verify_witnessed(dir, parsed.as_ref(), seen.as_slice());
        let found = report.findings.into_iter().map(|finding| LogFault {
            kind: serde_json::to_value(finding.kind)
                .ok()
                .and_then(|kind| kind.as_str().map(str::to_owned))
                .unwrap_or_default(),
            file: finding.file,
            index: finding.index,
            detail: finding.detail,
        });
        let faults = unusable.into_iter().chain(found).collect();
        Some(Verified { size: report.size, root: self.head(origin).map(|(_, root)| root), faults })
    }

    /// The largest checkpoint that the witness has cosigned.
    pub fn witnessed(&self, origin: &Origin) -> Option<Checkpoint> {
        seen_by_witness(&self.witness, origin)
    }

    /// Destroys keys, and every payload that they would open, in all logs. What it did for each
    /// key: how many keys there were, and which payloads.
    pub fn erase(
        &self,
        keys: &[(TenantId, Digest)],
    ) -> io::Result<BTreeMap<Digest, (u64, Destroyed)>> {
        let mut done: BTreeMap<Digest, (u64, Destroyed)> =
            keys.iter().map(|(_, name)| (*name, Default::default())).collect();
        for (origin, dir) in &self.dirs {
            if !dir.is_dir() {
                continue;
            }
            for (tenant, name) in keys {
                if destroy_key(dir, tenant, name)?
                    && let Some(done) = done.get_mut(name)
                {
                    done.0 = done.0.saturating_add(1);
                }
            }
            for (name, destroyed) in
                destroy_payloads(dir, origin, &mut |head| done.contains_key(&head.key))?
            {
                if let Some((_, sum)) = done.get_mut(&name) {
                    sum.payloads = sum.payloads.saturating_add(destroyed.payloads);
                    sum.bytes = sum.bytes.saturating_add(destroyed.bytes);
                }
            }
        }
        Ok(done)
    }

    /// Asks about every entry of a log whether it is to be deleted.
    pub fn plan(
        &self,
        origin: &Origin,
        which: &mut dyn FnMut(u64, &[u8]) -> bool,
    ) -> io::Result<Vec<Expiry>> {
        match self.dirs.get(origin).filter(|dir| dir.is_dir()) {
            Some(dir) => plan_expiry(dir, origin, which),
            None => Ok(Vec::new()),
        }
    }

    /// Deletes what was planned for one segment.
    pub fn expire(&self, origin: &Origin, plan: &Expiry) -> io::Result<()> {
        expire(self.dir(origin)?, origin, plan)
    }

    /// Destroys the payloads of these entries; gives how many were still there.
    pub fn destroy(&self, origin: &Origin, entries: &BTreeSet<u64>) -> io::Result<u64> {
        let dir = self.dir(origin)?;
        let done = destroy_payloads(dir, origin, &mut |head| entries.contains(&head.index))?;
        Ok(done.values().map(|destroyed| destroyed.payloads).sum())
    }

    /// The entries of a log whose payloads are still there.
    pub fn kept_payloads(&self, origin: &Origin) -> io::Result<BTreeSet<u64>> {
        match self.dirs.get(origin).filter(|dir| dir.is_dir()) {
            Some(dir) => kept_payloads(dir, origin),
            None => Ok(BTreeSet::new()),
        }
    }

    fn dir(&self, origin: &Origin) -> io::Result<&Path> {
        let none = || io::Error::other(format!("there is no log `{origin}` here"));
        self.dirs.get(origin).map(PathBuf::as_path).ok_or_else(none)
    }

    /// The log's reader, if it can be read.
    pub fn reader(&self, origin: &Origin) -> Option<Reader> {
        Reader::open(self.dirs.get(origin)?).ok()
    }
}
