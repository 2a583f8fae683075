//! Networks by libtorch: every architecture on every device, their gradients, and training.
//!
//! `reeve-train` links it. Pods load it as `libreeve_torch.so` when they serve something that
//! `reeve-classifier` has no loop of its own for, or explain an answer ([`reeve_classifier::library`]).

mod device;
mod export;
mod gradients;
mod network;
mod script;
mod stream;
mod torch;
mod train;

pub use device::set_threads;
pub use torch::Torch;
pub use train::{
    BodyKind, CheckpointPlace, ClassWeights, Dropouts, Epoch, FitError, Fitted, Loss, Optimizer,
    Precision, Progress, Recipe, Schedule, Training, WideRecipe, fit, fit_tagger,
};

use reeve_classifier::{Bundle, Classifier, Device, LoadError, Tagger};

/// The first GPU that libtorch can use, else the CPU.
pub fn device() -> Device {
    device::first()
}

/// Puts a copy of a bundle's weights on a device.
pub fn load(bundle: &Bundle, device: Device) -> Result<Classifier, LoadError> {
    Classifier::load(bundle, device, &Torch)
}

/// As [`load`], of a bundle that labels every token.
pub fn load_tagger(bundle: &Bundle, device: Device) -> Result<Tagger, LoadError> {
    Tagger::load(bundle, device, &Torch)
}
