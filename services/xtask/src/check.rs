//! `./x test`: everything that proves the product, step after step.

use std::{fs, path::PathBuf, process::Command, time::Instant};

use anyhow::{bail, ensure};

use crate::{
    build::{self, Profile},
    place, regenerate, say, signals, solver,
    step::{command, openly, quietly},
    up::{Ports, Running},
};

/// What to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Steps by name, all if none: fmt, clippy, rust, doc, fuzz, deny, web-install, web-check,
    /// web-test, web-build, web-budget, console, generated.
    #[arg(value_name = "STEP")]
    steps: Vec<String>,
}

/// How a step ended.
enum Outcome {
    Passed,
    Skipped(&'static str),
}

type Run = fn() -> anyhow::Result<Outcome>;

/// All steps, in the order in which a failure is found soonest.
const STEPS: [(&str, Run); 13] = [
    ("fmt", || cargo("fmt", &["fmt", "--all", "--check"])),
    ("clippy", || {
        cargo("clippy", &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
    }),
    ("rust", rust),
    ("doc", || cargo("doc", &["test", "--doc", "--workspace"])),
    ("fuzz", fuzz),
    ("deny", deny),
    ("web-install", || npm("web-install", &["ci", "--no-audit", "--no-fund"])),
    ("web-check", || npm("web-check", &["run", "check"])),
    ("web-test", || npm("web-test", &["test"])),
    ("web-build", || npm("web-build", &["run", "build"])),
    ("web-budget", || npm("web-budget", &["run", "budget"])),
    ("console", console),
    ("generated", generated),
];

/// `./x test`.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let known = |name: &String| STEPS.iter().any(|(step, _)| step == name);
    if let Some(name) = arguments.steps.iter().find(|name| !known(name)) {
        let names: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
        bail!("there is no step `{name}`; the steps are: {}", names.join(", "));
    }
    signals::listen()?;
    let (mut passed, mut failed, mut skipped) = (0_u32, 0_u32, 0_u32);
    for (name, step) in STEPS {
        let wanted = arguments.steps.is_empty() || arguments.steps.iter().any(|step| step == name);
        if !wanted {
            continue;
        }
        ensure!(!signals::asked_to_stop(), "stopped");
        let begun = Instant::now();
        let outcome = step();
        let took = say::seconds(begun.elapsed());
        match outcome {
            Ok(Outcome::Passed) => {
                passed += 1;
                println!("{name:<12} passed   {took:>8}");
            }
            Ok(Outcome::Skipped(why)) => {
                skipped += 1;
                println!("{name:<12} skipped  {why}");
            }
            Err(fault) => {
                failed += 1;
                println!("{name:<12} FAILED   {took:>8}\n{fault:#}");
            }
        }
        say::flush();
    }
    if skipped > 0 {
        println!("{skipped} skipped");
    }
    println!("{passed} passed, {failed} failed");
    ensure!(failed == 0, "not everything passed");
    Ok(())
}

fn log(step: &str) -> PathBuf {
    place::target().join("x-logs").join(format!("{step}.log"))
}

fn kept(step: &str, command: Command) -> anyhow::Result<Outcome> {
    quietly(command, &log(step)).map(|()| Outcome::Passed)
}

fn cargo(step: &str, arguments: &[&str]) -> anyhow::Result<Outcome> {
    kept(step, command("cargo", arguments))
}

fn npm(step: &str, arguments: &[&str]) -> anyhow::Result<Outcome> {
    let mut npm = command("npm", arguments);
    npm.current_dir(place::console());
    kept(step, npm)
}

/// Streams, because it takes long and says itself what failed.
fn rust() -> anyhow::Result<Outcome> {
    // The end-to-end tests run the programs themselves.
    cargo("build", &["build", "--workspace"])?;
    let mut nextest = command("cargo", &["nextest", "run", "--workspace"]);
    nextest.env("REEVE_REQUIRE_POSTGRES", "1");
    match solver::install() {
        Ok(program) => _ = nextest.env("CVC5", program),
        Err(fault) => println!("no solver, so nothing is proven: {fault:#}"),
    }
    openly(nextest).map(|()| Outcome::Passed)
}

/// The tests that break things, each as thorough as it can be. Takes about half an hour.
pub(crate) fn chaos() -> anyhow::Result<()> {
    cargo("build", &["build", "--workspace"])?;
    let chosen = "test(a_fault_at_any) or test(faults_at_system_calls) or \
                  test(killed_at) or test(the_erased_are)";
    let mut nextest = command("cargo", &["nextest", "run", "--profile", "chaos", "-E", chosen]);
    nextest.args(["--workspace", "--no-capture"]);
    nextest.env("REEVE_CHAOS", "1").env("REEVE_REQUIRE_POSTGRES", "1");
    openly(nextest)
}

/// Texts and recognisers that a fuzzer makes up, for a while: `REEVE_FUZZ_SECONDS` each. What it
/// learnt is kept beside the build for the next time.
#[expect(clippy::disallowed_methods, reason = "an operator's choice, as REEVE_CACHE is")]
fn fuzz() -> anyhow::Result<Outcome> {
    let seconds = std::env::var("REEVE_FUZZ_SECONDS").unwrap_or_else(|_| "15".to_owned());
    let home = place::root().join("services/privacy/fuzz");
    for target in ["redact", "recognise"] {
        let corpus = place::target().join("fuzz-corpus").join(target);
        fs::create_dir_all(&corpus)?;
        // Safe code needs no sanitizer, and so no nightly compiler.
        let mut run = command("cargo", &["fuzz", "run", "--sanitizer", "none", "--fuzz-dir"]);
        run.arg(&home).arg("--target-dir").arg(place::target().join("fuzz")).arg(target);
        run.arg(&corpus).arg(home.join("seeds").join(target));
        run.args(["--", "-max_len=1024", "-print_final_stats=1"]);
        run.arg(format!("-max_total_time={seconds}"));
        run.arg(format!("-artifact_prefix={}/", corpus.with_extension("crash").display()));
        fs::create_dir_all(corpus.with_extension("crash"))?;
        kept(&format!("fuzz-{target}"), run)?;
    }
    Ok(Outcome::Passed)
}

fn deny() -> anyhow::Result<Outcome> {
    let installed = Command::new("cargo").args(["deny", "--version"]).output()?.status.success();
    if !installed {
        return Ok(Outcome::Skipped("cargo-deny is not installed"));
    }
    cargo("deny", &["deny", "check", "licenses", "bans", "sources"])
}

/// The console in a real browser, against an instance of its own.
fn console() -> anyhow::Result<Outcome> {
    cargo("console", &["build"].into_iter().chain(build::SHIPPED).collect::<Vec<_>>())?;
    let data = std::env::temp_dir().join(format!("reeve-console-{}", std::process::id()));
    fs::create_dir_all(&data)?;
    let solver = solver::install().is_ok();
    let mut running = Running::start(Profile::Dev, &data, &Ports::free()?)?;
    let passed = running.warm().and_then(|()| {
        let mut npm = command("npm", &["run", "e2e"]);
        npm.current_dir(place::console());
        let demo = &running.demo;
        npm.env("REEVE_SOLVER", if solver { "1" } else { "" });
        npm.env("REEVE_CONTROL_URL", &demo.control);
        npm.env("REEVE_GATEWAY_URL", &demo.gateway);
        npm.env("REEVE_TENANT_KEY", demo.key("acme-eu")?);
        npm.env("REEVE_BUNDLE", data.join("models/sample"));
        if let Some(user) = &demo.console {
            npm.env("REEVE_CONSOLE_USER", &user.user);
            npm.env("REEVE_CONSOLE_PASSWORD", user.password.as_deref().unwrap_or_default());
        }
        if let Some(user) = &demo.reviewer {
            npm.env("REEVE_REVIEWER", &user.user);
            npm.env("REEVE_REVIEWER_PASSWORD", user.password.as_deref().unwrap_or_default());
        }
        kept("console", npm)
    });
    running.stop()?;
    if passed.is_ok() {
        fs::remove_dir_all(&data)?;
    }
    passed
}

/// Whether the generated files are what they are generated to.
fn generated() -> anyhow::Result<Outcome> {
    let git = ["rev-parse", "--is-inside-work-tree"];
    let inside = command("git", &git).output().is_ok_and(|output| output.status.success());
    if !inside {
        return Ok(Outcome::Skipped("not a git checkout"));
    }
    regenerate::run()?;
    let mut diff = command("git", &["diff", "--exit-code", "--"]);
    diff.args(regenerate::GENERATED);
    kept("generated", diff)
}
