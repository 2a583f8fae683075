use tch::Device;

use crate::{
    Bundle, EncodeError, Encoded, Encoder, Readout, Weights, WeightsError,
    network::{Network, row},
};

/// A bundle's network, ready to serve on one device. `Send`, not shared: one a worker thread.
#[derive(Debug)]
pub struct Classifier {
    network: Network,
    encoder: Encoder,
    vocabulary: i64,
    every_token: bool,
    classes: usize,
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
        bundle.weights().check(bundle.architecture())?;
        let network = Network::new(bundle.architecture(), bundle.weights(), device)
            .map_err(|error| LoadError::Device(error.to_string()))?;
        let vocabulary = i64::from(bundle.architecture().vocabulary);
        Ok(Self {
            network,
            encoder: bundle.encoder(),
            vocabulary,
            every_token: bundle.architecture().readout == Readout::EveryToken,
            classes: bundle.labels().len(),
        })
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
        let device = |error: tch::TchError| ForwardError::Device(error.to_string());
        let logits = tch::no_grad(|| {
            let (ids, lengths) = self.network.batch(&rows)?;
            self.network.forward(&ids, &lengths, false)
        })
        .map_err(device)?;
        let mut answers = Vec::with_capacity(batch.len());
        for index in 0..batch.len() {
            let mut answer = row(&logits, index).map_err(device)?;
            if self.every_token {
                // What was computed for padding means nothing.
                let tokens = batch.get(index).map_or(0, |text| text.ids.len());
                answer.truncate(tokens.saturating_mul(self.classes));
            }
            if !answer.iter().all(|logit| logit.is_finite()) {
                return Err(ForwardError::NotFinite(index));
            }
            answers.push(answer);
        }
        Ok(answers)
    }

    /// The weights as they are on the device.
    pub fn weights(&self) -> Result<Weights, ForwardError> {
        self.network.weights().map_err(|error| ForwardError::Device(error.to_string()))
    }
}

/// Probabilities that add up to 1, whatever finite logits they come from.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
