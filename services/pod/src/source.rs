use std::{
    fs,
    path::{Path, PathBuf},
};

use reeve_domain::Digest;
use reeve_protocol::model::BundleSummary;

use crate::model::NotLoaded;

/// Where bundles that are ordered come from. What is found is checked against the digest again
/// when it is opened.
pub(crate) trait Source: Send + Sync {
    /// The directory of the bundle with this digest. May take long; called where it holds up
    /// nobody.
    fn find(&self, name: &str, digest: &Digest) -> Result<PathBuf, NotLoaded>;

    /// The bundle is not ordered any more.
    fn forget(&self, _digest: &Digest) {}
}

/// A directory with bundles, at most two folders deep: `NAME/VERSION`, `DIGEST` or what you like.
pub(crate) struct Folder(pub(crate) PathBuf);

/// `NAME/VERSION` below the folder.
const DEEP: usize = 2;

impl Source for Folder {
    fn find(&self, name: &str, digest: &Digest) -> Result<PathBuf, NotLoaded> {
        let mut bundles = Vec::new();
        collect(&self.0, DEEP, &mut bundles);
        let is = |dir: &PathBuf| {
            BundleSummary::read(dir)
                .is_ok_and(|summary| summary.digest == *digest && summary.name == name)
        };
        let missing = || NotLoaded::Unknown(format!("the model store has no `{name}` of {digest}"));
        bundles.into_iter().find(is).ok_or_else(missing)
    }
}

fn collect(dir: &Path, deep: usize, into: &mut Vec<PathBuf>) {
    if dir.join("bundle.json").is_file() {
        return into.push(dir.to_owned());
    }
    let Some(deeper) = deep.checked_sub(1) else { return };
    // A folder that cannot be read holds nothing that can be served.
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.path().is_dir()) {
        collect(&entry.path(), deeper, into);
    }
}
