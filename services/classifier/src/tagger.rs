use crate::{
    Backend, Bundle, Classifier, Device, EncodeError, Encoded, Encoder, ForwardError, LoadError,
    tagging::{self, Span},
};

/// Finds names in texts with a bundle that labels every token.
#[derive(Debug)]
pub struct Tagger {
    classifier: Classifier,
    encoder: Encoder,
    labels: Vec<String>,
}

/// A text whose names could not be looked for.
#[derive(Debug, thiserror::Error)]
pub enum TagError {
    /// It has no tokens.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The network failed.
    #[error(transparent)]
    Forward(#[from] ForwardError),
}

impl Tagger {
    /// Puts the bundle's weights on a device.
    pub fn load(bundle: &Bundle, device: Device, backend: &dyn Backend) -> Result<Self, LoadError> {
        let classifier = Classifier::load(bundle, device, backend)?;
        Ok(Self { classifier, encoder: bundle.encoder(), labels: bundle.labels().to_vec() })
    }

    /// The names in a text that are at least so likely, 0 to 1.
    pub fn tag(&self, text: &str, minimum: f32) -> Result<Vec<Span>, TagError> {
        let parts = self.encoder.parts(text)?;
        let mut spans = Vec::new();
        for part in &parts {
            let batch: [&Encoded; 1] = [&part.encoded];
            for row in self.classifier.logits(&batch)? {
                spans.extend(tagging::spans(part, &row, &self.labels, minimum));
            }
        }
        Ok(spans)
    }
}
