//! An append-only log that nobody can quietly change: every batch of entries is made durable with
//! one `fsync` and one signed checkpoint before anybody who waited for it is told so.
//!
//! Knows bytes, hashes and files. Of what an entry means it knows one thing: that it may commit to a
//! payload that lies beside the log.
//!
//! # Formats
//!
//! Hashing and proofs are RFC 6962's. Checkpoints are C2SP tlog-checkpoints, signed notes with an
//! Ed25519 signature; the public key is kept beside the log as a C2SP vkey. Full tiles of hashes are
//! kept as C2SP tlog-tiles; they are derived from the entries and made again when they are missing.
//! [`Reader::resources`] makes all the files of a published tlog-tiles log. [`Witness`] cosigns as
//! C2SP tlog-witness and tlog-cosignature want it.
//!
//! ```text
//! DIR/lock                            held by the one writer
//! DIR/log.pub                         the log's public key as a vkey
//! DIR/checkpoint                      the newest checkpoint: written after the fsync, before the answer
//! DIR/cosigned                        the newest checkpoint that witnesses cosigned
//! DIR/segments/<first index>.log      frames: entries, and behind each batch its checkpoint
//! DIR/segments/spare                  zeros: the next segment of a log that is written fast
//! DIR/tile/<level>/<index>            256 hashes each
//! DIR/payloads/<first index>.log      sealed payloads of the entries of that segment
//! DIR/keyring/<tenant>/<name>         their keys, wrapped
//! ```
//!
//! # What holds after a crash
//!
//! An entry is committed when a signed checkpoint that covers it stands behind it in its segment.
//! What stands behind the last such checkpoint was never acknowledged; the next open cuts it off.
//! Zeros may stand there, written ahead. A log that is shorter than its `checkpoint` file says lost
//! something that was acknowledged: it is not opened. A payload is durable before the entry that
//! commits to it.
//!
//! # What holds after a failed write
//!
//! A write or `fsync` that failed is never tried again: its batch is refused, the log is
//! unavailable, and a few times a second it is tried to cut the segment back to what is committed
//! and to begin a new one. Entries of the failed batch are not in the log, unless the failure came
//! after the disk had them all, in which case they are found, committed, after a restart; their
//! callers were told that they are not, which is the safe side.
//!
//! # What holds after a deletion
//!
//! Entries whose time is over are replaced by their hashes, segment by segment ([`expire`]); the
//! ciphertext of an erased payload is overwritten where it lies ([`destroy_payloads`]), and its key
//! before it ([`destroy_key`]). No root, no proof and no receipt changes by it.

mod append;
mod bundle;
mod cipher;
mod expire;
mod frame;
mod kek;
mod keyring;
mod keys;
mod note;
mod payload;
mod publish;
mod range;
mod reader;
mod receipt;
mod segment;
mod tiles;
mod tree;
mod verify;
mod witness;

pub use append::{AppendError, Ledger, OpenError, Options, Receipt, Recovery, SEGMENT_BYTES};
pub use bundle::{BundleFailed, BundleReport, BundleWriter, Manifest, verify_bundle};
pub use expire::{Expiry, expire, expired, plan_expiry, segment_files};
pub use kek::{KekFile, KekProgram, KekUnusable, KeyEncryption, Wrapped};
pub use keyring::{Keyring, KeyringFailed, destroy_key, key_name};
pub use keys::{KeyUnusable, load_or_create_key};
pub use note::{Checkpoint, NoteRefused, VerifierKey};
pub use payload::{
    Destroyed, Payload, PayloadHead, SealedPayload, destroy_payloads, kept_payloads, read_payload,
};
pub use publish::Resource;
pub use range::verify_range;
pub use reader::{ReadFailed, Reader};
pub use receipt::{ReceiptProof, ReceiptRefused, verify_receipt};
pub use tree::{Hash, consistency_holds, inclusion_holds, leaf_hash};
pub use verify::{Finding, FindingKind, Report, verify, verify_witnessed};
pub use witness::{Witness, WitnessKey, WitnessRefused, seen_by_witness};
