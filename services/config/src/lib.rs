//! reeve-config
