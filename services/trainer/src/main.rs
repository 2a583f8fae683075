//! reeve-train
fn main() {}
