//! The Open Inference Protocol v2 over gRPC: messages, server and client of the service
//! `inference.GRPCInferenceService`, made from `proto/open_inference.proto`.
//!
//! Knows the wire and nothing that is sent over it.

pub mod convert;

/// What the protocol's definition is compiled to.
#[expect(
    missing_docs,
    clippy::pedantic,
    clippy::as_conversions,
    unused_qualifications,
    reason = "generated; the definition says what each is"
)]
pub mod inference {
    tonic::include_proto!("inference");
}
