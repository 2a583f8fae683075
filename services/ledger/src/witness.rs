//! Witnesses (C2SP tlog-witness): whoever remembers the largest checkpoint of a log that it saw,
//! and cosigns (C2SP tlog-cosignature, `cosignature/v1`) only one that goes on from there. A log
//! that was rolled back, or that tells two stories, finds no witness for it.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
    str::FromStr,
};

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use parking_lot::Mutex;
use reeve_domain::{Origin, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::{
    note::{Checkpoint, NoteRefused, VerifierKey},
    reader::{ReadFailed, Reader},
    tree::{Hash, consistency_holds},
};

/// The signature type of cosignatures in signed notes.
const COSIGNATURE: u8 = 4;
/// A consistency proof is never longer.
const LONGEST_PROOF: usize = 63;

/// A witness's public key with its name, written as a C2SP vkey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    name: Origin,
    key: VerifyingKey,
}

impl WitnessKey {
    /// The key of the witness `name`.
    pub fn new(name: Origin, key: VerifyingKey) -> Self {
        Self { name, key }
    }

    /// The witness's name.
    pub fn name(&self) -> &Origin {
        &self.name
    }

    fn id(&self) -> [u8; 4] {
        let hash: Hash = Sha256::new()
            .chain_update(self.name.as_str())
            .chain_update([b'\n', COSIGNATURE])
            .chain_update(self.key.as_bytes())
            .finalize()
            .into();
        let [a, b, c, d, ..] = hash;
        [a, b, c, d]
    }

    /// Whether this witness cosigned the note, and when.
    pub fn cosigned(&self, note: &str) -> Result<Timestamp, NoteRefused> {
        let (checkpoint, signatures) = Checkpoint::read(note)?;
        for line in signatures.lines() {
            let Some((name, signed)) =
                line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' '))
            else {
                return Err(NoteRefused::Malformed("a signature line"));
            };
            let Ok(signed) = BASE64.decode(signed) else {
                return Err(NoteRefused::Malformed("a signature line"));
            };
            if name != self.name.as_str() || !signed.starts_with(&self.id()) {
                continue;
            }
            let time = signed.get(4..12).and_then(|time| time.try_into().ok());
            let signature = signed.get(12..).and_then(|rest| Signature::from_slice(rest).ok());
            let (Some(time), Some(signature)) = (time, signature) else {
                return Err(NoteRefused::Malformed("a cosignature"));
            };
            let seconds = u64::from_be_bytes(time);
            let message = cosigned_message(&checkpoint, seconds);
            return self
                .key
                .verify_strict(message.as_bytes(), &signature)
                .map(|()| {
                    let micros = i64::try_from(seconds).unwrap_or(i64::MAX);
                    Timestamp::from_micros(micros.saturating_mul(1_000_000))
                })
                .map_err(|_| NoteRefused::Signature);
        }
        Err(NoteRefused::Key(self.to_string()))
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut key = vec![COSIGNATURE];
        key.extend_from_slice(self.key.as_bytes());
        write!(f, "{}+{}+{}", self.name, hex::encode(self.id()), BASE64.encode(key))
    }
}

impl FromStr for WitnessKey {
    type Err = NoteRefused;

    fn from_str(text: &str) -> Result<Self, NoteRefused> {
        const FORM: NoteRefused =
            NoteRefused::Malformed("a witness's key is written `name+hash+key`");
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(FORM);
        };
        let key = BASE64.decode(key).map_err(|_| FORM)?;
        let Some((&COSIGNATURE, key)) = key.split_first() else {
            return Err(NoteRefused::Malformed("the key is not one for cosignatures"));
        };
        let key = key.try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
        let name = Origin::new(name).map_err(|_| FORM)?;
        let this = Self { name, key: key.ok_or(FORM)? };
        if hex::encode(this.id()) == id { Ok(this) } else { Err(FORM) }
    }
}

fn cosigned_message(checkpoint: &Checkpoint, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{checkpoint}")
}

/// Why a witness does not cosign. Each has its HTTP status in the protocol.
#[derive(Debug, thiserror::Error)]
pub enum WitnessRefused {
    /// 400: the request has not the protocol's form.
    #[error("not a request for a cosignature: {0}")]
    Malformed(&'static str),
    /// 403: the checkpoint is not signed by the log's key.
    #[error(transparent)]
    Signature(NoteRefused),
    /// 404: the witness does not know the log.
    #[error("the log is not known")]
    Unknown,
    /// 409: the request goes on from another size than the witness has seen last, or shows another
    /// root for that size.
    #[error("{0} entries were seen")]
    Conflict(u64),
    /// 422: the checkpoint does not go on from the one that was seen.
    #[error("the checkpoint is of another history than the one that was seen")]
    Inconsistent,
    /// 500: what was seen cannot be kept.
    #[error("what was seen cannot be kept: {0}")]
    Io(io::Error),
}

/// A witness: its key, and what it has seen.
pub struct Witness {
    name: Origin,
    key: SigningKey,
    dir: PathBuf,
    /// One at a time: what is compared must be what is replaced.
    turn: Mutex<()>,
}

impl Witness {
    /// A witness that keeps what it saw in `dir`, which is made if it is not there.
    pub fn open(dir: &Path, name: Origin, key: SigningKey) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        Ok(Self { name, key, dir: dir.to_owned(), turn: Mutex::default() })
    }

    /// Its public key.
    pub fn public(&self) -> WitnessKey {
        WitnessKey::new(self.name.clone(), self.key.verifying_key())
    }

    /// The largest checkpoint of a log that it has cosigned, as a note with its cosignature.
    pub fn seen(&self, origin: &Origin) -> io::Result<Option<String>> {
        match fs::read_to_string(self.path(origin)) {
            Ok(note) => Ok(Some(note)),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    fn path(&self, origin: &Origin) -> PathBuf {
        note_path(&self.dir, origin)
    }

    /// Answers a request of the protocol's `add-checkpoint`: a signature line, durable before it is
    /// given. `key` knows the keys of the logs.
    pub fn add_checkpoint(
        &self,
        request: &str,
        key: &dyn Fn(&Origin) -> Option<VerifierKey>,
        now: Timestamp,
    ) -> Result<String, WitnessRefused> {
        let Submission { old, proof, note } = Submission::parse(request)?;
        let (claimed, _) =
            Checkpoint::read(note).map_err(|_| WitnessRefused::Malformed("no checkpoint"))?;
        let key = key(&claimed.origin).ok_or(WitnessRefused::Unknown)?;
        let new = Checkpoint::open(note, &key).map_err(WitnessRefused::Signature)?;
        if old > new.size {
            return Err(WitnessRefused::Malformed("the old size is above the checkpoint's"));
        }
        let _turn = self.turn.lock();
        let seen = self.seen(&new.origin).map_err(WitnessRefused::Io)?;
        let seen = match &seen {
            Some(note) => {
                let (seen, _) = Checkpoint::read(note)
                    .map_err(|fault| WitnessRefused::Io(io::Error::other(fault)))?;
                Some(seen)
            }
            None => None,
        };
        let size = seen.as_ref().map_or(0, |seen| seen.size);
        if old != size {
            return Err(WitnessRefused::Conflict(size));
        }
        if let Some(seen) = &seen {
            if seen.size == new.size && seen.root != new.root {
                return Err(WitnessRefused::Conflict(size));
            }
            if !consistency_holds(seen.size, new.size, &proof, &seen.root, &new.root) {
                return Err(WitnessRefused::Inconsistent);
            }
        }
        let seconds = u64::try_from(now.as_micros()).unwrap_or(0) / 1_000_000;
        let signature = self.key.sign(cosigned_message(&new, seconds).as_bytes());
        let mut signed = self.public().id().to_vec();
        signed.extend_from_slice(&seconds.to_be_bytes());
        signed.extend_from_slice(&signature.to_bytes());
        let line = format!("\u{2014} {} {}\n", self.name, BASE64.encode(signed));
        self.keep(&new.origin, &format!("{}{line}", own_lines(note, &key)))
            .map_err(WitnessRefused::Io)?;
        Ok(line)
    }

    fn keep(&self, origin: &Origin, note: &str) -> io::Result<()> {
        let path = self.path(origin);
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(note.as_bytes())?;
        file.sync_all()?;
        fs::rename(new, path)?;
        File::open(&self.dir)?.sync_all()
    }
}

/// The largest checkpoint of a log that the witness which keeps what it saw in `dir` has cosigned.
/// Whether it did is not checked.
pub fn seen_by_witness(dir: &Path, origin: &Origin) -> Option<Checkpoint> {
    let note = fs::read_to_string(note_path(dir, origin)).ok()?;
    Checkpoint::read(&note).ok().map(|(seen, _)| seen)
}

fn note_path(dir: &Path, origin: &Origin) -> PathBuf {
    dir.join(format!("{}.note", hex::encode(Sha256::digest(origin.as_str()))))
}

/// The note with the log's own signature and no other.
fn own_lines(note: &str, key: &VerifierKey) -> String {
    let Some((body, signatures)) = note.split_once("\n\n") else { return note.to_owned() };
    let own = format!("\u{2014} {} ", key.origin());
    let lines: Vec<&str> = signatures.lines().filter(|line| line.starts_with(&own)).collect();
    format!("{body}\n\n{}\n", lines.join("\n"))
}

/// The body of a request of `add-checkpoint`.
struct Submission<'a> {
    old: u64,
    proof: Vec<Hash>,
    note: &'a str,
}

impl<'a> Submission<'a> {
    fn parse(text: &'a str) -> Result<Self, WitnessRefused> {
        let malformed = WitnessRefused::Malformed;
        let (head, note) = text.split_once("\n\n").ok_or(malformed("no empty line"))?;
        let mut lines = head.lines();
        let old = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(|size| size.parse().ok())
            .ok_or(malformed("it must begin with `old` and a size"))?;
        let proof: Vec<Hash> = lines
            .map(|line| BASE64.decode(line).ok()?.try_into().ok())
            .collect::<Option<_>>()
            .ok_or(malformed("a line of the proof is no hash"))?;
        if proof.len() > LONGEST_PROOF {
            return Err(malformed("the proof is too long"));
        }
        Ok(Self { old, proof, note })
    }
}

impl Reader {
    /// The body of a request of `add-checkpoint` for the log's newest checkpoint, to a witness that
    /// has seen `old` entries; the checkpoint's note with it.
    pub fn submission(&self, old: u64) -> Result<(String, String), ReadFailed> {
        let (note, newest) = self.newest_note()?;
        let proof = self.consistency_proof(old.min(newest.size), newest.size)?;
        let mut body = format!("old {old}\n");
        for hash in proof {
            body.push_str(&BASE64.encode(hash));
            body.push('\n');
        }
        body.push('\n');
        body.push_str(&note);
        Ok((body, note))
    }

    /// Keeps a checkpoint of this log with its cosignatures beside it, as `cosigned`.
    pub fn keep_cosigned(&self, note: &str, lines: &[String]) -> Result<(), ReadFailed> {
        let text = format!("{note}{}", lines.concat());
        let path = self.dir().join("cosigned");
        let put = || {
            let new = path.with_extension("new");
            fs::write(&new, text)?;
            fs::rename(new, &path)
        };
        put().map_err(|fault| self.io(fault))
    }

    /// The newest checkpoint that has cosignatures, if there is one.
    pub fn cosigned(&self) -> Result<Option<String>, ReadFailed> {
        match fs::read_to_string(self.dir().join("cosigned")) {
            Ok(note) => Ok(Some(note)),
            Err(fault) if fault.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(fault) => Err(self.io(fault)),
        }
    }
}
