use tch::Device;

use crate::{
    Answer, Bundle, Confidence, EncodeError, Encoded, Encoder, Readout, Weights, WeightsError,
    network::Network, script::Script,
};

/// A bundle's network, ready to serve on one device. `Send`, not shared: one a worker thread.
#[derive(Debug)]
pub struct Classifier {
    computer: Computer,
    encoder: Encoder,
    vocabulary: i64,
    every_token: bool,
    labels: Vec<String>,
    confidence: Confidence,
}

/// What makes logits of ids.
#[derive(Debug)]
enum Computer {
    Network(Network),
    Script(Script),
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
        let encoder = bundle.encoder();
        let computer = match bundle.script() {
            Some(script) => Script::load(script, bundle.labels().len(), encoder.empty_id(), device)
                .map(Computer::Script),
            None => {
                Network::new(bundle.architecture(), bundle.weights(), device).map(Computer::Network)
            }
        };
        Ok(Self {
            computer: computer.map_err(|error| LoadError::Device(error.to_string()))?,
            encoder,
            vocabulary: i64::from(bundle.architecture().vocabulary),
            every_token: bundle.architecture().readout == Readout::EveryToken,
            labels: bundle.labels().to_vec(),
            confidence: bundle.confidence().clone(),
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
        let known =
            |ids: &[i64]| !ids.is_empty() && ids.iter().all(|id| (0..self.vocabulary).contains(id));
        let bad = |text: &&Encoded| !known(&text.ids) || !text.more.iter().all(|ids| known(ids));
        if let Some(index) = batch.iter().position(bad) {
            return Err(ForwardError::Tokens(index));
        }
        let answers = match &self.computer {
            Computer::Network(network) => network.answers(batch),
            Computer::Script(script) => script.answers(batch),
        };
        let mut answers = answers.map_err(|error| ForwardError::Device(error.to_string()))?;
        for (index, (answer, text)) in answers.iter_mut().zip(batch).enumerate() {
            if self.every_token {
                // What was computed for padding means nothing.
                answer.truncate(text.ids.len().saturating_mul(self.labels.len()));
            }
            if !answer.iter().all(|logit| logit.is_finite()) {
                return Err(ForwardError::NotFinite(index));
            }
        }
        Ok(answers)
    }

    /// What a text's logits say, with calibrated probabilities and whether to believe them.
    pub fn answer(&self, logits: &[f32]) -> Answer {
        self.confidence.answer(&self.labels, logits)
    }

    /// One label for each logit, in order.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// The network, where gradients can be had.
    pub(crate) const fn network(&self) -> Option<&Network> {
        match &self.computer {
            Computer::Network(network) => Some(network),
            Computer::Script(_) => None,
        }
    }

    pub(crate) const fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// The weights as they are on the device; none of a script, which keeps them to itself.
    pub fn weights(&self) -> Result<Weights, ForwardError> {
        match &self.computer {
            Computer::Network(network) => {
                network.weights().map_err(|error| ForwardError::Device(error.to_string()))
            }
            Computer::Script(_) => Ok(Weights::default()),
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
