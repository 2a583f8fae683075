//! reeve-limits
