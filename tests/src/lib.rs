//! reeve-tests
