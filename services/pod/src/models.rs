//! The models of a pod: loaded side by side within a bound of memory. What was not used for the
//! longest time makes room; it is loaded again when it is called.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::RwLock;
use reeve_classifier::Bundle;
use reeve_domain::Digest;
use reeve_protocol::signature::Vouchers;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::{
    model::{Accepted, Model, NotLoaded},
    problem::Problem,
    runtime::Runtime,
};

/// All models, by name and version.
pub(crate) struct Models {
    runtime: Arc<Runtime>,
    slots: RwLock<BTreeMap<Key, Slot>>,
    /// Loading and unloading, one at a time: two at once could not both keep within the bound.
    changes: Mutex<()>,
    memory: u64,
    /// Who must vouch for a bundle that is loaded.
    vouchers: Vouchers,
}

type Key = (String, String);

enum Slot {
    Loaded(Arc<Model>),
    /// Made room for others, or could not be loaded.
    Resting {
        dir: PathBuf,
        digest: Digest,
        why: String,
    },
}

/// A line of the repository's index.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Listed {
    pub(crate) name: String,
    pub(crate) version: String,
    /// `READY` or `UNAVAILABLE`.
    pub(crate) state: &'static str,
    pub(crate) reason: String,
    pub(crate) digest: Digest,
}

/// What a model is, asked for by whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: Option<&'a str>,
    /// The bundle that a warrant names.
    pub(crate) digest: Option<&'a Digest>,
}

impl Models {
    pub(crate) fn new(runtime: Arc<Runtime>, memory: u64, vouchers: Vouchers) -> Self {
        let (slots, changes) = (RwLock::default(), Mutex::default());
        Self { runtime, slots, changes, memory, vouchers }
    }

    /// Loads the bundle in a directory and serves it, beside what is served already. One that is
    /// loaded already stays as it is; another of the same name and version is replaced without a
    /// call being dropped. `expected`: what it must be.
    pub(crate) async fn load(
        &self,
        dir: &Path,
        expected: Option<(&str, Digest)>,
    ) -> Result<Arc<Model>, NotLoaded> {
        let _one = self.changes.lock().await;
        self.load_alone(dir, expected).await
    }

    async fn load_alone(
        &self,
        dir: &Path,
        expected: Option<(&str, Digest)>,
    ) -> Result<Arc<Model>, NotLoaded> {
        if let Some((_, digest)) = expected
            && let Some(loaded) = self.loaded().into_iter().find(|model| model.digest == digest)
        {
            return Ok(loaded);
        }
        let path = dir.to_owned();
        let bundle = blocking(move || Ok(Bundle::open(&path)?)).await?;
        let found: Digest = bundle.digest().parse().map_err(|_| NotLoaded::NoDigest)?;
        if let Some((name, digest)) = expected {
            if found != digest {
                return Err(NotLoaded::Digest { found, expected: digest });
            }
            if bundle.name() != name {
                let (found, expected) = (bundle.name().to_owned(), name.to_owned());
                return Err(NotLoaded::Name { found, expected });
            }
        }
        self.vouchers.check(dir, (bundle.name(), bundle.version()), &found)?;
        let key = (bundle.name().to_owned(), bundle.version().to_owned());
        if let Some(Slot::Loaded(model)) = self.slots.read().get(&key)
            && model.digest == found
        {
            return Ok(model.clone());
        }
        let needed = reeve_classifier::Engine::reckon(
            &bundle,
            self.runtime.device,
            self.runtime.workers.get(),
        );
        self.make_room(needed, &key).await?;
        let (path, runtime) = (dir.to_owned(), self.runtime.clone());
        let model = blocking(move || Model::start(bundle, &path, &runtime)).await?;
        let before = self.slots.write().insert(key, Slot::Loaded(model.clone()));
        self.count();
        if let Some(Slot::Loaded(before)) = before {
            before.drain().await;
        }
        Ok(model)
    }

    /// Stops serving a model, all its versions if none is named, after what it accepted is
    /// answered. `digest`: only if it is this bundle. How many were unloaded or forgotten.
    pub(crate) async fn unload(&self, asked: Asked<'_>) -> usize {
        let _one = self.changes.lock().await;
        let gone: Vec<Slot> = {
            let mut slots = self.slots.write();
            let keys: Vec<Key> = slots
                .iter()
                .filter(|(key, slot)| asked.is(key, slot))
                .map(|(key, _)| key.clone())
                .collect();
            keys.iter().filter_map(|key| slots.remove(key)).collect()
        };
        for slot in &gone {
            if let Slot::Loaded(model) = slot {
                model.drain().await;
                tracing::info!(model = model.name, version = model.version, "unloaded");
            }
        }
        self.count();
        gone.len()
    }

    /// Everything that is or could be served.
    pub(crate) fn list(&self) -> Vec<Listed> {
        let listed = |((name, version), slot): (&Key, &Slot)| {
            let (state, reason) = match slot {
                Slot::Loaded(model) if model.is_ready() => ("READY", String::new()),
                Slot::Loaded(_) => ("UNAVAILABLE", "it starts or stops".to_owned()),
                Slot::Resting { why, .. } => ("UNAVAILABLE", why.clone()),
            };
            let (name, version) = (name.clone(), version.clone());
            Listed { name, version, state, reason, digest: slot.digest() }
        };
        self.slots.read().iter().map(listed).collect()
    }

    /// Those that are loaded.
    pub(crate) fn loaded(&self) -> Vec<Arc<Model>> {
        self.slots.read().values().filter_map(Slot::model).cloned().collect()
    }

    /// The model that is asked for, loaded or not; the newest version if none is named.
    pub(crate) fn find(&self, asked: Asked<'_>) -> Result<Arc<Model>, Problem> {
        match self.look(asked)? {
            Found::Loaded(model) => Ok(model),
            Found::Resting { .. } => Err(Problem::NotReady),
        }
    }

    /// Takes a call in for the model that is asked for, which is loaded again if it had made room.
    pub(crate) async fn accept(&self, asked: Asked<'_>) -> Result<Accepted, Problem> {
        // Once more, since between the look and the call it may have been replaced.
        for _ in 0..3 {
            match self.look(asked)? {
                Found::Loaded(model) => {
                    if let Ok(accepted) = model.accept() {
                        return Ok(accepted);
                    }
                    tokio::task::yield_now().await;
                }
                Found::Resting { dir, name, digest } => {
                    if let Err(error) = self.load(&dir, Some((&name, digest))).await {
                        tracing::error!(%error, model = name, "a model cannot be loaded again");
                        return Err(Problem::NotReady);
                    }
                }
            }
        }
        Err(Problem::NotReady)
    }

    fn look(&self, asked: Asked<'_>) -> Result<Found, Problem> {
        let slots = self.slots.read();
        let mut named = slots.iter().filter(|(key, slot)| asked.is(key, slot));
        // The last one in order: versions are numbers or dates in most houses.
        if let Some((key, slot)) = named.next_back() {
            return Ok(match slot {
                Slot::Loaded(model) => Found::Loaded(model.clone()),
                Slot::Resting { dir, digest, .. } => {
                    Found::Resting { dir: dir.clone(), name: key.0.clone(), digest: *digest }
                }
            });
        }
        let name = asked.name.to_owned();
        if !slots.keys().any(|(other, _)| *other == name) {
            let served: Vec<&str> = slots.keys().map(|(name, _)| name.as_str()).collect();
            return Err(Problem::Model { asked: name, served: served.join("`, `") });
        }
        match (asked.version, asked.digest) {
            (Some(version), _) if !slots.keys().any(|(n, v)| *n == name && v == version) => {
                Err(Problem::Version { asked: version.to_owned(), model: name })
            }
            (_, Some(digest)) => {
                Err(reeve_protocol::warrant::WarrantRefusal::Model(*digest).into())
            }
            _ => Err(Problem::NotReady),
        }
    }

    /// Takes no more calls at all, and waits until those that were accepted are answered.
    pub(crate) async fn drain(&self) {
        let all = self.loaded();
        let drains = all.iter().map(Model::drain);
        futures_util::future::join_all(drains).await;
    }

    /// Unloads what was not used for the longest time until there is room.
    async fn make_room(&self, needed: u64, for_key: &Key) -> Result<(), NotLoaded> {
        if needed > self.memory {
            return Err(NotLoaded::Memory { needed, limit: self.memory });
        }
        loop {
            let loaded = self.loaded();
            let taken: u64 = loaded.iter().map(|model| model.bytes()).sum();
            if taken.saturating_add(needed) <= self.memory {
                return Ok(());
            }
            let own = |model: &Model| (&model.name, &model.version) == (&for_key.0, &for_key.1);
            let others = loaded.into_iter().filter(|model| !own(model));
            let Some(oldest) = others.min_by_key(|model| (model.is_busy(), model.used())) else {
                return Ok(());
            };
            tracing::info!(model = oldest.name, version = oldest.version, "makes room");
            let resting = Slot::Resting {
                dir: oldest.dir.clone(),
                digest: oldest.digest,
                why: "it made room for others; the next call loads it".to_owned(),
            };
            let key = (oldest.name.clone(), oldest.version.clone());
            self.slots.write().insert(key, resting);
            oldest.drain().await;
        }
    }

    fn count(&self) {
        let loaded = self.loaded();
        let bytes = loaded.iter().map(|model| model.bytes()).sum();
        self.runtime.metrics.models(loaded.len(), bytes);
    }
}

enum Found {
    Loaded(Arc<Model>),
    Resting { dir: PathBuf, name: String, digest: Digest },
}

impl Slot {
    fn digest(&self) -> Digest {
        match self {
            Self::Loaded(model) => model.digest,
            Self::Resting { digest, .. } => *digest,
        }
    }

    const fn model(&self) -> Option<&Arc<Model>> {
        match self {
            Self::Loaded(model) => Some(model),
            Self::Resting { .. } => None,
        }
    }
}

impl Asked<'_> {
    fn is(&self, (name, version): &Key, slot: &Slot) -> bool {
        self.name == name
            && self.version.is_none_or(|asked| asked == version)
            && self.digest.is_none_or(|digest| *digest == slot.digest())
    }
}

/// Does what takes long on a thread where it holds up nobody.
async fn blocking<T: Send + 'static>(
    job: impl FnOnce() -> Result<T, NotLoaded> + Send + 'static,
) -> Result<T, NotLoaded> {
    let lost = |_| NotLoaded::WarmUp("loading ended without a result".to_owned());
    tokio::task::spawn_blocking(job).await.map_err(lost)?
}
