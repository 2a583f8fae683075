//! reeve-protocol
