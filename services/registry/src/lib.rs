//! Bundles of models as files: what an upload is, where bundles are kept by their digest, and how
//! one comes to where it is served.
//!
//! It does not know what a network is and does not link libtorch: a bundle is files whose digests
//! add up, with a safetensors file among them that says of itself what tensors it holds. Nothing
//! that could run anything is taken in.

mod archive;
mod bundle;
mod cache;
mod objects;
mod registry;

pub use reeve_protocol::model::digest_of;

pub use archive::{Limits, UploadRefused, unpack};
pub use bundle::{BundleRefused, Scanned, scan};
pub use cache::{Cache, FetchFailed};
pub use objects::{AddressRefused, Place, open};
pub use registry::{Registry, RegistryFailed};
