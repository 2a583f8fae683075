use std::{io, sync::Arc};

use object_store::{ObjectStore, aws::AmazonS3Builder, local::LocalFileSystem, path::Path as Key};

/// A place in an object store.
#[derive(Clone)]
pub struct Place {
    /// The store.
    pub store: Arc<dyn ObjectStore>,
    /// What all names in it begin with; may be empty.
    pub prefix: String,
}

/// An address that names no object store.
#[derive(Debug, thiserror::Error)]
pub enum AddressRefused {
    /// It cannot be read.
    #[error("`{0}` is no object store: name a directory, `file:///…` or `s3://bucket/prefix`")]
    Unknown(String),
    /// The store refuses its settings.
    #[error("the object store: {0}")]
    Store(#[from] object_store::Error),
    /// The directory cannot be made.
    #[error("the directory of the object store cannot be made: {0}")]
    Io(#[from] io::Error),
}

/// Opens a directory, or `s3://bucket/prefix` with the credentials of the usual `AWS_…` variables
/// of the environment.
pub fn open(address: &str) -> Result<Place, AddressRefused> {
    if let Some(rest) = address.strip_prefix("s3://") {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let store = AmazonS3Builder::from_env().with_bucket_name(bucket).build()?;
        return Ok(Place::new(Arc::new(store), prefix));
    }
    let dir = address.strip_prefix("file://").unwrap_or(address);
    if dir.contains("://") || dir.is_empty() {
        return Err(AddressRefused::Unknown(address.to_owned()));
    }
    std::fs::create_dir_all(dir)?;
    Ok(Place::new(Arc::new(LocalFileSystem::new_with_prefix(dir)?), ""))
}

impl Place {
    /// A place in any object store.
    pub fn new(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self { store, prefix: prefix.trim_matches('/').to_owned() }
    }

    /// The object of this name.
    pub fn key(&self, name: &str) -> Key {
        Key::from(format!("{}/{name}", self.prefix).trim_start_matches('/'))
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Place").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}
