use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use parking_lot::Mutex;
use reeve_domain::Origin;
use reeve_ledger::Reader;
use reeve_store::{Store, StoreError, audit};

/// Leaves in one transaction: enough to pay for its sync, few enough that writers of other tables
/// do not wait for long.
const BATCH: usize = 1000;

/// Why a log could not be indexed to its end.
#[derive(Debug, thiserror::Error)]
pub enum IndexFailed {
    /// The store is away or refuses the rows.
    #[error("log `{origin}` cannot be indexed: {source}")]
    Store {
        /// The log.
        origin: Origin,
        /// What the store says.
        source: StoreError,
    },
    /// The log's files cannot be read.
    #[error("log `{origin}` cannot be read: {reason}")]
    Log {
        /// The log.
        origin: Origin,
        /// What is wrong.
        reason: String,
    },
    /// The log is shorter than what was indexed of it: it was cut or replaced.
    #[error("log `{origin}` has {size} leaves, but {indexed} were indexed")]
    Shorter {
        /// The log.
        origin: Origin,
        /// Leaves that it has.
        size: u64,
        /// Leaves that were indexed.
        indexed: u64,
    },
}

/// Brings the rows of the store up to the ends of the logs.
#[derive(Clone, Debug)]
pub struct Indexer {
    store: Store,
    logs: Vec<(Origin, PathBuf)>,
    /// A reader of each log, which knows where in its file it stopped: one that is opened anew reads
    /// a segment from its first byte.
    readers: Arc<Vec<Mutex<Option<Reader>>>>,
}

impl Indexer {
    /// An indexer of these logs; each name comes with the directory that holds the log.
    pub fn new(store: Store, logs: Vec<(Origin, PathBuf)>) -> Self {
        let readers = logs.iter().map(|_| Mutex::default()).collect();
        Self { store, logs, readers: Arc::new(readers) }
    }

    /// The store.
    pub const fn store(&self) -> &Store {
        &self.store
    }

    /// The logs.
    pub fn logs(&self) -> &[(Origin, PathBuf)] {
        &self.logs
    }

    /// Indexes what the logs hold now, and gives how many leaves were new. A log that does not
    /// exist yet is empty. One log's trouble does not keep the others waiting; the first failure
    /// is given when all had their turn. Blocks.
    pub fn run_once(&self) -> Result<usize, IndexFailed> {
        let mut indexed = 0_usize;
        let mut failure = None;
        for ((origin, dir), reader) in self.logs.iter().zip(&*self.readers) {
            if !dir.exists() {
                continue;
            }
            let mut reader = reader.lock();
            match self.index_log(origin, dir, &mut reader) {
                Ok(new) => indexed = indexed.saturating_add(new),
                Err(why) => {
                    // What was known of the files may be what is wrong.
                    *reader = None;
                    failure = failure.or(Some(why));
                }
            }
        }
        failure.map_or(Ok(indexed), Err)
    }

    /// Takes everything out of the store that was indexed, and indexes it anew from the logs. Gives
    /// how many leaves there were. Blocks.
    pub fn rebuild(&self) -> Result<usize, IndexFailed> {
        if let Some((origin, _)) = self.logs.first() {
            let origin = origin.clone();
            self.store
                .write(audit::clear)
                .map_err(|source| IndexFailed::Store { origin, source })?;
        }
        self.run_once()
    }

    fn index_log(
        &self,
        origin: &Origin,
        dir: &Path,
        reader: &mut Option<Reader>,
    ) -> Result<usize, IndexFailed> {
        let store_failed = |source| IndexFailed::Store { origin: origin.clone(), source };
        let log_failed = |reason: String| IndexFailed::Log { origin: origin.clone(), reason };
        let from = self.store.read(|c| audit::cursor(c, origin)).map_err(store_failed)?;
        let reader = match reader {
            Some(reader) => reader,
            None => reader.insert(Reader::open(dir).map_err(|why| log_failed(why.to_string()))?),
        };
        let newest = reader.newest().map_err(|why| log_failed(why.to_string()))?;
        let size = newest.size;
        if size < from {
            return Err(IndexFailed::Shorter { origin: origin.clone(), size, indexed: from });
        }
        let mut indexed = 0_usize;
        let mut batch = Vec::with_capacity(BATCH);
        let mut failed = None;
        let mut expected = from;
        for entry in reader.entries(from) {
            match entry {
                Ok((index, bytes)) => {
                    let leaf = leaf(origin, index, &bytes);
                    batch.push(if index > expected { leaf.after_deleted() } else { leaf });
                    expected = index.saturating_add(1);
                }
                Err(why) => {
                    // What stands before the damage is indexed all the same.
                    failed = Some(log_failed(why.to_string()));
                    break;
                }
            }
            if batch.len() >= BATCH {
                indexed = indexed.saturating_add(self.write(origin, &batch)?);
                batch.clear();
            }
        }
        if !batch.is_empty() {
            indexed = indexed.saturating_add(self.write(origin, &batch)?);
        }
        failed.map_or(Ok(indexed), Err)
    }

    fn write(&self, origin: &Origin, batch: &[audit::Leaf]) -> Result<usize, IndexFailed> {
        self.store
            .write(|c| audit::index(c, origin, batch))
            .map_err(|source| IndexFailed::Store { origin: origin.clone(), source })
    }
}

fn leaf(origin: &Origin, index: u64, bytes: &[u8]) -> audit::Leaf {
    let leaf = audit::Leaf::parse(index, reeve_ledger::leaf_hash(bytes), bytes);
    if leaf.is_malformed() {
        tracing::warn!(%origin, index, "a leaf cannot be read; it is indexed as malformed");
    }
    leaf
}
