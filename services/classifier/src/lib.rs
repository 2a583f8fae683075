//! reeve-classifier
