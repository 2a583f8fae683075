//! Runs the real programs against real stores, ledgers and models, for the end-to-end tests in
//! `it/`. Everything that is started here listens on a free port of the loopback address, keeps its
//! data in a temporary directory, and is killed when the [`World`] is dropped.

mod bucket;
mod client;
mod model;
mod pods;
mod program;
mod python;
mod trickster;
mod world;

pub use bucket::Bucket;
pub use client::{Answer, Client};
pub use model::{sample_bundle, sample_version};
pub use program::{Program, binary, free_port, wait_until};
pub use python::python;
pub use trickster::{Trick, Trickster};
pub use world::{Engine, PASSWORD, TenantKind, TestTenant, World, WorldOptions};
