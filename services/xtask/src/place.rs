//! Where things are.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

/// The data directory unless `--data` says otherwise.
pub(crate) const DATA: &str = ".data";

/// The root of the checkout.
pub(crate) fn root() -> PathBuf {
    // `cargo run` says it to what it runs. What it said to the compiler may be another checkout, with
    // which this one shares what is built.
    let package = env::var_os("CARGO_MANIFEST_DIR");
    // services/xtask stands two levels below it.
    Path::new(package.as_deref().unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").as_ref()))
        .ancestors()
        .nth(2)
        .map_or_else(PathBuf::new, Path::to_owned)
}

/// The console's sources.
pub(crate) fn console() -> PathBuf {
    root().join("web-admin")
}

/// What the front-end build makes.
pub(crate) fn console_built() -> PathBuf {
    console().join("dist")
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

/// A path as it was given, made absolute: relative to where the command was typed, or to the
/// checkout for the default.
pub(crate) fn data(given: &Path) -> anyhow::Result<PathBuf> {
    let base = match env::var_os("REEVE_CALLED_FROM") {
        Some(dir) if given != Path::new(DATA) => PathBuf::from(dir),
        _ => root(),
    };
    std::path::absolute(base.join(given)).with_context(|| format!("{} is no path", given.display()))
}
