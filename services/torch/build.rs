//! Lets every binary and test of this package find libtorch where it was linked from, so that
//! nobody has to set `LD_LIBRARY_PATH`. An rpath does not travel to dependents: each package with
//! a binary that links libtorch has this same file.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    #[expect(clippy::disallowed_methods, reason = "a build script is told by cargo's environment")]
    let Some(libtorch) = std::env::var_os("LIBTORCH") else { return };
    if let Ok(lib) = Path::new(&libtorch).join("lib").canonicalize() {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    }
}
