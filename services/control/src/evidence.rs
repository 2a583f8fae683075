use std::{future::Future, pin::Pin};

use reeve_domain::Origin;

/// The log cannot take a record now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the log cannot take a record now")]
pub struct LogUnavailable;

/// An append under way.
pub type Appending<'a> = Pin<Box<dyn Future<Output = Result<(), LogUnavailable>> + Send + 'a>>;

/// Where the control plane records what is done to the platform. The append resolves when the
/// record is durable.
pub trait ControlLog: Send + Sync {
    /// Appends one record, as JSON.
    fn append(&self, entry: Vec<u8>) -> Appending<'_>;
}

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

/// The logs on disk, for proofs and verification. All calls block; `None` if there is no such log
/// or it cannot be read.
pub trait LogFiles: Send + Sync {
    /// Leaves and root of the newest checkpoint.
    fn head(&self, origin: &Origin) -> Option<(u64, [u8; 32])>;
    /// Proves that the leaf stands in the log, under a checkpoint that `key` signed.
    fn prove(
        &self,
        origin: &Origin,
        index: u64,
        leaf_hash: &[u8; 32],
        key: Option<&LogKey>,
    ) -> Option<Inclusion>;
    /// Reads the whole log and checks every byte of it, and that `key` signed it.
    fn verify(&self, origin: &Origin, key: Option<&LogKey>) -> Option<Verified>;
}
