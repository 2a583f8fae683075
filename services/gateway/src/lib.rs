//! The data plane: a tenant's call is authenticated, admitted, inspected, decided, redacted,
//! recorded, forwarded and settled, in that order and in no other.
//!
//! [`pipeline`] tells the story; [`routes`] are the addresses. The crate knows HTTP, the snapshot
//! of tenants and policy, the ledger and the pods. It does not know how a store keeps its rows or
//! how a model computes: the hot path reads memory, appends to the local ledger and talks to a pod.

mod anonymous;
mod background;
pub(crate) mod fronts;
mod gate;
mod grpc;
mod idempotency;
mod models;
mod observations;
pub mod pipeline;
mod pods;
mod problem;
mod routes;
mod server;
mod snapshot;
mod startup;

pub use gate::{Gate, Shared};
pub use pods::{AddressRefused, Discovery, KubernetesApi, PodAddress, PodState};
pub use problem::{FieldError, Problem, RuleReason};
pub use routes::openapi;
pub use server::{Gateway, GatewayOptions, StartFailed};
pub use snapshot::{Snapshot, SnapshotRefused};
