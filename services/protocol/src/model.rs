//! A model bundle as everybody but the classifier sees it: its name, its labels and its digest,
//! read without libtorch.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Seek as _, SeekFrom},
    path::{Path, PathBuf},
};

use reeve_domain::Digest;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

/// What registering a model needs to know of its bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleSummary {
    /// The model's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The digest over all files: SHA-256 of a line `<hexadecimal SHA-256>  <name>` for each, as
    /// `sha256sum` prints them.
    pub digest: Digest,
    /// The labels, in the order of the logits.
    pub labels: Vec<String>,
    /// Risk class under Regulation (EU) 2024/1689.
    pub risk_class: String,
    /// Whether it generates content.
    pub generative: bool,
    /// What it is for and how well it does, as JSON: `card.json`.
    pub card: String,
    /// The names of its files, `bundle.json` among them, sorted.
    pub files: Vec<String>,
}

/// A bundle that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleUnreadable {
    /// A file cannot be read.
    #[error("`{path}` cannot be read: {fault}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        fault: io::Error,
    },
    /// A file is not what it must be.
    #[error("`{path}` is not a part of a model bundle: {fault}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: serde_json::Error,
    },
    /// A file is another than `bundle.json` says.
    #[error("`{file}` was changed: its digest is {found}, bundle.json says {expected}")]
    Altered {
        /// The file.
        file: String,
        /// What `bundle.json` says.
        expected: Digest,
        /// What the file has.
        found: Digest,
    },
    /// It lists a file by a name that is none of a file in the same directory.
    #[error("bundle.json lists `{0}`, which is no plain file name")]
    Name(String),
}

#[derive(Deserialize)]
struct Manifest {
    name: String,
    version: String,
    labels: Vec<String>,
    files: BTreeMap<String, Digest>,
}

#[derive(Deserialize)]
struct Card {
    risk_class: String,
    generative: bool,
}

impl BundleSummary {
    /// The file that lists the others.
    pub const MANIFEST: &str = "bundle.json";

    /// Reads a bundle's directory, and checks every file's digest.
    pub fn read(dir: &Path) -> Result<Self, BundleUnreadable> {
        let path = dir.join(Self::MANIFEST);
        let bytes = fs::read(&path).map_err(|fault| BundleUnreadable::Io { path, fault })?;
        let manifest = manifest(&bytes)?;
        let mut all = BTreeMap::from([(Self::MANIFEST.to_owned(), Digest::of(&bytes))]);
        for (name, expected) in manifest.files {
            let path = dir.join(&name);
            let found = File::open(&path)
                .and_then(|mut file| digest_of(&mut file))
                .map_err(|fault| BundleUnreadable::Io { path, fault })?;
            if found != expected {
                return Err(BundleUnreadable::Altered { file: name, expected, found });
            }
            all.insert(name, found);
        }
        let mut list = String::new();
        for (name, digest) in &all {
            let digest = digest.to_string();
            // Writing to a text does not fail.
            let _ok = writeln!(list, "{}  {name}", digest.trim_start_matches("sha256:"));
        }
        let path = dir.join("card.json");
        let text = fs::read_to_string(&path)
            .map_err(|fault| BundleUnreadable::Io { path: path.clone(), fault })?;
        let card: Card = serde_json::from_str(&text)
            .map_err(|fault| BundleUnreadable::Malformed { path, fault })?;
        Ok(Self {
            card: text,
            name: manifest.name,
            version: manifest.version,
            digest: Digest::of(list.as_bytes()),
            labels: manifest.labels,
            risk_class: card.risk_class,
            generative: card.generative,
            files: all.into_keys().collect(),
        })
    }

    /// The files that a `bundle.json` lists, with their digests.
    pub fn files_of(bytes: &[u8]) -> Result<BTreeMap<String, Digest>, BundleUnreadable> {
        Ok(manifest(bytes)?.files)
    }
}

fn manifest(bytes: &[u8]) -> Result<Manifest, BundleUnreadable> {
    let malformed =
        |fault| BundleUnreadable::Malformed { path: BundleSummary::MANIFEST.into(), fault };
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(malformed)?;
    let is_plain = |name: &&String| {
        Path::new(name).file_name().and_then(|it| it.to_str()) == Some(name.as_str())
            && *name != BundleSummary::MANIFEST
    };
    match manifest.files.keys().find(|name| !is_plain(name)) {
        Some(name) => Err(BundleUnreadable::Name(name.clone())),
        None => Ok(manifest),
    }
}

/// The digest of a whole file, which is read a piece at a time: weights are large.
pub fn digest_of(file: &mut File) -> io::Result<Digest> {
    let mut digest = Sha256::new();
    file.seek(SeekFrom::Start(0))?;
    io::copy(file, &mut digest)?;
    Ok(Digest::from_bytes(digest.finalize().into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_listed_files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let card = r#"{"risk_class":"minimal","generative":false}"#;
        let manifest = |weights: &str| {
            let of = |text: &str| Digest::of(text.as_bytes());
            write(
                "bundle.json",
                &format!(
                    r#"{{"name":"m","version":"1","labels":["a","b"],"more":1,"files":{{
                        "card.json":"{}","weights.safetensors":"{}"}}}}"#,
                    of(card),
                    of(weights)
                ),
            );
        };
        manifest("w");
        write("card.json", card);
        assert!(matches!(BundleSummary::read(dir.path()), Err(BundleUnreadable::Io { .. })));
        write("weights.safetensors", "w");
        let first = BundleSummary::read(dir.path()).unwrap();
        assert_eq!((first.name.as_str(), first.labels.len()), ("m", 2));
        assert_eq!(first.files, ["bundle.json", "card.json", "weights.safetensors"]);
        write("weights.safetensors", "v");
        let altered = BundleSummary::read(dir.path());
        assert!(matches!(altered, Err(BundleUnreadable::Altered { .. })), "{altered:?}");
        manifest("v");
        assert_ne!(BundleSummary::read(dir.path()).unwrap().digest, first.digest);
        write("bundle.json", "[]");
        assert!(matches!(BundleSummary::read(dir.path()), Err(BundleUnreadable::Malformed { .. })));
        let outside = r#"{"name":"m","version":"1","labels":[],"files":{"../a":"sha256:00"}}"#;
        write("bundle.json", &outside.replace("00", &"0".repeat(64)));
        assert!(matches!(BundleSummary::read(dir.path()), Err(BundleUnreadable::Name(_))));
    }
}
