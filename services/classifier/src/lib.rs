//! The classifier itself: its network, its tokenizer, its bundle format, its training. One
//! library, so that what is trained is what is served.
//!
//! It knows nothing of tenants, policy or HTTP, and it keeps no text.

mod architecture;
mod arithmetic;
mod bundle;
mod card;
mod classifier;
mod dataset;
mod device;
mod encoder;
mod engine;
mod metrics;
#[cfg(target_arch = "x86_64")]
mod native;
mod network;

pub mod pytorch;
mod tagger;
mod tagging;
mod train;
mod vocabulary;
mod weights;

pub use architecture::{Activation, Architecture, Readout};
pub use arithmetic::{Arithmetic, SelfTest, Serving};
pub use bundle::{Bundle, BundleError, Parts};
pub use card::{Card, TrainingData};
pub use classifier::{Classifier, ForwardError, LoadError, softmax};
pub use dataset::{Dataset, DatasetError, Example};
pub use device::{Device, device, set_threads};
pub use encoder::{
    EncodeError, Encoded, Encoder, InvalidTokenizer, Part, Place, TokenizerSettings,
};
pub use engine::Engine;
pub use metrics::{LabelMetrics, Metrics};
pub use tagger::{TagError, Tagger};
pub use tagging::{Span, TaggedText, TaggedTextError, span_metrics, spans, tag_labels};
pub use train::{FitError, Fitted, Loss, Optimizer, Progress, Recipe, fit, fit_tagger};
pub use vocabulary::{learn_tokenizer, vocabulary_size};
pub use weights::{Weight, Weights, WeightsError};
