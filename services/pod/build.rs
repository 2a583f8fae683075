//! Lets the tests of this package, which train with libtorch, find it where it was linked from. The
//! program is not linked to it.

use std::path::Path;

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    #[expect(clippy::disallowed_methods, reason = "a build script is told by cargo's environment")]
    let Some(libtorch) = std::env::var_os("LIBTORCH") else { return };
    if let Ok(lib) = Path::new(&libtorch).join("lib").canonicalize() {
        println!("cargo:rustc-link-arg-tests=-Wl,-rpath,{}", lib.display());
    }
}
