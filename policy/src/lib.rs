//! Policy: bundles of Cedar rules with plans, regions and prices; compiling them; deciding.
//!
//! A [`Bundle`] is a document with one digest. An [`Engine`] is a bundle that can be enforced: its
//! rules were validated strictly against `schema.cedarschema` and its annotations checked. Nothing
//! here fails open: an evaluation that errs denies.
//!
//! Before a bundle is activated it is [`check`]ed as a whole, and what it would have done to
//! recorded traffic is found by [`replay`]ing it. Why a call was decided as it was, and what would
//! have to differ, [`explain`] tells.
//!
//! Knows no HTTP, no store and no ledger.

mod bundle;
pub mod cases;
mod check;
mod compile;
mod engine;
pub mod explain;
mod facts;
mod lint;
mod obligations;
mod packs;
pub mod replay;
mod specialise;
mod terms;
pub mod transfer;

pub use bundle::{
    Bundle, BundleUnreadable, NameFinder, Plan, Prices, Privacy, RegionRules, Urgency,
    default_bundle,
};
pub use check::{Checked, check, check_files};
pub use compile::{CompileError, FLOOR, FLOOR_TEXT, Fault, SCHEMA, Severity, Span};
pub use engine::{Answer, Effect, Engine, Evaluation, Rule, is_floor};
pub use facts::{jurisdiction_of, laws};
pub use packs::Pack;
