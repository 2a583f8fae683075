use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use hmac::{Hmac, Mac as _};
use reeve_domain::{Digest, Entropy, SubjectHash, TenantId};
use sha2::Sha256;
use zeroize::Zeroizing;

/// The installation's secret of 32 bytes. HMAC-SHA-256 under it stands in for whatever must be
/// recognised but not read: API keys, subjects, payloads. Each use has a name of its own, so that
/// equal bytes in two uses do not look equal.
#[derive(Clone)]
pub struct Pepper(Zeroizing<[u8; 32]>);

/// The pepper's file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PepperFile {
    /// It cannot be read or written.
    #[error("the pepper `{path}` cannot be read or written: {fault}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        fault: io::Error,
    },
    /// It does not hold 32 bytes.
    #[error("the pepper `{0}` must hold exactly 32 bytes")]
    Length(PathBuf),
}

impl Pepper {
    /// Takes 32 secret bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Reads the pepper, or makes it if there is none. A file that exists is never replaced:
    /// without its pepper no key of the installation works.
    pub fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Self, PepperFile> {
        let io = |fault| PepperFile::Io { path: path.to_owned(), fault };
        match fs::read(path) {
            Ok(bytes) => {
                let bytes = Zeroizing::new(bytes);
                let bytes: [u8; 32] =
                    bytes.as_slice().try_into().map_err(|_| PepperFile::Length(path.to_owned()))?;
                Ok(Self::new(bytes))
            }
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                let mut bytes = [0_u8; 32];
                entropy.fill(&mut bytes);
                let mut file = fs::OpenOptions::new()
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .open(path)
                    .map_err(io)?;
                file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io)?;
                Ok(Self::new(bytes))
            }
            Err(fault) => Err(io(fault)),
        }
    }

    /// What is stored of an API key.
    pub fn hash(&self, secret: &str) -> Digest {
        Digest::from_bytes(self.mac(b"api-key", &[secret.as_bytes()]))
    }

    /// What stands for a data subject, or for the subject of a token.
    pub fn subject(&self, id: &str) -> SubjectHash {
        let text = hex::encode(self.mac(b"subject", &[id.as_bytes()]));
        SubjectHash::new(text).unwrap_or_else(|_| unreachable_hash())
    }

    /// What stands for the texts of a call: the same for the same texts in the same order.
    pub fn payload(&self, texts: &[&[u8]]) -> Digest {
        Digest::from_bytes(self.mac(b"payload", texts))
    }

    /// The key of a tenant's pseudonyms.
    pub fn pseudonym_key(&self, tenant: &TenantId) -> [u8; 32] {
        self.mac(b"pseudonym", &[tenant.as_str().as_bytes()])
    }

    fn mac(&self, purpose: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        // A key of any length is accepted.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(self.0.as_slice()) else {
            return [0; 32];
        };
        for part in [purpose].iter().chain(parts) {
            // The length first, so that no two lists of parts look the same.
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

#[expect(clippy::unreachable, reason = "64 hexadecimal digits are always a subject hash")]
fn unreachable_hash() -> SubjectHash {
    unreachable!("64 hexadecimal digits are a subject hash")
}

#[cfg(test)]
mod tests {
    use reeve_domain::SeededEntropy;

    use super::*;

    #[test]
    fn each_use_has_hashes_of_its_own() {
        let pepper = Pepper::new([7; 32]);
        assert_ne!(pepper.hash("a"), Pepper::new([8; 32]).hash("a"));
        assert_ne!(pepper.hash("a"), pepper.payload(&[b"a"]));
        assert_ne!(pepper.payload(&[b"ab", b"c"]), pepper.payload(&[b"a", b"bc"]));
        assert_eq!(pepper.subject("x"), pepper.subject("x"));
        assert_eq!(pepper.subject("x").as_str().len(), 64);
    }

    #[test]
    fn the_file_is_made_once_and_then_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pepper");
        let made = Pepper::load_or_create(&path, &SeededEntropy::new(1)).unwrap();
        let read = Pepper::load_or_create(&path, &SeededEntropy::new(2)).unwrap();
        assert_eq!(made.hash("a"), read.hash("a"));
        fs::write(&path, b"short").unwrap();
        assert!(matches!(
            Pepper::load_or_create(&path, &SeededEntropy::new(1)),
            Err(PepperFile::Length(_))
        ));
    }
}
