//! A model bundle as everybody but the classifier sees it: its name, its labels and its digest,
//! read without libtorch.

use std::{
    fmt::Write as _,
    fs, io,
    path::{Path, PathBuf},
};

use reeve_domain::Digest;
use serde::Deserialize;

/// The files of a bundle, in the order in which its digest takes them.
const FILES: [&str; 4] = ["bundle.json", "card.json", "tokenizer.json", "weights.safetensors"];

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
}

#[derive(Deserialize)]
struct Manifest {
    name: String,
    version: String,
    labels: Vec<String>,
}

#[derive(Deserialize)]
struct Card {
    risk_class: String,
    generative: bool,
}

impl BundleSummary {
    /// Reads a bundle's directory.
    pub fn read(dir: &Path) -> Result<Self, BundleUnreadable> {
        let mut list = String::new();
        for name in FILES {
            let bytes = read(&dir.join(name))?;
            let digest = Digest::of(&bytes).to_string();
            let digits = digest.trim_start_matches("sha256:");
            // Writing to a text does not fail.
            let _ok = writeln!(list, "{digits}  {name}");
        }
        let manifest: Manifest = parse(&dir.join("bundle.json"))?;
        let card: Card = parse(&dir.join("card.json"))?;
        Ok(Self {
            name: manifest.name,
            version: manifest.version,
            digest: Digest::of(list.as_bytes()),
            labels: manifest.labels,
            risk_class: card.risk_class,
            generative: card.generative,
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, BundleUnreadable> {
    fs::read(path).map_err(|fault| BundleUnreadable::Io { path: path.to_owned(), fault })
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, BundleUnreadable> {
    serde_json::from_slice(&read(path)?)
        .map_err(|fault| BundleUnreadable::Malformed { path: path.to_owned(), fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_listed_files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("bundle.json", r#"{"name":"m","version":"1","labels":["a","b"],"more":1}"#);
        write("card.json", r#"{"risk_class":"minimal","generative":false}"#);
        write("tokenizer.json", "{}");
        assert!(matches!(BundleSummary::read(dir.path()), Err(BundleUnreadable::Io { .. })));
        write("weights.safetensors", "w");
        let first = BundleSummary::read(dir.path()).unwrap();
        assert_eq!((first.name.as_str(), first.labels.len()), ("m", 2));
        write("weights.safetensors", "v");
        assert_ne!(BundleSummary::read(dir.path()).unwrap().digest, first.digest);
        write("card.json", "[]");
        assert!(matches!(BundleSummary::read(dir.path()), Err(BundleUnreadable::Malformed { .. })));
    }
}
