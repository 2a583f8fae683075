use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use object_store::{ObjectStoreExt as _, path::Path as Key};
use reeve_domain::{Digest, Origin};
use reeve_ledger::{
    Checkpoint, NoteRefused, ReadFailed, Reader, Resource, VerifierKey, consistency_holds, expired,
    segment_files,
};
use reeve_registry::{AddressRefused, Place};
use tokio::{sync::mpsc, task};

/// A log cannot be published.
#[derive(Debug, thiserror::Error)]
pub enum ShipFailed {
    /// The address cannot be used.
    #[error(transparent)]
    Address(#[from] AddressRefused),
    /// The object store refuses.
    #[error("the object store: {0}")]
    Store(#[from] object_store::Error),
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] ReadFailed),
    /// The same.
    #[error("the log cannot be read: {0}")]
    Io(#[from] io::Error),
    /// What is published is not this log's.
    #[error("what is published of `{origin}` is not of this log: {refused}")]
    Foreign {
        /// The log.
        origin: Origin,
        /// Why.
        refused: NoteRefused,
    },
    /// More was published than there is, or something else.
    #[error(
        "`{origin}` was rolled back or replaced: {published} entries are published that are not the \
         first of the {here} that are here"
    )]
    RolledBack {
        /// The log.
        origin: Origin,
        /// How many entries were published.
        published: u64,
        /// How many are here.
        here: u64,
    },
    /// The program is stopping.
    #[error("publishing was cut off")]
    CutOff,
}

/// Files that are made ahead of their upload.
const AHEAD: usize = 16;

/// Publishes logs to an object store, as C2SP tlog-tiles below the log's name.
#[derive(Clone)]
pub struct Shipper {
    place: Place,
    /// What is known to be missing from what was published of each segment.
    missing: HashMap<(Origin, u64), Digest>,
    /// Which files the segments were when that was found out.
    files: HashMap<Origin, Vec<(u64, u64)>>,
}

impl Shipper {
    /// A shipper to a directory, or to `s3://bucket/prefix` with the credentials of the usual
    /// `AWS_…` variables of the environment.
    pub fn new(address: &str) -> Result<Self, ShipFailed> {
        Ok(Self::to(reeve_registry::open(address)?))
    }

    /// A shipper to a place in any object store.
    pub fn to(place: Place) -> Self {
        Self { place, missing: HashMap::new(), files: HashMap::new() }
    }

    fn key(&self, origin: &Origin, path: &str) -> Key {
        self.place.key(&format!("{origin}/{path}"))
    }

    /// Publishes what is new in a log, and gives how many entries are published. What is there
    /// already is read first: a log that is not its continuation is not published.
    pub async fn ship(
        &mut self,
        origin: &Origin,
        dir: &Path,
        key: &VerifierKey,
    ) -> Result<u64, ShipFailed> {
        let published = self.published(origin, key).await?;
        let (note, newest) = newest(dir)?;
        let reader = Arc::new(Reader::open(dir)?);
        let from = published.as_ref().map_or(0, |published| published.size);
        if let Some(published) = &published {
            let rolled_back = || ShipFailed::RolledBack {
                origin: origin.clone(),
                published: published.size,
                here: newest.size,
            };
            if published.size > newest.size {
                return Err(rolled_back());
            }
            let proof = reader.consistency_proof(published.size, newest.size)?;
            let (old, new) = (&published.root, &newest.root);
            if !consistency_holds(published.size, newest.size, &proof, old, new) {
                return Err(rolled_back());
            }
        }
        if newest.size > from {
            let size = newest.size;
            let made = Arc::clone(&reader);
            self.put_all(origin, move |send| {
                for resource in made.resources(from, size) {
                    if send.blocking_send(resource).is_err() {
                        return;
                    }
                }
            })
            .await?;
            self.place.store.put(&self.key(origin, "checkpoint"), note.into_bytes().into()).await?;
            for path in Reader::superseded(from, size) {
                match self.place.store.delete(&self.key(origin, &path)).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(fault) => return Err(fault.into()),
                }
            }
        }
        self.take_out(origin, dir, reader, newest.size).await?;
        Ok(newest.size)
    }

    async fn published(
        &self,
        origin: &Origin,
        key: &VerifierKey,
    ) -> Result<Option<Checkpoint>, ShipFailed> {
        let note = match self.place.store.get(&self.key(origin, "checkpoint")).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(fault) => return Err(fault.into()),
        };
        Checkpoint::open(&String::from_utf8_lossy(&note), key)
            .map(Some)
            .map_err(|refused| ShipFailed::Foreign { origin: origin.clone(), refused })
    }

    /// Uploads what `make` makes on a thread of its own.
    async fn put_all(
        &self,
        origin: &Origin,
        make: impl FnOnce(mpsc::Sender<Result<Resource, ReadFailed>>) + Send + 'static,
    ) -> Result<(), ShipFailed> {
        let (send, mut made) = mpsc::channel(AHEAD);
        let making = task::spawn_blocking(move || make(send));
        while let Some(resource) = made.recv().await {
            let Resource { path, bytes } = resource?;
            self.place.store.put(&self.key(origin, &path), bytes.into()).await?;
        }
        making.await.map_err(|_| ShipFailed::CutOff)
    }

    /// Publishes the bundles anew of which entries were deleted since they were published.
    async fn take_out(
        &mut self,
        origin: &Origin,
        dir: &Path,
        reader: Arc<Reader>,
        size: u64,
    ) -> Result<(), ShipFailed> {
        // Only when a segment is another file than before.
        let files = segment_files(dir)?;
        if self.files.get(origin) == Some(&files) {
            return Ok(());
        }
        let (of, log): (PathBuf, Origin) = (dir.to_owned(), origin.clone());
        let missing = task::spawn_blocking(move || expired(&of, &log))
            .await
            .map_err(|_| ShipFailed::CutOff)??;
        for (segment, gone, digest) in missing {
            let place = (origin.clone(), segment);
            if self.missing.get(&place) == Some(&digest) {
                continue;
            }
            let bundles: std::collections::BTreeSet<u64> =
                gone.iter().filter(|index| **index < size).map(|index| index >> 8).collect();
            let made = Arc::clone(&reader);
            self.put_all(origin, move |send| {
                for index in bundles {
                    let width = size.saturating_sub(index << 8).min(256);
                    if send.blocking_send(made.bundle(index, width)).is_err() {
                        return;
                    }
                }
            })
            .await?;
            self.missing.insert(place, digest);
        }
        self.files.insert(origin.clone(), files);
        Ok(())
    }
}

/// The newest checkpoint, with cosignatures if the newest that has some is the newest.
fn newest(dir: &Path) -> Result<(String, Checkpoint), ShipFailed> {
    let reader = Reader::open(dir)?;
    let newest = reader.newest()?;
    let note = match reader.cosigned()? {
        Some(cosigned) if cosigned.starts_with(&newest.to_string()) => cosigned,
        _ => reader.checkpoint()?,
    };
    Ok((note, newest))
}
