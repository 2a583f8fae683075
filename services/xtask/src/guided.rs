//! Profile-guided optimisation: release builds are laid out for the ways that calls take
//! (<https://doc.rust-lang.org/rustc/profile-guided-optimization.html>).
//!
//! What was counted is kept in the repository, for the processors that it was counted on. It need not be
//! new: functions that changed since are compiled as without it.

use std::{
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, ensure};

use crate::{
    bench,
    build::{self, Profile},
    place, signals,
    step::{command, openly, output, quietly},
};

/// What is said of the compiler in a line that begins so.
fn compiler(line: &str) -> anyhow::Result<String> {
    let about = output(command("rustc", &["--version", "--verbose"]))?;
    let said = about.lines().find_map(|said| said.strip_prefix(line));
    Ok(said.with_context(|| format!("rustc does not say its {line}"))?.to_owned())
}

/// The version of the compiler's LLVM, which reads counts of its own version and of older ones.
fn llvm() -> anyhow::Result<u32> {
    let version = compiler("LLVM version: ")?;
    let major = version.split('.').next().unwrap_or_default();
    major.parse().with_context(|| format!("LLVM {version}"))
}

/// What was counted on processors of this kind by this version of LLVM, compressed.
fn counted(llvm: u32) -> PathBuf {
    let name = format!("{}-llvm{llvm}.profdata.gz", env::consts::ARCH);
    place::root().join("deploy/guided").join(name)
}

/// The oldest version of LLVM that can compile Reeve.
const OLDEST: u32 = 20;

/// Nothing is said of functions that changed since.
const QUIET: &str = "-Cllvm-args=-no-pgo-warn-mismatch";

/// The compiler's flags for a build that is guided; none where nothing was counted.
pub(crate) fn flags() -> anyhow::Result<Vec<String>> {
    let found = (OLDEST..=llvm()?).rev().map(counted).find(|counted| counted.exists());
    let Some(counted) = found else { return Ok(Vec::new()) };
    let bytes = fs::read(&counted)?;
    // Cargo knows the file by its name alone, and what it holds is the same for every checkout.
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    let file = place::target().join(format!("guided-{:016x}.profdata", hasher.finish()));
    if !file.exists() {
        let unfinished = file.with_extension("unfinished");
        fs::create_dir_all(place::target())?;
        let mut unpack = command("gzip", &["-dc"]);
        unpack.arg(&counted).stdout(File::create(&unfinished)?);
        openly(unpack)?;
        fs::rename(unfinished, &file)?;
    }
    let flags = [format!("-Cprofile-use={}", file.display()), QUIET.to_owned()];
    Ok(flags.into())
}

/// Where a build that counts writes what it counted.
fn counts() -> PathBuf {
    place::target().join("counting/counts")
}

/// A build that counts which way it goes, apart from the others.
pub(crate) fn counting(what: &[&str]) -> Command {
    let mut build = command("cargo", &["build", "--locked", "--release", "--target-dir"]);
    build.arg(place::target().join("counting")).args(what);
    build::compile_with(&mut build, &[format!("-Cprofile-generate={}", counts().display())]);
    build
}

/// Builds the programs so that they count, has them answer calls as `./x bench pod` makes them, and
/// keeps what they counted.
pub(crate) fn run() -> anyhow::Result<()> {
    signals::listen()?;
    let merge = merger()?;
    build::programs(Profile::Counting)?;
    // The compiler's own helpers counted too.
    if counts().exists() {
        fs::remove_dir_all(counts())?;
    }
    bench::answer_calls(Profile::Counting)?;
    let merged = place::target().join("counting/merged.profdata");
    let mut merge = command(&merge.to_string_lossy(), &["merge", "--sparse", "-o"]);
    merge.arg(&merged).arg(counts());
    quietly(merge, &place::target().join("x-logs/guided.log"))?;
    let llvm = llvm()?;
    let kept = counted(llvm);
    fs::create_dir_all(kept.parent().context("it has a folder")?)?;
    for old in (OLDEST..llvm).map(counted).filter(|old| old.exists()) {
        fs::remove_file(old)?;
    }
    let mut pack = command("gzip", &["-9nc"]);
    pack.arg(&merged).stdout(File::create(&kept)?);
    openly(pack)?;
    println!("{}: {} bytes", kept.display(), fs::metadata(&kept)?.len());
    Ok(())
}

/// The program that merges counts: of the compiler's own version.
fn merger() -> anyhow::Result<PathBuf> {
    let root = output(command("rustc", &["--print", "sysroot"]))?;
    let host = compiler("host: ")?;
    let program = Path::new(root.trim()).join("lib/rustlib").join(host).join("bin/llvm-profdata");
    ensure!(
        program.exists(),
        "llvm-profdata is needed: `rustup component add llvm-tools` installs it"
    );
    Ok(program)
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::fs;

    use super::flags;

    #[test]
    fn what_was_counted_is_unpacked_where_the_compiler_is_told() {
        let flags = flags().unwrap();
        let file = flags.first().unwrap().strip_prefix("-Cprofile-use=").unwrap();
        // LLVM's indexed format begins so.
        assert!(fs::read(file).unwrap().starts_with(b"\xfflprofi\x81"));
    }
}
