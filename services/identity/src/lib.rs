//! reeve-identity
