use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use reeve_domain::Origin;
use serde::{Deserialize, Serialize};

use crate::{
    note::{Checkpoint, NoteRefused, VerifierKey},
    tree::{Hash, inclusion_holds, leaf_hash},
};

/// The proof that an entry stands in a log: enough to check it offline with the log's public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptProof {
    /// The log.
    pub origin: Origin,
    /// The entry's place, counted from 0.
    pub index: u64,
    /// Its RFC 6962 hash, hexadecimal.
    pub leaf_hash: String,
    /// The entry itself, base64; may be left out by whoever passes a receipt on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// The size of the tree that the proof is for.
    pub tree_size: u64,
    /// The hashes from the leaf's sibling to the root's child, hexadecimal.
    pub proof: Vec<String>,
    /// The signed checkpoint of that tree.
    pub checkpoint: String,
}

/// A receipt that proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptRefused {
    /// A field cannot be read.
    #[error("the receipt's field `{0}` cannot be read")]
    Malformed(&'static str),
    /// The checkpoint cannot be believed.
    #[error(transparent)]
    Note(#[from] NoteRefused),
    /// The checkpoint is of another tree than the proof.
    #[error("the checkpoint is of {checkpoint} entries, the proof of {proof}")]
    Size {
        /// The checkpoint's size.
        checkpoint: u64,
        /// The proof's.
        proof: u64,
    },
    /// The entry is not the one that was recorded.
    #[error("the entry does not have the receipt's leaf hash")]
    Entry,
    /// The leaf is not in the tree at that place.
    #[error("the proof does not lead from the leaf to the checkpoint's root")]
    Proof,
}

impl ReceiptProof {
    pub(crate) fn new(
        origin: Origin,
        index: u64,
        entry: &[u8],
        tree_size: u64,
        proof: &[Hash],
        checkpoint: String,
    ) -> Self {
        Self {
            origin,
            index,
            leaf_hash: hex::encode(leaf_hash(entry)),
            entry: Some(BASE64.encode(entry)),
            tree_size,
            proof: proof.iter().map(hex::encode).collect(),
            checkpoint,
        }
    }
}

/// Checks a receipt offline: the checkpoint's signature, the entry's hash and the path between.
pub fn verify_receipt(receipt: &ReceiptProof, key: &VerifierKey) -> Result<(), ReceiptRefused> {
    let checkpoint = Checkpoint::open(&receipt.checkpoint, key)?;
    if receipt.origin != checkpoint.origin {
        return Err(NoteRefused::Origin(checkpoint.origin.to_string()).into());
    }
    if receipt.tree_size != checkpoint.size {
        let (checkpoint, proof) = (checkpoint.size, receipt.tree_size);
        return Err(ReceiptRefused::Size { checkpoint, proof });
    }
    let leaf = hash(&receipt.leaf_hash).ok_or(ReceiptRefused::Malformed("leaf_hash"))?;
    if let Some(entry) = &receipt.entry {
        let entry = BASE64.decode(entry).map_err(|_| ReceiptRefused::Malformed("entry"))?;
        if leaf_hash(&entry) != leaf {
            return Err(ReceiptRefused::Entry);
        }
    }
    let proof: Vec<Hash> = receipt
        .proof
        .iter()
        .map(|text| hash(text))
        .collect::<Option<_>>()
        .ok_or(ReceiptRefused::Malformed("proof"))?;
    if inclusion_holds(&leaf, receipt.index, checkpoint.size, &proof, &checkpoint.root) {
        Ok(())
    } else {
        Err(ReceiptRefused::Proof)
    }
}

fn hash(text: &str) -> Option<Hash> {
    let mut hash = Hash::default();
    hex::decode_to_slice(text, &mut hash).ok().map(|()| hash)
}
