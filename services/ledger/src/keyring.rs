//! The keys of sealed payloads: one for each tenant and subject, wrapped by a key-encryption key.
//!
//! ```text
//! DIR/keyring/<tenant>/<hexadecimal name>    {"kek":"…","wrapped":"…"}
//! DIR/keyring/lock                           held while keys are made, wrapped anew or destroyed
//! ```
//! A key is destroyed by overwriting its file where it lies, and then removing it. Payloads are
//! encrypted with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) with the nonce in front.

use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use parking_lot::Mutex;
use reeve_domain::{Digest, Entropy, SubjectHash, TenantId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::{
    cipher,
    kek::{KekUnusable, KeyEncryption, Wrapped},
    payload::SealedPayload,
    segment::FileId,
};

/// A key cannot be made, read or destroyed.
#[derive(Debug, thiserror::Error)]
pub enum KeyringFailed {
    /// A file cannot be read or written.
    #[error("the keyring in `{dir}` cannot be read or written: {fault}")]
    Io {
        /// The keyring's directory.
        dir: PathBuf,
        /// What the system said.
        fault: io::Error,
    },
    /// The key-encryption key cannot be used.
    #[error(transparent)]
    Kek(#[from] KekUnusable),
    /// There is no such key: it was destroyed, or never made here.
    #[error("the key {0} is not there: it was destroyed, or is another installation's")]
    NoKey(Digest),
    /// A key's file is not what was written.
    #[error("the key {0} cannot be read")]
    Malformed(Digest),
    /// A ciphertext was not made with this key for this place.
    #[error("the payload cannot be opened with its key")]
    Ciphertext,
}

/// Which key: the name stands in records and tells nothing but sameness.
pub fn key_name(tenant: &TenantId, subject: Option<&SubjectHash>) -> Digest {
    let hash = Sha256::new()
        .chain_update(b"reeve payload key\n")
        .chain_update(tenant.as_str())
        .chain_update(b"\n")
        .chain_update(subject.map(SubjectHash::as_str).unwrap_or_default());
    Digest::from_bytes(hash.finalize().into())
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    kek: String,
    wrapped: String,
}

type Key = Zeroizing<[u8; 32]>;

/// Keys that were unwrapped and are remembered at most.
const REMEMBERED: usize = 10_000;

/// The keys of the payloads beside one log. Several processes can use it at once.
pub struct Keyring {
    dir: PathBuf,
    kek: Arc<dyn KeyEncryption>,
    entropy: Arc<dyn Entropy>,
    known: Mutex<HashMap<Digest, (FileId, Key)>>,
}

impl Keyring {
    /// The keyring of the log in `log`.
    pub fn new(log: &Path, kek: Arc<dyn KeyEncryption>, entropy: Arc<dyn Entropy>) -> Self {
        Self { dir: log.join("keyring"), kek, entropy, known: Mutex::default() }
    }

    /// Encrypts a payload under the key of tenant and subject, which is made if there is none, for
    /// one place: `context` must be given again to open it. Blocks.
    pub fn seal(
        &self,
        tenant: &TenantId,
        subject: Option<&SubjectHash>,
        context: &str,
        plaintext: &[u8],
    ) -> Result<SealedPayload, KeyringFailed> {
        let name = key_name(tenant, subject);
        let key = match self.key(tenant, &name) {
            Err(KeyringFailed::NoKey(_)) => self.make(tenant, &name)?,
            found => found?,
        };
        let ciphertext = cipher::encrypt(&key, &*self.entropy, context.as_bytes(), plaintext)
            .ok_or(KeyringFailed::Ciphertext)?;
        Ok(SealedPayload { key: name, ciphertext })
    }

    /// Decrypts a payload that was sealed for `context`.
    pub fn open(
        &self,
        tenant: &TenantId,
        context: &str,
        payload: &SealedPayload,
    ) -> Result<Zeroizing<Vec<u8>>, KeyringFailed> {
        let key = self.key(tenant, &payload.key)?;
        cipher::decrypt(&key, context.as_bytes(), &payload.ciphertext)
            .ok_or(KeyringFailed::Ciphertext)
    }

    /// The key, as long as its file is there.
    fn key(&self, tenant: &TenantId, name: &Digest) -> Result<Key, KeyringFailed> {
        let path = self.path(tenant, name);
        let data = match fs::metadata(&path) {
            Ok(data) => data,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {
                self.known.lock().remove(name);
                return Err(KeyringFailed::NoKey(*name));
            }
            Err(fault) => return Err(self.io(fault)),
        };
        let file = FileId::of(&data);
        if let Some((known, key)) = self.known.lock().get(name)
            && *known == file
        {
            return Ok(key.clone());
        }
        let key = self.read(&path, name)?;
        self.remember(*name, file, &key);
        Ok(key)
    }

    fn read(&self, path: &Path, name: &Digest) -> Result<Key, KeyringFailed> {
        let text = fs::read_to_string(path).map_err(|fault| self.io(fault))?;
        let malformed = || KeyringFailed::Malformed(*name);
        let file: KeyFile = serde_json::from_str(&text).map_err(|_| malformed())?;
        let bytes = BASE64.decode(file.wrapped).map_err(|_| malformed())?;
        let wrapped = Wrapped { kek: file.kek, bytes };
        Ok(self.kek.unwrap(&wrapped, name.to_string().as_bytes())?)
    }

    fn make(&self, tenant: &TenantId, name: &Digest) -> Result<Key, KeyringFailed> {
        let path = self.path(tenant, name);
        let parent = self.dir.join(tenant.as_str());
        if !parent.is_dir() {
            fs::create_dir_all(&parent).map_err(|fault| self.io(fault))?;
            for dir in [self.dir.parent(), Some(self.dir.as_path())].into_iter().flatten() {
                sync_dir(dir).map_err(|fault| self.io(fault))?;
            }
        }
        let _lock = self.lock()?;
        if path.exists() {
            // Another process was faster.
            return self.read(&path, name);
        }
        let mut key = Key::default();
        self.entropy.fill(key.as_mut_slice());
        self.put(&path, &parent, name, &key)?;
        let data = fs::metadata(&path).map_err(|fault| self.io(fault))?;
        self.remember(*name, FileId::of(&data), &key);
        Ok(key)
    }

    /// Puts a wrapped key in its place in a single step, and makes that durable.
    fn put(
        &self,
        path: &Path,
        parent: &Path,
        name: &Digest,
        key: &Key,
    ) -> Result<(), KeyringFailed> {
        let Wrapped { kek, bytes } = self.kek.wrap(key, name.to_string().as_bytes())?;
        let text = serde_json::to_string(&KeyFile { kek, wrapped: BASE64.encode(bytes) })
            .map_err(|_| KeyringFailed::Malformed(*name))?;
        let write = || -> io::Result<()> {
            let new = path.with_extension("new");
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, path)?;
            sync_dir(parent)
        };
        write().map_err(|fault| self.io(fault))
    }

    fn remember(&self, name: Digest, file: FileId, key: &Key) {
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(name, (file, key.clone()));
    }

    /// Wraps every key anew that is not wrapped by the newest key-encryption key, and gives how
    /// many. No payload is touched.
    pub fn rewrap(&self) -> Result<u64, KeyringFailed> {
        let (mut done, current) = (0_u64, self.kek.current()?);
        for (path, name) in self.files()? {
            // One at a time: calls that need a new key wait for one file and not for all.
            let _lock = self.lock()?;
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let file: KeyFile =
                serde_json::from_str(&text).map_err(|_| KeyringFailed::Malformed(name))?;
            if file.kek == current {
                continue;
            }
            let key = self.read(&path, &name)?;
            let old = OpenOptions::new().write(true).open(&path).map_err(|fault| self.io(fault))?;
            let parent = path.parent().unwrap_or(&self.dir);
            self.put(&path, parent, &name, &key)?;
            zero(&old).map_err(|fault| self.io(fault))?;
            done = done.saturating_add(1);
        }
        Ok(done)
    }

    /// How many keys there are for each key-encryption key.
    pub fn count(&self) -> Result<HashMap<String, u64>, KeyringFailed> {
        let mut counts: HashMap<String, u64> = HashMap::new();
        for (path, name) in self.files()? {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let file: KeyFile =
                serde_json::from_str(&text).map_err(|_| KeyringFailed::Malformed(name))?;
            let count = counts.entry(file.kek).or_default();
            *count = count.saturating_add(1);
        }
        Ok(counts)
    }

    fn files(&self) -> Result<Vec<(PathBuf, Digest)>, KeyringFailed> {
        let mut files = Vec::new();
        let list = |files: &mut Vec<(PathBuf, Digest)>| -> io::Result<()> {
            if !self.dir.is_dir() {
                return Ok(());
            }
            for tenant in self.dir.read_dir()? {
                let tenant = tenant?.path();
                if !tenant.is_dir() {
                    continue;
                }
                for key in tenant.read_dir()? {
                    let path = key?.path();
                    let name = path.file_name().and_then(|name| name.to_str());
                    let name = name.and_then(|name| format!("sha256:{name}").parse().ok());
                    files.extend(name.map(|name| (path.clone(), name)));
                }
            }
            Ok(())
        };
        list(&mut files).map_err(|fault| self.io(fault))?;
        Ok(files)
    }

    fn path(&self, tenant: &TenantId, name: &Digest) -> PathBuf {
        self.dir.join(tenant.as_str()).join(hex::encode(name.as_bytes()))
    }

    fn lock(&self) -> Result<nix::fcntl::Flock<File>, KeyringFailed> {
        lock(&self.dir).map_err(|fault| self.io(fault))
    }

    fn io(&self, fault: io::Error) -> KeyringFailed {
        KeyringFailed::Io { dir: self.dir.clone(), fault }
    }
}

/// Destroys a key beside the log in `log`; whoever remembers it notices. False if there was none.
pub fn destroy_key(log: &Path, tenant: &TenantId, name: &Digest) -> io::Result<bool> {
    let dir = log.join("keyring");
    let parent = dir.join(tenant.as_str());
    if !parent.is_dir() {
        return Ok(false);
    }
    let _lock = lock(&dir)?;
    let path = parent.join(hex::encode(name.as_bytes()));
    let mut was_there = false;
    // The second is what a crash left of making or wrapping it.
    for path in [path.clone(), path.with_extension("new")] {
        match overwrite(&path).and_then(|()| fs::remove_file(&path)) {
            Ok(()) => was_there = true,
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => {}
            Err(fault) => return Err(fault),
        }
    }
    if was_there {
        sync_dir(&parent)?;
    }
    Ok(was_there)
}

fn lock(dir: &Path) -> io::Result<nix::fcntl::Flock<File>> {
    let file = File::create(dir.join("lock"))?;
    nix::fcntl::Flock::lock(file, nix::fcntl::FlockArg::LockExclusive)
        .map_err(|(_, errno)| errno.into())
}

fn overwrite(path: &Path) -> io::Result<()> {
    zero(&OpenOptions::new().write(true).open(path)?)
}

/// Overwrites a file with zeros where it lies.
fn zero(file: &File) -> io::Result<()> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    file.write_all_at(&vec![0; length], 0)?;
    file.sync_all()
}

fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}
