//! reeve-pod
fn main() {}
