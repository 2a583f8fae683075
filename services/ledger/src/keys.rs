use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use ed25519_dalek::{
    SigningKey,
    pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, spki::der::pem::LineEnding},
};
use reeve_domain::Entropy;
use zeroize::Zeroizing;

/// A log's signing key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyUnusable {
    /// The file cannot be read or written.
    #[error("the log's key `{path}` cannot be read or written: {fault}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        fault: io::Error,
    },
    /// It is no key.
    #[error("the log's key `{0}` is not an Ed25519 key as PKCS#8 PEM")]
    Malformed(PathBuf),
}

/// Reads a log's signing key, or makes it if there is none. A key that exists is never replaced.
pub fn load_or_create_key(path: &Path, entropy: &dyn Entropy) -> Result<SigningKey, KeyUnusable> {
    let io = |fault| KeyUnusable::Io { path: path.to_owned(), fault };
    let malformed = || KeyUnusable::Malformed(path.to_owned());
    match fs::read_to_string(path) {
        Ok(text) => SigningKey::from_pkcs8_pem(&Zeroizing::new(text)).map_err(|_| malformed()),
        Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
            let mut seed = Zeroizing::new([0_u8; 32]);
            entropy.fill(seed.as_mut_slice());
            let key = SigningKey::from_bytes(&seed);
            let text = key.to_pkcs8_pem(LineEnding::LF).map_err(|_| malformed())?;
            let mut file = fs::OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)
                .map_err(io)?;
            file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
            Ok(key)
        }
        Err(fault) => Err(io(fault)),
    }
}
