use std::{fs, io::Write as _, path::Path};

use futures_util::StreamExt as _;
use object_store::{ObjectStoreExt as _, WriteMultipart};
use reeve_domain::Digest;
use reeve_protocol::{model::BundleSummary, signature::SIGNATURE_FILE};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use crate::objects::{AddressRefused, Place, open};

/// Where bundles are kept: each below its digest, file by file. What is there is never changed.
#[derive(Clone, Debug)]
pub struct Registry {
    place: Place,
}

/// The registry cannot do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum RegistryFailed {
    /// The object store refuses or cannot be reached.
    #[error("the store of models: {0}")]
    Store(#[from] object_store::Error),
    /// A file of this machine cannot be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// There is no such bundle.
    #[error("the store of models has no bundle {0}")]
    Missing(Digest),
    /// What is there is not what its name says.
    #[error("what the store of models has as {wanted} is {found}")]
    Altered {
        /// What was asked for.
        wanted: Digest,
        /// What is there: a digest, or what is wrong.
        found: String,
    },
}

/// Bytes of a part of an upload.
const PART: usize = 8 << 20;
/// `bundle.json` is never larger.
const MANIFEST_MAX: u64 = 64 << 20;
/// Nor any other file.
const FILE_MAX: u64 = (1 << 30) + (1 << 20);

impl Registry {
    /// The registry at an address: a directory, or `s3://bucket/prefix`.
    pub fn open(address: &str) -> Result<Self, AddressRefused> {
        Ok(Self { place: open(address)? })
    }

    /// The registry at a place.
    pub const fn at(place: Place) -> Self {
        Self { place }
    }

    fn key(&self, bundle: &Digest, file: &str) -> object_store::path::Path {
        self.place.key(&format!("models/{}/{file}", hex::encode(bundle.as_bytes())))
    }

    /// Keeps a bundle. `bundle.json` is written last: without it there is no bundle.
    pub async fn put(&self, dir: &Path, summary: &BundleSummary) -> Result<(), RegistryFailed> {
        let others = summary.files.iter().filter(|name| *name != BundleSummary::MANIFEST);
        let signature = dir.join(SIGNATURE_FILE).is_file().then_some(SIGNATURE_FILE);
        let others = others.map(String::as_str).chain(signature);
        for name in others.chain([BundleSummary::MANIFEST]) {
            let key = self.key(&summary.digest, name);
            let upload = self.place.store.put_multipart(&key).await?;
            let mut upload = WriteMultipart::new_with_chunk_size(upload, PART);
            let mut file = tokio::fs::File::open(dir.join(name)).await?;
            let mut buffer = vec![0_u8; 1 << 18];
            loop {
                let read = file.read(&mut buffer).await?;
                if read == 0 {
                    break;
                }
                upload.wait_for_capacity(4).await?;
                upload.write(buffer.get(..read).unwrap_or_default());
            }
            upload.finish().await?;
        }
        Ok(())
    }

    /// Whether a bundle is there.
    pub async fn has(&self, bundle: &Digest) -> Result<bool, RegistryFailed> {
        match self.place.store.head(&self.key(bundle, BundleSummary::MANIFEST)).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Fetches a bundle into a directory that is there and empty, and checks that it is the one
    /// that was asked for: every file's digest, and the digest over them.
    pub async fn fetch(
        &self,
        bundle: &Digest,
        into: &Path,
    ) -> Result<BundleSummary, RegistryFailed> {
        let altered = |found: String| RegistryFailed::Altered { wanted: *bundle, found };
        self.fetch_file(bundle, BundleSummary::MANIFEST, into, MANIFEST_MAX).await?;
        let manifest = fs::read(into.join(BundleSummary::MANIFEST))?;
        let files = BundleSummary::files_of(&manifest).map_err(|why| altered(why.to_string()))?;
        for (name, digest) in &files {
            let found = self.fetch_file(bundle, name, into, FILE_MAX).await?;
            if found != *digest {
                return Err(altered(format!("changed in `{name}`")));
            }
        }
        let dir = into.to_owned();
        let summary = tokio::task::spawn_blocking(move || BundleSummary::read(&dir))
            .await
            .map_err(|why| altered(why.to_string()))?
            .map_err(|why| altered(why.to_string()))?;
        if summary.digest != *bundle {
            return Err(altered(summary.digest.to_string()));
        }
        Ok(summary)
    }

    async fn fetch_file(
        &self,
        bundle: &Digest,
        name: &str,
        into: &Path,
        limit: u64,
    ) -> Result<Digest, RegistryFailed> {
        let found = match self.place.store.get(&self.key(bundle, name)).await {
            Ok(found) => found,
            Err(object_store::Error::NotFound { .. }) => {
                return Err(RegistryFailed::Missing(*bundle));
            }
            Err(fault) => return Err(fault.into()),
        };
        let too_large = || RegistryFailed::Altered {
            wanted: *bundle,
            found: format!("larger than {limit} bytes in `{name}`"),
        };
        let (mut file, mut digest) = (fs::File::create_new(into.join(name))?, Sha256::new());
        let (mut stream, mut left) = (found.into_stream(), limit);
        while let Some(chunk) = stream.next().await {
            let chunk = chunk?;
            let bytes = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            left = left.checked_sub(bytes).ok_or_else(too_large)?;
            digest.update(&chunk);
            file.write_all(&chunk)?;
        }
        file.sync_all()?;
        Ok(Digest::from_bytes(digest.finalize().into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bundle::tests::bundle, scan};

    #[tokio::test]
    async fn a_bundle_comes_back_as_it_was_put() {
        let (store, dir) = (tempfile::tempdir().unwrap(), bundle("1"));
        let registry = Registry::open(store.path().to_str().unwrap()).unwrap();
        let summary = scan(dir.path()).unwrap().summary;
        assert!(!registry.has(&summary.digest).await.unwrap());
        registry.put(dir.path(), &summary).await.unwrap();
        registry.put(dir.path(), &summary).await.unwrap();
        assert!(registry.has(&summary.digest).await.unwrap());
        let into = tempfile::tempdir().unwrap();
        assert_eq!(registry.fetch(&summary.digest, into.path()).await.unwrap(), summary);
        let other = Digest::of(b"other");
        let into = tempfile::tempdir().unwrap();
        let missing = registry.fetch(&other, into.path()).await;
        assert!(matches!(missing, Err(RegistryFailed::Missing(_))), "{missing:?}");
    }

    #[tokio::test]
    async fn whatever_is_altered_is_noticed() {
        let dir = bundle("1");
        let summary = scan(dir.path()).unwrap().summary;
        for name in &summary.files {
            let store = tempfile::tempdir().unwrap();
            let registry = Registry::open(store.path().to_str().unwrap()).unwrap();
            registry.put(dir.path(), &summary).await.unwrap();
            let path = store.path().join("models").join(hex::encode(summary.digest.as_bytes()));
            let mut bytes = fs::read(path.join(name)).unwrap();
            let last = bytes.len() - 1;
            bytes[last] ^= 1;
            fs::write(path.join(name), bytes).unwrap();
            let into = tempfile::tempdir().unwrap();
            let fetched = registry.fetch(&summary.digest, into.path()).await;
            assert!(matches!(fetched, Err(RegistryFailed::Altered { .. })), "{name}: {fetched:?}");
        }
        // Another bundle in its place is one that adds up, but not the one that was asked for.
        let store = tempfile::tempdir().unwrap();
        let registry = Registry::open(store.path().to_str().unwrap()).unwrap();
        let other = bundle("2");
        registry.put(other.path(), &scan(other.path()).unwrap().summary).await.unwrap();
        let models = store.path().join("models");
        let there = hex::encode(scan(other.path()).unwrap().summary.digest.as_bytes());
        fs::rename(models.join(there), models.join(hex::encode(summary.digest.as_bytes())))
            .unwrap();
        let into = tempfile::tempdir().unwrap();
        let fetched = registry.fetch(&summary.digest, into.path()).await;
        assert!(matches!(fetched, Err(RegistryFailed::Altered { .. })), "{fetched:?}");
    }
}
