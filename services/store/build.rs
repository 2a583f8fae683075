//! The migrations are embedded by a macro, of which Cargo does not know what it read.

#[expect(clippy::print_stdout, reason = "how a build script speaks to Cargo")]
fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
