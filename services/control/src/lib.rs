//! reeve-control
