//! reeve-gateway
