#[cfg(target_arch = "x86_64")]
use crate::native::Native;
use crate::{
    Answer, Arithmetic, Backend, BackendError, Bundle, Confidence, Device, EncodeError, Encoded,
    Encoder, Network, Readout, WeightsError,
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
    Network(Box<dyn Network>),
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
    /// The device is full or gone, or the library is that computes there.
    #[error("the weights cannot be put on the device: {0}")]
    Device(#[from] BackendError),
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
    Device(#[from] BackendError),
    /// Finite weights gave a logit that is not: never served.
    #[error("the logits of text {0} of the batch are not finite")]
    NotFinite(usize),
}

impl Classifier {
    /// Puts a copy of a bundle's weights on a device.
    pub fn load(bundle: &Bundle, device: Device, backend: &dyn Backend) -> Result<Self, LoadError> {
        Self::in_precision(bundle, device, Arithmetic::Fp32, backend)
    }

    /// Puts a copy of a bundle's weights on a device, to compute so precisely.
    pub(crate) fn in_precision(
        bundle: &Bundle,
        device: Device,
        precision: Arithmetic,
        backend: &dyn Backend,
    ) -> Result<Self, LoadError> {
        bundle.weights().check(bundle.architecture())?;
        let source = bundle.source();
        if precision == Arithmetic::Int8
            || (precision == Arithmetic::Bf16 && source.script.is_some())
        {
            return Err(LoadError::Precision(precision));
        }
        let network = backend.network(source, device, precision)?;
        Ok(Self::of(bundle, Computer::Network(network)))
    }

    /// A network that was made for this processor.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn native(bundle: &Bundle, native: std::sync::Arc<Native>) -> Self {
        Self::of(bundle, Computer::Native(native))
    }

    fn of(bundle: &Bundle, computer: Computer) -> Self {
        Self {
            computer,
            encoder: bundle.encoder(),
            vocabulary: i64::from(bundle.architecture().vocabulary),
            every_token: bundle.architecture().readout == Readout::EveryToken,
            labels: bundle.labels().to_vec(),
            confidence: bundle.confidence().clone(),
        }
    }

    /// As [`Encoder::encode`].
    pub fn encode(&self, text: &str) -> Result<Encoded, EncodeError> {
        self.encoder.encode(text)
    }

    /// One row of logits a text, in the order given. Which other texts share the batch changes
    /// nothing but the last bits of rounding.
    pub fn logits(&self, batch: &[&Encoded]) -> Result<Vec<Vec<f32>>, ForwardError> {
        self.logits_between(batch, &|| ())
    }

    /// As [`Self::logits`]. `between` is called whenever the pass can lie still: after every step of
    /// an LSTM by this crate's own loop, else never. It may compute something else that cannot wait, with
    /// this very network, and changes nothing thereby.
    pub fn logits_between(
        &self,
        batch: &[&Encoded],
        between: &dyn Fn(),
    ) -> Result<Vec<Vec<f32>>, ForwardError> {
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
        let mut answers = match &self.computer {
            Computer::Network(network) => network.answers(batch)?,
            #[cfg(target_arch = "x86_64")]
            Computer::Native(native) => native.answers(batch, between),
        };
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

    /// The network, where gradients may be had.
    pub(crate) fn network(&self) -> Option<&dyn Network> {
        match &self.computer {
            Computer::Network(network) => Some(&**network),
            #[cfg(target_arch = "x86_64")]
            Computer::Native(_) => None,
        }
    }

    pub(crate) const fn encoder(&self) -> &Encoder {
        &self.encoder
    }
}

/// Probabilities that add up to 1, whatever finite logits they come from.
pub fn softmax(logits: &[f32]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
    let sum: f32 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}
