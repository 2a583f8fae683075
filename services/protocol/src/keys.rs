//! Ed25519 key files: PKCS#8 and SubjectPublicKeyInfo as PEM (RFC 8410).

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use ed25519_dalek::{
    SigningKey, VerifyingKey,
    pkcs8::{
        DecodePrivateKey as _, DecodePublicKey as _, EncodePrivateKey as _, EncodePublicKey as _,
        spki::der::pem::LineEnding,
    },
};
use reeve_domain::Entropy;
use zeroize::Zeroizing;

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyFile {
    /// It cannot be read or written.
    #[error("the key file `{path}` cannot be used: {fault}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        fault: io::Error,
    },
    /// It is not a key.
    #[error("`{path}` is not an Ed25519 key as PEM ({expected})")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What would be right.
        expected: &'static str,
    },
}

/// Makes a key pair: the private half readable by its owner alone.
pub fn write_key_pair(
    private: &Path,
    public: &Path,
    entropy: &dyn Entropy,
) -> Result<SigningKey, KeyFile> {
    let mut seed = Zeroizing::new([0_u8; 32]);
    entropy.fill(seed.as_mut_slice());
    let key = SigningKey::from_bytes(&seed);
    let malformed =
        |path: &Path| KeyFile::Malformed { path: path.to_owned(), expected: "encodable" };
    let secret = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| malformed(private))?;
    write(private, secret.as_bytes(), 0o600)?;
    let open =
        key.verifying_key().to_public_key_pem(LineEnding::LF).map_err(|_| malformed(public))?;
    write(public, open.as_bytes(), 0o644)?;
    Ok(key)
}

/// Reads a private key.
pub fn read_signing_key(path: &Path) -> Result<SigningKey, KeyFile> {
    let text = Zeroizing::new(read(path)?);
    SigningKey::from_pkcs8_pem(&text)
        .map_err(|_| KeyFile::Malformed { path: path.to_owned(), expected: "PKCS#8" })
}

/// Reads a public key.
pub fn read_verifying_key(path: &Path) -> Result<VerifyingKey, KeyFile> {
    VerifyingKey::from_public_key_pem(&read(path)?)
        .map_err(|_| KeyFile::Malformed { path: path.to_owned(), expected: "SubjectPublicKeyInfo" })
}

fn read(path: &Path) -> Result<String, KeyFile> {
    fs::read_to_string(path).map_err(|fault| KeyFile::Io { path: path.to_owned(), fault })
}

fn write(path: &Path, bytes: &[u8], mode: u32) -> Result<(), KeyFile> {
    fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(|fault| KeyFile::Io { path: path.to_owned(), fault })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use reeve_domain::SeededEntropy;

    use super::*;

    #[test]
    fn a_pair_is_written_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = (dir.path().join("a.key"), dir.path().join("a.pub"));
        let key = write_key_pair(&private, &public, &SeededEntropy::new(1)).unwrap();
        assert_eq!(read_signing_key(&private).unwrap().to_bytes(), key.to_bytes());
        assert_eq!(read_verifying_key(&public).unwrap(), key.verifying_key());
        assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(read_signing_key(&public), Err(KeyFile::Malformed { .. })));
        assert!(matches!(read_verifying_key(&dir.path().join("no")), Err(KeyFile::Io { .. })));
    }
}
