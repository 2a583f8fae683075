//! Finds personal data in text and takes it out: pure functions over bytes.
//!
//! One pass looks at each byte's class; what may begin a value is checked by its shape and its
//! checksum, and overlaps are resolved in favour of the longer one. Places are byte ranges on
//! character boundaries of the text as it came. Knows no policy: which kinds to redact is said by
//! the caller.

mod card;
mod email;
mod finding;
mod fold;
mod iban;
mod ip;
mod phone;
mod redact;
mod resident_id;
mod scan;
mod text;

pub use finding::Finding;
pub use redact::redact;
pub use scan::{Detector, DetectorFailed};
pub use text::{CleanText, RawText};
