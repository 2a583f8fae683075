//! Key-encryption keys: what wraps the keys of payloads.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use parking_lot::RwLock;
use reeve_domain::Entropy;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::{cipher, segment::FileId};

/// A key that was wrapped, and by which key-encryption key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// The key-encryption key's id.
    pub kek: String,
    /// The wrapped key.
    pub bytes: Vec<u8>,
}

/// A key-encryption key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KekUnusable {
    /// The file cannot be read or written.
    #[error("the key-encryption keys in `{path}` cannot be read or written: {fault}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        fault: io::Error,
    },
    /// The file does not hold keys.
    #[error("`{0}` does not hold key-encryption keys as they were written")]
    Malformed(PathBuf),
    /// There is no key with this id.
    #[error("there is no key-encryption key `{0}`")]
    NoKek(String),
    /// The wrapped key is not one that this key wrapped for this place.
    #[error("a wrapped key cannot be opened")]
    Wrapped,
    /// The program that speaks to the key management service failed.
    #[error("the key management program `{program}` failed: {reason}")]
    Program {
        /// The program.
        program: String,
        /// Why.
        reason: String,
    },
}

/// Something that wraps keys: a file, or a key management service. A wrapped key can only be
/// unwrapped with the `context` that it was wrapped with.
pub trait KeyEncryption: Send + Sync {
    /// The id of the key that wraps what is wrapped from now on.
    fn current(&self) -> Result<String, KekUnusable>;
    /// Wraps a key. Blocks.
    fn wrap(&self, key: &[u8; 32], context: &[u8]) -> Result<Wrapped, KekUnusable>;
    /// Unwraps a key that this or an earlier key-encryption key wrapped. Blocks.
    fn unwrap(&self, wrapped: &Wrapped, context: &[u8]) -> Result<Key, KekUnusable>;
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KekEntry {
    id: String,
    key: Zeroizing<String>,
}

type Key = Zeroizing<[u8; 32]>;

/// Key-encryption keys in a file of this machine, oldest first: the last wraps, all unwrap. A file
/// that was changed meanwhile is read again. Wrapping is XChaCha20-Poly1305 with the nonce in front.
pub struct KekFile {
    path: PathBuf,
    entropy: Arc<dyn Entropy>,
    keys: RwLock<(FileId, Vec<(String, Key)>)>,
}

impl KekFile {
    /// Reads the file, or makes it with one key if there is none.
    pub fn load_or_create(path: &Path, entropy: Arc<dyn Entropy>) -> Result<Self, KekUnusable> {
        if !path.exists() {
            write(path, &[new_key(&*entropy)])?;
        }
        let keys = RwLock::new(read(path)?);
        Ok(Self { path: path.to_owned(), entropy, keys })
    }

    /// Adds a key to the file, which wraps from now on, and gives its id.
    pub fn rotate(path: &Path, entropy: &dyn Entropy) -> Result<String, KekUnusable> {
        let (_, mut keys) = read(path)?;
        let new = new_key(entropy);
        let id = new.0.clone();
        keys.push(new);
        write(path, &keys).map(|()| id)
    }

    /// Takes every key but the newest out of the file, and gives how many. What they wrapped can be
    /// read no more: wrap it anew first.
    pub fn retire_old(path: &Path) -> Result<usize, KekUnusable> {
        let (_, mut keys) = read(path)?;
        let old = keys.len().saturating_sub(1);
        keys.drain(..old);
        write(path, &keys).map(|()| old)
    }

    /// Reads the file again if it is another than the one that was read.
    fn follow(&self) -> Result<(), KekUnusable> {
        let data = fs::metadata(&self.path).map_err(|fault| io_of(&self.path, fault))?;
        if self.keys.read().0 != FileId::of(&data) {
            *self.keys.write() = read(&self.path)?;
        }
        Ok(())
    }

    fn key(&self, id: &str) -> Result<Key, KekUnusable> {
        let keys = self.keys.read();
        let key = keys.1.iter().find(|(known, _)| known == id);
        key.map(|(_, key)| key.clone()).ok_or_else(|| KekUnusable::NoKek(id.to_owned()))
    }
}

fn io_of(path: &Path, fault: io::Error) -> KekUnusable {
    KekUnusable::Io { path: path.to_owned(), fault }
}

fn new_key(entropy: &dyn Entropy) -> (String, Key) {
    let (mut id, mut key) = ([0_u8; 4], Key::default());
    entropy.fill(&mut id);
    entropy.fill(key.as_mut_slice());
    (format!("kek-{}", hex::encode(id)), key)
}

fn read(path: &Path) -> Result<(FileId, Vec<(String, Key)>), KekUnusable> {
    let malformed = || KekUnusable::Malformed(path.to_owned());
    let data = fs::metadata(path).map_err(|fault| io_of(path, fault))?;
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|fault| io_of(path, fault))?;
    let entries: Vec<KekEntry> = serde_json::from_str(&text).map_err(|_| malformed())?;
    let mut keys = Vec::with_capacity(entries.len());
    for entry in entries {
        let bytes = Zeroizing::new(BASE64.decode(&*entry.key).map_err(|_| malformed())?);
        let key: [u8; 32] = bytes.as_slice().try_into().map_err(|_| malformed())?;
        keys.push((entry.id, Zeroizing::new(key)));
    }
    if keys.is_empty() { Err(malformed()) } else { Ok((FileId::of(&data), keys)) }
}

fn write(path: &Path, keys: &[(String, Key)]) -> Result<(), KekUnusable> {
    let entry = |(id, key): &(String, Key)| KekEntry {
        id: id.clone(),
        key: Zeroizing::new(BASE64.encode(key.as_slice())),
    };
    let entries: Vec<KekEntry> = keys.iter().map(entry).collect();
    let text = serde_json::to_string_pretty(&entries)
        .map(Zeroizing::new)
        .map_err(|_| KekUnusable::Malformed(path.to_owned()))?;
    let put = || -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, path)?;
        path.parent().map_or(Ok(()), |dir| fs::File::open(dir)?.sync_all())
    };
    put().map_err(|fault| io_of(path, fault))
}

impl KeyEncryption for KekFile {
    fn current(&self) -> Result<String, KekUnusable> {
        self.follow()?;
        let keys = self.keys.read();
        keys.1
            .last()
            .map(|(id, _)| id.clone())
            .ok_or_else(|| KekUnusable::Malformed(self.path.clone()))
    }

    fn wrap(&self, key: &[u8; 32], context: &[u8]) -> Result<Wrapped, KekUnusable> {
        let kek = self.current()?;
        let bytes = cipher::encrypt(&*self.key(&kek)?, &*self.entropy, context, key)
            .ok_or(KekUnusable::Wrapped)?;
        Ok(Wrapped { kek, bytes })
    }

    fn unwrap(&self, wrapped: &Wrapped, context: &[u8]) -> Result<Key, KekUnusable> {
        self.follow()?;
        let key = cipher::decrypt(&*self.key(&wrapped.kek)?, context, &wrapped.bytes)
            .ok_or(KekUnusable::Wrapped)?;
        key.as_slice().try_into().map(Zeroizing::new).map_err(|_| KekUnusable::Wrapped)
    }
}

/// A program that speaks to a key management service. It is started for each key that is wrapped
/// or unwrapped, gets one JSON object on its standard input, and gives one on its standard output:
///
/// ```text
/// {"do":"wrap","key":BASE64,"context":BASE64}              → {"kek":ID,"wrapped":BASE64}
/// {"do":"unwrap","kek":ID,"wrapped":BASE64,"context":BASE64} → {"key":BASE64}
/// ```
///
/// Any exit status but 0 is a failure, and what it wrote to standard error the reason.
pub struct KekProgram {
    program: PathBuf,
    arguments: Vec<String>,
    current: String,
}

#[derive(Serialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Ask<'a> {
    Wrap { key: Zeroizing<String>, context: String },
    Unwrap { kek: &'a str, wrapped: String, context: String },
}

#[derive(Deserialize)]
struct WrapAnswer {
    kek: String,
    wrapped: String,
}

#[derive(Deserialize)]
struct UnwrapAnswer {
    key: Zeroizing<String>,
}

impl KekProgram {
    /// Asks the program once, to see that it works and which key it wraps with now.
    pub fn new(program: PathBuf, arguments: Vec<String>) -> Result<Self, KekUnusable> {
        let mut this = Self { program, arguments, current: String::new() };
        let probe = this.wrap(&[0; 32], b"probe")?;
        this.unwrap(&probe, b"probe")?;
        this.current = probe.kek;
        Ok(this)
    }

    fn ask<T: for<'de> Deserialize<'de>>(&self, question: &Ask<'_>) -> Result<T, KekUnusable> {
        let failed = |reason: String| KekUnusable::Program {
            program: self.program.display().to_string(),
            reason,
        };
        let question = serde_json::to_vec(question)
            .map(Zeroizing::new)
            .map_err(|fault| failed(fault.to_string()))?;
        let mut child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|fault| failed(fault.to_string()))?;
        if let Some(mut input) = child.stdin.take() {
            input.write_all(&question).map_err(|fault| failed(fault.to_string()))?;
        }
        let output = child.wait_with_output().map_err(|fault| failed(fault.to_string()))?;
        if !output.status.success() {
            return Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
        }
        serde_json::from_slice(&Zeroizing::new(output.stdout))
            .map_err(|fault| failed(format!("its answer cannot be read: {fault}")))
    }
}

impl KeyEncryption for KekProgram {
    fn current(&self) -> Result<String, KekUnusable> {
        Ok(self.current.clone())
    }

    fn wrap(&self, key: &[u8; 32], context: &[u8]) -> Result<Wrapped, KekUnusable> {
        let key = Zeroizing::new(BASE64.encode(key));
        let answer: WrapAnswer = self.ask(&Ask::Wrap { key, context: BASE64.encode(context) })?;
        let bytes = BASE64.decode(answer.wrapped).map_err(|_| KekUnusable::Wrapped)?;
        Ok(Wrapped { kek: answer.kek, bytes })
    }

    fn unwrap(&self, wrapped: &Wrapped, context: &[u8]) -> Result<Key, KekUnusable> {
        let question = Ask::Unwrap {
            kek: &wrapped.kek,
            wrapped: BASE64.encode(&wrapped.bytes),
            context: BASE64.encode(context),
        };
        let answer: UnwrapAnswer = self.ask(&question)?;
        let key = Zeroizing::new(BASE64.decode(&*answer.key).map_err(|_| KekUnusable::Wrapped)?);
        key.as_slice().try_into().map(Zeroizing::new).map_err(|_| KekUnusable::Wrapped)
    }
}
