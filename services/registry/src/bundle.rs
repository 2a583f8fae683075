use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read as _},
    path::Path,
};

use reeve_domain::ModelName;
use reeve_protocol::{
    model::{BundleSummary, BundleUnreadable},
    signature::{SIGNATURE_FILE, SIGNATURE_MAX},
};
use safetensors::{Dtype, tensor::Metadata};

/// What weights can be of.
const USABLE: [Dtype; 8] =
    [Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::F64, Dtype::I64, Dtype::I32, Dtype::I8, Dtype::U8];
/// The largest header of a safetensors file (https://github.com/huggingface/safetensors).
const HEADER_MAX: u64 = 100_000_000;

/// A bundle that may be taken in.
#[derive(Clone, Debug)]
pub struct Scanned {
    /// Its name, version, digest, labels and card.
    pub summary: BundleSummary,
    /// Bytes of all files.
    pub bytes: u64,
}

/// Files that are not a bundle that may be taken in.
#[derive(Debug, thiserror::Error)]
pub enum BundleRefused {
    /// A file cannot be read.
    #[error("the bundle cannot be read: {0}")]
    Io(#[from] io::Error),
    /// The files are not a bundle's.
    #[error(transparent)]
    Unreadable(#[from] BundleUnreadable),
    /// A file that `bundle.json` does not list.
    #[error("`{0}` is not among the files that bundle.json lists")]
    Unlisted(String),
    /// A file of a kind that is not taken in.
    #[error("`{0}` is neither JSON nor safetensors; nothing else is taken in")]
    Kind(String),
    /// A file that is not what its name says.
    #[error("`{file}` is not what its name says: {fault}")]
    Content {
        /// The file.
        file: String,
        /// What is wrong.
        fault: String,
    },
    /// A name or version that callers could not write.
    #[error("{0}")]
    Name(String),
}

/// Looks at the files of a directory: that they are exactly those that `bundle.json` lists, with
/// their digests, and each what its name says.
pub fn scan(dir: &Path) -> Result<Scanned, BundleRefused> {
    let summary = BundleSummary::read(dir)?;
    let listed: BTreeSet<&str> = summary.files.iter().map(String::as_str).collect();
    let mut bytes = 0_u64;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let length = entry.metadata()?.len();
        // A statement of who vouches for the bundle, which its digest does not cover.
        let is_signature = name == SIGNATURE_FILE && length <= SIGNATURE_MAX;
        if !listed.contains(name.as_str()) && !is_signature {
            return Err(BundleRefused::Unlisted(name));
        }
        bytes = bytes.saturating_add(length);
    }
    for name in &summary.files {
        let path = dir.join(name);
        let fault = |fault: String| BundleRefused::Content { file: name.clone(), fault };
        if name.ends_with(".json") {
            let text = fs::read(&path)?;
            serde_json::from_slice::<serde::de::IgnoredAny>(&text)
                .map_err(|why| fault(why.to_string()))?;
        } else if name.ends_with(".safetensors") {
            check_tensors(&path).map_err(fault)?;
        } else {
            return Err(BundleRefused::Kind(name.clone()));
        }
    }
    ModelName::new(&summary.name).map_err(|why| BundleRefused::Name(why.to_string()))?;
    // A version is written behind an `@`, in the letters of names.
    ModelName::new(&summary.version).map_err(|_| {
        BundleRefused::Name(format!(
            "the version `{}` must be 1 to 64 ASCII letters, digits, `-`, `_` or `.`",
            summary.version.escape_debug()
        ))
    })?;
    Ok(Scanned { summary, bytes })
}

/// Reads the header alone: names, types and places of the tensors, which must fill the file. What a
/// tensor's numbers are does not matter here, and nothing in the format can be run.
fn check_tensors(path: &Path) -> Result<(), String> {
    let mut file = File::open(path).map_err(|why| why.to_string())?;
    let whole = file.metadata().map_err(|why| why.to_string())?.len();
    let mut length = [0_u8; 8];
    file.read_exact(&mut length).map_err(|_| "it ends within its first 8 bytes".to_owned())?;
    let length = u64::from_le_bytes(length);
    if length > HEADER_MAX || length.saturating_add(8) > whole {
        return Err(format!("its header claims {length} bytes"));
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header).map_err(|why| why.to_string())?;
    let metadata: Metadata = serde_json::from_slice(&header).map_err(|why| why.to_string())?;
    let tensors = metadata.tensors();
    if tensors.is_empty() {
        return Err("it holds no tensor".to_owned());
    }
    let mut places = Vec::with_capacity(tensors.len());
    for (name, tensor) in &tensors {
        if !USABLE.contains(&tensor.dtype) {
            return Err(format!("tensor `{name}` is of {:?}", tensor.dtype));
        }
        let (start, end) = tensor.data_offsets;
        let bits = tensor.shape.iter().try_fold(tensor.dtype.bitsize(), |n, d| n.checked_mul(*d));
        if bits.map(|bits| bits.div_ceil(8)) != end.checked_sub(start) {
            return Err(format!("tensor `{name}` does not lie where it says"));
        }
        places.push((start, end));
    }
    // One after the other, and nothing between or behind them.
    places.sort_unstable();
    let end = places.iter().try_fold(0, |at, (start, end)| (*start == at).then_some(*end));
    let end = end.and_then(|end| u64::try_from(end).ok());
    if end.and_then(|end| end.checked_add(length)?.checked_add(8)) != Some(whole) {
        return Err("its tensors do not fill it".to_owned());
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use reeve_domain::Digest;
    use safetensors::tensor::TensorView;
    use serde_json::json;

    use super::*;

    /// A directory that is a bundle as far as this crate can tell.
    pub(crate) fn bundle(version: &str) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let numbers = [0_u8; 16];
        let tensor = TensorView::new(Dtype::F32, vec![2, 2], &numbers).unwrap();
        let weights = safetensors::serialize([("fc.weight", tensor)], None).unwrap();
        let card = json!({ "name": "support", "version": version, "risk_class": "minimal",
            "generative": false });
        let files = [
            ("card.json", card.to_string().into_bytes()),
            ("tokenizer.json", b"{}".to_vec()),
            ("weights.safetensors", weights),
        ];
        let digests: BTreeMap<&str, String> =
            files.iter().map(|(name, bytes)| (*name, Digest::of(bytes).to_string())).collect();
        for (name, bytes) in &files {
            fs::write(dir.path().join(name), bytes).unwrap();
        }
        let manifest = json!({ "format": 1, "name": "support", "version": version,
            "labels": ["calm", "angry"], "files": digests });
        fs::write(dir.path().join("bundle.json"), manifest.to_string()).unwrap();
        dir
    }

    #[test]
    fn a_bundle_is_known_by_its_files() {
        let dir = bundle("1");
        let scanned = scan(dir.path()).unwrap();
        assert_eq!(scanned.summary.name, "support");
        assert_eq!(scanned.summary.labels, ["calm", "angry"]);
        assert!(scanned.summary.card.contains("minimal") && scanned.bytes > 100);
    }

    #[test]
    fn anything_else_is_refused() {
        let with = |name: &str, bytes: &[u8]| {
            let dir = bundle("1");
            fs::write(dir.path().join(name), bytes).unwrap();
            scan(dir.path()).unwrap_err().to_string()
        };
        assert!(with("run.py", b"print()").contains("`run.py` is not among"));
        assert!(with("weights.safetensors", b"\x80\x02}.").contains("digest"));
        assert!(with("bundle.json", b"{}").contains("bundle.json"));
        let named = scan(bundle("1 or so").path()).unwrap_err().to_string();
        assert!(named.contains("version `1 or so`"), "{named}");
    }

    #[test]
    fn weights_must_be_tensors() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w.safetensors");
        let of = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            check_tensors(&path).unwrap_err()
        };
        assert!(of(b"abc").contains("first 8 bytes"));
        assert!(of(&[0xff; 64]).contains("claims"));
        assert!(of(b"\x80\x02}q\x00.aaaaaaaaaaaaa").contains("claims"));
        let numbers = [0_u8; 8];
        let tensor = TensorView::new(Dtype::F32, vec![2], &numbers).unwrap();
        let mut good = safetensors::serialize([("a", tensor)], None).unwrap();
        good.push(0);
        assert!(of(&good).contains("do not fill"));
    }
}
