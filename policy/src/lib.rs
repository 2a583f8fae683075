//! Policy: bundles of Cedar rules with plans, regions and prices; compiling them; deciding.
//!
//! A [`Bundle`] is a document with one digest. An [`Engine`] is a bundle that can be enforced: its
//! rules were validated strictly against `schema.cedarschema` and its annotations checked. Nothing
//! here fails open: an evaluation that errs denies.
//!
//! Knows no HTTP, no store and no ledger.

mod bundle;
mod compile;
mod engine;
mod obligations;

pub use bundle::{
    Bundle, BundleUnreadable, NameFinder, Plan, Prices, Privacy, RegionRules, default_bundle,
};
pub use compile::{CompileError, Fault};
pub use engine::{Effect, Engine, Rule};
