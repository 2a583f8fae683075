//! Finds personal data in text and takes it out: pure functions over bytes.
//!
//! One pass looks at each byte's class; where a value may begin, its shape and its checksum are
//! checked, then the words around it raise or settle what it is, and readings that overlap are
//! weighed against each other. Places are byte ranges on character boundaries of the text as it
//! came. Knows no policy: which kinds to redact, and how, is said by the caller.
//!
//! `rules/` describes the numbers that states give out, country by country; the other files find
//! what has a form of its own. A new kind is a `Rule` or a scanner with an entry in
//! `catalog.rs`; `recogniser.rs` runs those that a policy brings along.

mod age;
mod brackets;
mod card;
mod catalog;
mod category;
mod checksum;
mod code;
mod confidence;
mod crypto;
mod date;
mod detector;
mod email;
mod finding;
mod fold;
mod generalise;
mod iban;
mod ip;
mod masked;
mod network;
mod phone;
mod place;
mod plate;
mod profile;
mod pseudonym;
mod reading;
mod recogniser;
mod redact;
mod rule;
mod rules;
mod scan;
mod secret;
mod swift;
mod text;
mod url;
mod words;

/// Kinds that have no form of their own: a model finds them, see the trainer's `tag`.
pub const NAMES: [&str; 4] = ["GPE", "ORGANIZATION", "PERSON", "STREET_ADDRESS"];

pub use category::Category;
pub use confidence::{Confidence, NotAConfidence};
pub use detector::{Detector, DetectorFailed};
pub use finding::Finding;
pub use profile::Profile;
pub use pseudonym::Pseudonyms;
pub use recogniser::{Checksum, RecogniserRefused, RecogniserSpec};
pub use redact::{Redactor, can_generalise};
pub use text::{CleanText, RawText};
