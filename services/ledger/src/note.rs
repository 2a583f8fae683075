//! Checkpoints (C2SP tlog-checkpoint) as signed notes (C2SP signed-note) with Ed25519.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use reeve_domain::Origin;
use sha2::{Digest as _, Sha256};

use crate::tree::Hash;

/// The signature type of Ed25519 in signed notes.
const ED25519: u8 = 1;

/// A note that cannot be believed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteRefused {
    /// It has not the form of a signed checkpoint.
    #[error("not a signed checkpoint: {0}")]
    Malformed(&'static str),
    /// It is about another log.
    #[error("the checkpoint is of the log `{0}`")]
    Origin(String),
    /// It bears no signature by the key.
    #[error("the checkpoint is not signed by the key {0}")]
    Key(String),
    /// It bears one that does not hold.
    #[error("the checkpoint's signature does not hold")]
    Signature,
}

/// A log's public key with the log's name, written as a C2SP vkey: `name+hash+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: Origin,
    key: VerifyingKey,
}

impl VerifierKey {
    /// The key of the log `name`.
    pub fn new(name: Origin, key: VerifyingKey) -> Self {
        Self { name, key }
    }

    /// The log's name.
    pub fn origin(&self) -> &Origin {
        &self.name
    }

    /// The key's identifier: the first four bytes of a hash over name and key.
    fn id(&self) -> [u8; 4] {
        let hash: Hash = Sha256::new()
            .chain_update(self.name.as_str())
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize()
            .into();
        let [a, b, c, d, ..] = hash;
        [a, b, c, d]
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![ED25519];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), BASE64.encode(key))
    }
}

impl FromStr for VerifierKey {
    type Err = NoteRefused;

    fn from_str(text: &str) -> Result<Self, NoteRefused> {
        const FORM: NoteRefused =
            NoteRefused::Malformed("a key is written `name+hash+key`, as in `log.pub`");
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(FORM);
        };
        let key = BASE64.decode(key).map_err(|_| FORM)?;
        let (ED25519, key) = key.split_first().map(|(kind, key)| (*kind, key)).ok_or(FORM)? else {
            return Err(NoteRefused::Malformed("the key is not an Ed25519 key"));
        };
        let key = key.try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
        let name = Origin::new(name).map_err(|_| FORM)?;
        let this = Self { name, key: key.ok_or(FORM)? };
        if hex::encode(this.id()) == id { Ok(this) } else { Err(FORM) }
    }
}

/// What a log commits to: its size and its root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log's name.
    pub origin: Origin,
    /// How many entries.
    pub size: u64,
    /// The root of the tree over them.
    pub root: Hash,
}

/// The text that is signed.
impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }
}

impl Checkpoint {
    /// The checkpoint as a note, signed with the log's key.
    pub(crate) fn sign(&self, key: &SigningKey) -> String {
        let body = self.to_string();
        let mut signed = VerifierKey::new(self.origin.clone(), key.verifying_key()).id().to_vec();
        signed.extend_from_slice(&key.sign(body.as_bytes()).to_bytes());
        format!("{body}\n\u{2014} {} {}\n", self.origin, BASE64.encode(signed))
    }

    /// Reads a note without believing it. The bytes must be exactly what signing would write, but
    /// for further signatures behind the first.
    pub(crate) fn read(note: &str) -> Result<(Self, &str), NoteRefused> {
        let (body, signatures) =
            note.split_once("\n\n").ok_or(NoteRefused::Malformed("no signature"))?;
        let mut lines = body.split('\n');
        let mut line = || lines.next().ok_or(NoteRefused::Malformed("too few lines"));
        let origin =
            Origin::new(line()?).map_err(|_| NoteRefused::Malformed("the origin is no name"))?;
        let number = line()?;
        let size: u64 =
            number.parse().map_err(|_| NoteRefused::Malformed("the size is no number"))?;
        let root = BASE64
            .decode(line()?)
            .ok()
            .and_then(|root| root.try_into().ok())
            .ok_or(NoteRefused::Malformed("the root is no hash"))?;
        if lines.next().is_some() || number != size.to_string() || !signatures.ends_with('\n') {
            return Err(NoteRefused::Malformed("lines that do not belong there"));
        }
        Ok((Self { origin, size, root }, signatures))
    }

    /// Reads a note and verifies that the log's key signed it.
    pub fn open(note: &str, key: &VerifierKey) -> Result<Self, NoteRefused> {
        let (this, signatures) = Self::read(note)?;
        if this.origin != key.name {
            return Err(NoteRefused::Origin(this.origin.to_string()));
        }
        for line in signatures.lines() {
            let form = NoteRefused::Malformed("a signature line");
            let rest = line.strip_prefix("\u{2014} ").ok_or(form.clone())?;
            let (name, signed) = rest.split_once(' ').ok_or(form.clone())?;
            let signed = BASE64.decode(signed).map_err(|_| form.clone())?;
            let (id, signature) = signed.split_at_checked(4).ok_or(form)?;
            if name != key.name.as_str() || id != key.id() {
                continue;
            }
            let signature = Signature::from_slice(signature).map_err(|_| NoteRefused::Signature)?;
            return key
                .key
                .verify_strict(this.to_string().as_bytes(), &signature)
                .map(|()| this)
                .map_err(|_| NoteRefused::Signature);
        }
        Err(NoteRefused::Key(key.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> SigningKey {
        SigningKey::from_bytes(&[3; 32])
    }

    fn checkpoint() -> Checkpoint {
        Checkpoint { origin: Origin::new("reeve.local/a").unwrap(), size: 7, root: [9; 32] }
    }

    #[test]
    fn a_note_round_trips_and_no_byte_of_it_can_be_changed() {
        let verifier = VerifierKey::new(checkpoint().origin, key().verifying_key());
        let note = checkpoint().sign(&key());
        assert_eq!(Checkpoint::open(&note, &verifier).unwrap(), checkpoint());
        for place in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[place] ^= 1;
            let changed = String::from_utf8_lossy(&bytes).into_owned();
            assert!(Checkpoint::open(&changed, &verifier).is_err(), "at {place}");
            let mut removed = note.clone().into_bytes();
            removed.remove(place);
            let removed = String::from_utf8_lossy(&removed).into_owned();
            assert!(Checkpoint::open(&removed, &verifier).is_err(), "without {place}");
        }
    }

    #[test]
    fn another_key_is_named() {
        let other = SigningKey::from_bytes(&[4; 32]);
        let verifier = VerifierKey::new(checkpoint().origin, other.verifying_key());
        assert!(matches!(
            Checkpoint::open(&checkpoint().sign(&key()), &verifier),
            Err(NoteRefused::Key(_))
        ));
    }

    #[test]
    fn vkeys_round_trip() {
        let verifier = VerifierKey::new(checkpoint().origin, key().verifying_key());
        let text = verifier.to_string();
        assert_eq!(text.parse::<VerifierKey>().unwrap(), verifier);
        for place in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_ne!(changed.parse::<VerifierKey>().ok(), Some(verifier.clone()));
        }
    }
}
