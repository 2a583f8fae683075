use std::{collections::BTreeSet, path::PathBuf};

use parking_lot::Mutex;
use reeve_domain::Digest;
use reeve_registry::{Cache, Registry};
use tokio::runtime::Handle;

use crate::{model::NotLoaded, source::Source};

/// Bundles that are fetched by their digest from where models are kept, into a cache on this
/// machine, and checked each time.
pub(crate) struct Remote {
    registry: Registry,
    cache: Cache,
    runtime: Handle,
    /// What was ordered and not taken back: the cache makes no room of it.
    ordered: Mutex<BTreeSet<Digest>>,
}

impl Remote {
    /// Must be called inside the runtime that is to fetch.
    pub(crate) fn new(registry: Registry, cache: Cache) -> Self {
        Self { registry, cache, runtime: Handle::current(), ordered: Mutex::default() }
    }
}

impl Source for Remote {
    fn find(&self, _: &str, digest: &Digest) -> Result<PathBuf, NotLoaded> {
        let ordered = {
            let mut ordered = self.ordered.lock();
            ordered.insert(*digest);
            ordered.clone()
        };
        let fetched = self.cache.fetch(&self.registry, digest, &ordered);
        self.runtime.block_on(fetched).map_err(|why| {
            self.ordered.lock().remove(digest);
            tracing::warn!(%digest, error = %why, "a bundle cannot be fetched");
            NotLoaded::Unknown(why.to_string())
        })
    }

    fn forget(&self, digest: &Digest) {
        self.ordered.lock().remove(digest);
    }
}
