//! Who is who: API keys and tokens of tenants ([`ApiKeySecret`], [`JwtVerifier`]), passwords,
//! sessions and roles of the people who use the console, and the keyed hashes under which secrets
//! and subjects are kept ([`Pepper`]).
//!
//! Knows no HTTP and no store: it makes and checks, others carry and keep.

mod api_key;
mod jwt;
pub mod password;
mod pepper;
mod role;
mod session;

pub use api_key::{ApiKeySecret, key_prefix, verify_key};
pub use jwt::{IssuerRefused, JwtCaller, JwtVerifier, TokenRefused};
pub use pepper::{Pepper, PepperFile};
pub use role::{Role, UnknownRole};
pub use session::{SessionToken, csrf_matches, new_csrf_token};
