//! The classifier itself: its network, its tokenizer, its bundle format, its training. One
//! library, so that what is trained is what is served.
//!
//! It knows nothing of tenants, policy or HTTP, and it keeps no text.

mod architecture;
mod arithmetic;
mod bundle;
mod calibrate;
mod card;
mod classifier;
mod confidence;
mod dataset;
mod device;
mod encoder;
mod engine;
mod explain;
mod grams;
mod linear;
mod metrics;
#[cfg(target_arch = "x86_64")]
mod native;
mod network;
pub mod pytorch;
mod recognise;
mod script;
mod tagger;
mod tagging;
mod train;
mod vocabulary;
mod weights;
mod words;

pub use architecture::{Activation, Architecture, Body, Readout, Wide};
pub use arithmetic::{Arithmetic, SelfTest, Serving};
pub use bundle::{Bundle, BundleError, Parts};
pub use calibrate::{Calibration, Judged, Wishes, calibrate};
pub use card::{Card, TrainingData};
pub use classifier::{Classifier, ForwardError, LoadError, softmax};
pub use confidence::{Answer, Confidence, OutOfScope, Score, Standing};
pub use dataset::{Columns, Dataset, DatasetError, Example, Format};
pub use device::{Device, device, set_threads};
pub use encoder::{
    EncodeError, Encoded, Encoder, InvalidTokenizer, LongInput, Part, Place, TokenizerSettings,
};
pub use engine::Engine;
pub use explain::{Attribution, ExplainError, ExplainSettings, Explanation, Method};
pub use grams::Gram;
pub use linear::Linear;
pub use metrics::{Bin, LabelMetrics, Metrics, expected_calibration_error, mcnemar, reliability};
pub use recognise::Unrecognised;
pub use tagger::{TagError, Tagger};
pub use tagging::{Span, TaggedText, TaggedTextError, span_metrics, spans, tag_labels};
pub use train::{
    BodyKind, CheckpointPlace, ClassWeights, Dropouts, Epoch, FitError, Fitted, Loss, Optimizer,
    Precision, Progress, Recipe, Schedule, Training, WideRecipe, fit, fit_tagger,
};
pub use vocabulary::{TokenizerKind, learn_tokenizer, vocabulary_size};
pub use weights::{Weight, Weights, WeightsError};
