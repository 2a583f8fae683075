//! The migrations are embedded by a macro, of which Cargo does not know what it read.

fn main() {
    println!("cargo:rerun-if-changed=../../migrations");
}
