use tch::Device;

#[cfg(target_arch = "x86_64")]
use crate::native::Native;
use crate::{
    Arithmetic, Bundle, EncodeError, Encoded, Encoder, Readout, Weights, WeightsError,
    network::{Network, row},
};

/// A bundle's network, ready to serve on one device. `Send`, not shared: one a worker thread.
#[derive(Debug)]
pub struct Classifier {
    network: Compute,
    encoder: Encoder,
    vocabulary: i64,
    every_token: bool,
    classes: usize,
}

/// What computes.
#[derive(Debug)]
enum Compute {
    Torch(Network),
    /// Shared by all workers: it is only read.
    #[cfg(target_arch = "x86_64")]
    Native(std::sync::Arc<Native>),
}

/// A bundle that could not be put on its device.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// Weights that do not fit the architecture.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The device is full or gone.
    #[error("the weights cannot be put on the device: {0}")]
    Device(String),
    /// Nothing here computes so.
    #[error("{0} is not available for this network on this device")]
    Precision(Arithmetic),
    /// What it computes is too far from what it should.
    #[error(
        "in {precision} a probability differs by {difference} from fp32, more than the bound {bound}"
    )]
    Differs {
        /// How it was to compute.
        precision: Arithmetic,
        /// The largest difference.
        difference: f32,
        /// What was asked for.
        bound: f32,
    },
}

/// A forward pass that failed.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// Not made by this bundle's encoder.
    #[error("text {0} of the batch has no token, or one outside the vocabulary")]
    Tokens(usize),
    /// The device failed.
    #[error("the forward pass failed: {0}")]
    Device(String),
    /// Finite weights gave a logit that is not: never served.
    #[error("the logits of text {0} of the batch are not finite")]
    NotFinite(usize),
}

impl Classifier {
    /// Puts a copy of a bundle's weights on a device.
    pub fn load(bundle: &Bundle, device: Device) -> Result<Self, LoadError> {
        Self::in_precision(bundle, device, Arithmetic::Fp32)
    }

    /// Puts a copy of a bundle's weights on a device, to compute so precisely.
    pub(crate) fn in_precision(
        bundle: &Bundle,
        device: Device,
        precision: Arithmetic,
    ) -> Result<Self, LoadError> {
        bundle.weights().check(bundle.architecture())?;
        let mut network = Network::new(bundle.architecture(), bundle.weights(), device)
            .map_err(|error| LoadError::Device(error.to_string()))?;
        match precision {
            Arithmetic::Fp32 => {}
            Arithmetic::Bf16 => network.bf16(),
            Arithmetic::Int8 => return Err(LoadError::Precision(precision)),
        }
        Ok(Self::of(bundle, Compute::Torch(network)))
    }

    /// A network that was made for this processor.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn native(bundle: &Bundle, native: std::sync::Arc<Native>) -> Self {
        Self::of(bundle, Compute::Native(native))
    }

    fn of(bundle: &Bundle, network: Compute) -> Self {
        Self {
            network,
            encoder: bundle.encoder(),
            vocabulary: i64::from(bundle.architecture().vocabulary),
            every_token: bundle.architecture().readout == Readout::EveryToken,
            classes: bundle.labels().len(),
        }
    }

    /// As [`Encoder::encode`].
    pub fn encode(&self, text: &str) -> Result<Encoded, EncodeError> {
        self.encoder.encode(text)
    }

    /// One row of logits a text, in the order given. Which other texts share the batch changes
    /// nothing but the last bits of rounding.
    pub fn logits(&self, batch: &[&Encoded]) -> Result<Vec<Vec<f32>>, ForwardError> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        // An id outside the embedding would be undefined on a GPU: never let one through.
        let known = |id: &i64| (0..self.vocabulary).contains(id);
        let bad = batch.iter().position(|text| text.ids.is_empty() || !text.ids.iter().all(known));
        if let Some(index) = bad {
            return Err(ForwardError::Tokens(index));
        }
        let rows: Vec<&[i64]> = batch.iter().map(|text| text.ids.as_slice()).collect();
        let answers = match &self.network {
            Compute::Torch(network) => self.torch(network, &rows)?,
            #[cfg(target_arch = "x86_64")]
            Compute::Native(native) => native.logits(&rows),
        };
        let finite = |answer: &Vec<f32>| answer.iter().all(|logit| logit.is_finite());
        match answers.iter().position(|answer| !finite(answer)) {
            Some(index) => Err(ForwardError::NotFinite(index)),
            None => Ok(answers),
        }
    }

    fn torch(&self, network: &Network, rows: &[&[i64]]) -> Result<Vec<Vec<f32>>, ForwardError> {
        let device = |error: tch::TchError| ForwardError::Device(error.to_string());
        let logits = tch::no_grad(|| {
            let (ids, lengths) = network.batch(rows)?;
            let logits = network.forward(&ids, &lengths, false)?;
            // One transfer for all rows, and in the type that they are read in.
            logits.f_to_device(Device::Cpu)?.f_to_kind(tch::Kind::Float)
        })
        .map_err(device)?;
        let mut answers = Vec::with_capacity(rows.len());
        for (index, text) in rows.iter().enumerate() {
            let mut answer = row(&logits, index).map_err(device)?;
            if self.every_token {
                // What was computed for padding means nothing.
                answer.truncate(text.len().saturating_mul(self.classes));
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    /// The weights as they are on the device.
    pub fn weights(&self) -> Result<Weights, ForwardError> {
        match &self.network {
            Compute::Torch(network) => {
                network.weights().map_err(|error| ForwardError::Device(error.to_string()))
            }
            #[cfg(target_arch = "x86_64")]
            Compute::Native(_) => {
                Err(ForwardError::Device("they are not kept in their own form".to_owned()))
            }
        }
    }
}

/// Probabilities that add up to 1, whatever finite logits they come from.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
