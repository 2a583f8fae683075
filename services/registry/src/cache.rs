use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use reeve_domain::Digest;
use reeve_protocol::model::BundleSummary;
use tokio::sync::Mutex;

use crate::registry::{Registry, RegistryFailed};

/// Bundles on this machine, each in a directory that is named by its digest.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    /// What is not in use is removed, the least lately used first, beyond so many bytes.
    bytes: u64,
    /// One at a time, so that nothing is fetched twice.
    fetching: Mutex<()>,
}

/// A bundle cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FetchFailed {
    /// The registry cannot give it.
    #[error(transparent)]
    Registry(#[from] RegistryFailed),
    /// The cache's directory cannot be used.
    #[error("the cache `{}` cannot be used: {fault}", dir.display())]
    Io {
        /// The directory.
        dir: PathBuf,
        /// What the system said.
        fault: io::Error,
    },
}

impl Cache {
    /// A cache in a directory, which is made if need be.
    pub fn open(dir: &Path, bytes: u64) -> Result<Self, FetchFailed> {
        let cache = Self { dir: dir.to_owned(), bytes, fetching: Mutex::new(()) };
        fs::create_dir_all(dir).map_err(|fault| cache.io(fault))?;
        Ok(cache)
    }

    fn io(&self, fault: io::Error) -> FetchFailed {
        FetchFailed::Io { dir: self.dir.clone(), fault }
    }

    /// The directory of a bundle, fetched if it is not there. Whatever is there is checked first: a
    /// directory whose digest is another is removed and fetched anew. `in_use` is not removed to
    /// make room.
    pub async fn fetch(
        &self,
        registry: &Registry,
        bundle: &Digest,
        in_use: &BTreeSet<Digest>,
    ) -> Result<PathBuf, FetchFailed> {
        let _one_at_a_time = self.fetching.lock().await;
        let dir = self.dir.join(hex::encode(bundle.as_bytes()));
        if dir.is_dir() {
            if is_it(&dir, bundle).await {
                touch(&dir).map_err(|fault| self.io(fault))?;
                return Ok(dir);
            }
            tracing::warn!(%bundle, "a bundle in the cache was changed; it is fetched again");
            fs::remove_dir_all(&dir).map_err(|fault| self.io(fault))?;
        }
        // What a fetch before this one left when the program was stopped goes with the next prune.
        let fresh = tempfile::Builder::new()
            .prefix("fetching-")
            .tempdir_in(&self.dir)
            .map_err(|fault| self.io(fault))?;
        registry.fetch(bundle, fresh.path()).await?;
        fs::rename(fresh.keep(), &dir).map_err(|fault| self.io(fault))?;
        let mut in_use = in_use.clone();
        in_use.insert(*bundle);
        self.prune(&in_use).map_err(|fault| self.io(fault))?;
        Ok(dir)
    }

    fn prune(&self, in_use: &BTreeSet<Digest>) -> io::Result<()> {
        let kept: BTreeSet<String> =
            in_use.iter().map(|digest| hex::encode(digest.as_bytes())).collect();
        let (mut sum, mut others) = (0_u64, Vec::new());
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            let (name, path) = (entry.file_name().to_string_lossy().into_owned(), entry.path());
            if name.starts_with("fetching-") {
                fs::remove_dir_all(&path)?;
                continue;
            }
            let bytes = size(&path)?;
            sum = sum.saturating_add(bytes);
            if !kept.contains(&name) {
                others.push((entry.metadata()?.modified()?, bytes, path));
            }
        }
        others.sort();
        for (_, bytes, path) in others {
            if sum <= self.bytes {
                break;
            }
            fs::remove_dir_all(&path)?;
            sum = sum.saturating_sub(bytes);
        }
        Ok(())
    }
}

async fn is_it(dir: &Path, bundle: &Digest) -> bool {
    let (dir, bundle) = (dir.to_owned(), *bundle);
    let read = tokio::task::spawn_blocking(move || BundleSummary::read(&dir)).await;
    matches!(read, Ok(Ok(summary)) if summary.digest == bundle)
}

/// Notes that it was used now.
#[expect(clippy::disallowed_methods, reason = "compared with other files' times alone")]
fn touch(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.set_modified(SystemTime::now())
}

fn size(dir: &Path) -> io::Result<u64> {
    let mut sum = 0_u64;
    for entry in fs::read_dir(dir)? {
        sum = sum.saturating_add(entry?.metadata()?.len());
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bundle::tests::bundle, scan};

    async fn put(registry: &Registry, version: &str) -> (Digest, u64) {
        let dir = bundle(version);
        let scanned = scan(dir.path()).unwrap();
        registry.put(dir.path(), &scanned.summary).await.unwrap();
        (scanned.summary.digest, scanned.bytes)
    }

    #[tokio::test]
    async fn what_is_there_is_checked_and_what_was_changed_is_fetched_again() {
        let (store, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let registry = Registry::open(store.path().to_str().unwrap()).unwrap();
        let (one, _) = put(&registry, "1").await;
        let cache = Cache::open(here.path(), 1 << 20).unwrap();
        let dir = cache.fetch(&registry, &one, &BTreeSet::new()).await.unwrap();
        fs::write(dir.join("tokenizer.json"), "[]").unwrap();
        let again = cache.fetch(&registry, &one, &BTreeSet::new()).await.unwrap();
        assert_eq!(fs::read_to_string(again.join("tokenizer.json")).unwrap(), "{}");
        // Without the registry what is there is enough.
        fs::remove_dir_all(store.path()).unwrap();
        assert_eq!(cache.fetch(&registry, &one, &BTreeSet::new()).await.unwrap(), dir);
        fs::write(dir.join("card.json"), "{}").unwrap();
        assert!(cache.fetch(&registry, &one, &BTreeSet::new()).await.is_err());
    }

    #[tokio::test]
    async fn room_is_made_for_what_is_new_but_not_of_what_is_in_use() {
        let (store, here) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let registry = Registry::open(store.path().to_str().unwrap()).unwrap();
        let (one, bytes) = put(&registry, "1").await;
        let (two, _) = put(&registry, "2").await;
        let (three, _) = put(&registry, "3").await;
        let cache = Cache::open(here.path(), bytes * 2).unwrap();
        let in_use = BTreeSet::from([one]);
        for digest in [one, two, three] {
            cache.fetch(&registry, &digest, &in_use).await.unwrap();
        }
        let there = |digest: &Digest| here.path().join(hex::encode(digest.as_bytes())).is_dir();
        assert!(there(&one) && !there(&two) && there(&three));
    }
}
