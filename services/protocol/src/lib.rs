//! The wire between gateway and pod: the Open Inference Protocol v2 ([`oip`]), the one convention
//! for classifying text over it ([`text`]) and for finding names ([`names`]), and the warrant that a pod asks for ([`warrant`]).
//!
//! Knows neither end: no HTTP, no model, no tenant's rules.

pub mod keys;
pub mod model;
pub mod names;
pub mod oip;
pub mod text;
pub mod warrant;
