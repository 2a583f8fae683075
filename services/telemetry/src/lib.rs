//! reeve-telemetry
