//! reeve-policy
