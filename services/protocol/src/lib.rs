//! The wire between gateway and pod: the Open Inference Protocol v2 ([`oip`]), the one convention
//! for classifying text over it ([`text`], [`wanted`], as JSON or bytes, [`tensor`]), what of it
//! other servers of the protocol understand too ([`plain`]), and for finding names ([`names`]), the
//! warrant that a pod asks for ([`warrant`]), the key with which it may be sealed ([`agreement`]), the order that has a pod load a model ([`order`]) and
//! the statement that a gateway asks of a policy ([`activation`]).
//!
//! Knows neither end: no HTTP, no model, no tenant's rules.

pub mod activation;
pub mod agreement;
pub mod explanation;
mod jws;
pub mod keys;
pub mod model;
pub mod names;
pub mod oip;
pub mod order;
pub mod plain;
pub mod signature;
pub mod tensor;
pub mod text;
pub mod wanted;
pub mod warrant;
