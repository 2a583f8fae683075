//! The classifier itself: its tokenizer, its bundle format, its network as it is served, its
//! calibration. What is trained (`reeve-torch`) and what is served read texts by this one crate.
//!
//! It knows nothing of tenants, policy or HTTP, and it keeps no text.

mod architecture;
mod arithmetic;
mod backend;
mod bundle;
mod calibrate;
mod card;
mod classifier;
mod confidence;
mod dataset;
mod encoder;
mod engine;
mod explain;
mod grams;
pub mod library;
mod linear;
mod metrics;
#[cfg(target_arch = "x86_64")]
mod native;
mod plain;
pub mod pytorch;
mod recognise;
mod tagger;
pub mod tagging;
#[cfg(feature = "testing")]
pub mod testing;
pub mod vocabulary;
mod weights;
mod words;

pub use architecture::{Activation, Architecture, Body, Readout, WIDE_IDF, WIDE_WEIGHT, Wide};
pub use arithmetic::{Arithmetic, SelfTest, Serving};
pub use backend::{Backend, BackendError, Device, Integral, Network, Source};
pub use bundle::{Bundle, BundleError, Parts};
pub use calibrate::{Calibration, Judged, Wishes, calibrate};
pub use card::{Card, TrainingData};
pub use classifier::{Classifier, ForwardError, LoadError, softmax};
pub use confidence::{Answer, Confidence, OutOfScope, Score, Standing};
pub use dataset::{Columns, Dataset, DatasetError, Example, Format};
pub use encoder::{
    EncodeError, Encoded, Encoder, InvalidTokenizer, LongInput, Part, Place, TokenizerSettings,
    mean_of_windows,
};
pub use engine::Engine;
pub use explain::{
    Attribution, ExplainError, ExplainSettings, Explanation, Method, completeness_error,
};
pub use grams::{Gram, Grams};
pub use library::Library;
pub use linear::Linear;
pub use metrics::{
    Bin, LabelMetrics, Metrics, expected_calibration_error, largest, mcnemar, reliability,
};
pub use plain::Plain;
pub use recognise::Unrecognised;
pub use tagger::{TagError, Tagger};
pub use tagging::{Span, TaggedText, TaggedTextError, span_metrics, spans, tag_labels};
pub use vocabulary::{TokenizerKind, learn_tokenizer, vocabulary_size};
pub use weights::{Weight, Weights, WeightsError};
