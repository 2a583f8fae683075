//! reeve-privacy
