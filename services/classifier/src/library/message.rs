//! What is asked of the library, and what it answers: bytes in the form of postcard, whose fields
//! have no names. Both sides must be of the same release.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Architecture, Arithmetic, BackendError, Device, Encoded, ExplainSettings, Integral, Source,
    Weights,
};

/// The function that the library exports, a [`Call`].
pub const CALL: &[u8] = b"reeve_torch_call";
/// The variable that the library exports, a C string: which messages it understands.
pub const RELEASE: &[u8] = b"reeve_torch_release";

/// Gives `length` bytes at `request` to the library, which hands the bytes of its answer to `reply`,
/// once, with `context`, before it returns.
pub type Call = unsafe extern "C" fn(
    request: *const u8,
    length: usize,
    reply: Reply,
    context: *mut std::ffi::c_void,
);
/// Takes `length` bytes at `answer`, which are gone when it returns.
pub type Reply =
    unsafe extern "C" fn(context: *mut std::ffi::c_void, answer: *const u8, length: usize);

/// This release and the number of this form of the messages, which changes with them; a C string.
const FORM: &str = concat!(env!("CARGO_PKG_VERSION"), "/1\0");

/// What [`RELEASE`] is in a library of this release.
pub const fn release() -> [u8; FORM.len()] {
    match FORM.as_bytes().first_chunk() {
        Some(bytes) => *bytes,
        None => [0; FORM.len()],
    }
}

/// What can be asked.
#[derive(Debug, Serialize, Deserialize)]
pub enum Request {
    /// As [`crate::Backend::device`].
    Device,
    /// As [`crate::Backend::network`].
    Network {
        /// What it is made of.
        source: SourceBytes,
        /// Where to.
        device: Device,
        /// How precisely.
        precision: Arithmetic,
    },
    /// As [`crate::Network::answers`].
    Answers {
        /// Which network.
        network: u64,
        /// The texts.
        texts: Vec<Encoded>,
    },
    /// As [`crate::Network::integrate`].
    Integrate {
        /// Which network.
        network: u64,
        /// The text.
        text: Encoded,
        /// Whose logit.
        label: usize,
        /// At what cost.
        settings: ExplainSettings,
    },
    /// A network is not needed any more.
    Drop {
        /// Which one.
        network: u64,
    },
}

/// An answer to each kind of request, in their order.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// Where networks can be.
    Device(Device),
    /// The number of a network.
    Network(u64),
    /// Rows of logits.
    Answers(Vec<Vec<f32>>),
    /// What adds to a logit.
    Integrate(Option<Integral>),
    /// It is gone.
    Dropped,
}

/// A [`Source`] as bytes.
#[derive(Debug, Serialize, Deserialize)]
pub struct SourceBytes {
    /// In JSON, whose fields have names.
    architecture: String,
    /// A safetensors file.
    weights: Vec<u8>,
    script: Option<Vec<u8>>,
    classes: usize,
    empty_token: i64,
}

/// What [`SourceBytes`] hold, to borrow a [`Source`] from.
#[derive(Debug)]
pub struct OwnedSource {
    architecture: Architecture,
    weights: Weights,
    bytes: SourceBytes,
}

impl SourceBytes {
    /// Of a source.
    pub fn of(source: Source<'_>) -> Result<Self, BackendError> {
        let failed = |error: &dyn std::fmt::Display| BackendError(error.to_string());
        Ok(Self {
            architecture: serde_json::to_string(source.architecture).map_err(|e| failed(&e))?,
            weights: source.weights.to_safetensors().map_err(|e| failed(&e))?,
            script: source.script.map(<[u8]>::to_vec),
            classes: source.classes,
            empty_token: source.empty_token,
        })
    }

    /// Reads it back.
    pub fn open(self) -> Result<OwnedSource, BackendError> {
        let failed = |error: &dyn std::fmt::Display| BackendError(error.to_string());
        Ok(OwnedSource {
            architecture: serde_json::from_str(&self.architecture).map_err(|e| failed(&e))?,
            weights: Weights::read(&self.weights).map_err(|e| failed(&e))?,
            bytes: self,
        })
    }
}

impl OwnedSource {
    /// The source that it was made of.
    pub fn source(&self) -> Source<'_> {
        Source {
            architecture: &self.architecture,
            weights: &self.weights,
            script: self.bytes.script.as_deref(),
            classes: self.bytes.classes,
            empty_token: self.bytes.empty_token,
        }
    }
}

/// As bytes.
pub fn to_bytes<T: Serialize>(message: &T) -> Result<Vec<u8>, BackendError> {
    postcard::to_stdvec(message).map_err(|error| BackendError(error.to_string()))
}

/// From bytes.
pub fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BackendError> {
    postcard::from_bytes(bytes).map_err(|error| BackendError(error.to_string()))
}
