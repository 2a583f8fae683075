//! What computes the networks that this crate has no loop of its own for.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Architecture, Arithmetic, Encoded, ExplainSettings, Weights};

/// Where a network is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Device {
    /// The processor.
    Cpu,
    /// A GPU, by its number.
    Cuda(usize),
}

impl Device {
    /// Whether it is a GPU.
    pub const fn is_cuda(self) -> bool {
        matches!(self, Self::Cuda(_))
    }
}

/// A library that computes networks of every architecture on every device. There is one, libtorch;
/// it is linked (`reeve-torch`), or loaded when something needs it ([`crate::Library`]).
pub trait Backend: fmt::Debug + Send + Sync {
    /// The first GPU that it can use, else the CPU.
    fn device(&self) -> Result<Device, BackendError>;

    /// Puts a copy of a network on a device. [`Arithmetic::Int8`] is not to be had.
    fn network(
        &self,
        source: Source<'_>,
        device: Device,
        precision: Arithmetic,
    ) -> Result<Box<dyn Network>, BackendError>;
}

/// A network on a device, owned by one thread.
pub trait Network: fmt::Debug + Send {
    /// A row of logits a text, in order, of a text in windows their mean. Where every token has a
    /// label, rows may go on behind a text's last token.
    fn answers(&self, texts: &[&Encoded]) -> Result<Vec<Vec<f32>>, BackendError>;

    /// What tokens and n-grams add to a label's logit, by integrated gradients; none of a network
    /// that has no gradients.
    fn integrate(
        &self,
        text: &Encoded,
        label: usize,
        settings: ExplainSettings,
    ) -> Result<Option<Integral>, BackendError>;
}

/// What a network is made of.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Its shape.
    pub architecture: &'a Architecture,
    /// Weights that fit it ([`Weights::check`]).
    pub weights: &'a Weights,
    /// A TorchScript module instead of weights.
    pub script: Option<&'a [u8]>,
    /// How many labels there are.
    pub classes: usize,
    /// A token that every network of the bundle knows.
    pub empty_token: i64,
}

/// What each token and each n-gram of a text adds to a label's logit.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Integral {
    /// Of each token, in order.
    pub tokens: Vec<f32>,
    /// Of each n-gram, in order.
    pub grams: Vec<f32>,
    /// The label's logit for nothing.
    pub baseline: f32,
    /// How far the sum of all is from what it should be, as a share of it.
    pub error: f32,
    /// Points at which gradients were taken.
    pub steps: u32,
}

/// The library is not there, or could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct BackendError(pub String);
