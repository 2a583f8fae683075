//! What `./x` does: starts, stops, tests and measures Reeve from its checkout.
//!
//! It knows the programs by their command lines alone and links none of them, so that it compiles
//! in seconds.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command for people at a terminal"
)]
#![expect(clippy::disallowed_methods, reason = "a tool of the checkout, outside the product")]

mod bench;
mod build;
mod check;
mod demo;
mod guided;
mod http;
mod instance;
mod place;
mod process;
mod regenerate;
mod say;
mod signals;
mod solver;
mod step;
mod up;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Runs Reeve from its checkout.
#[derive(Debug, Parser)]
#[command(name = "x", bin_name = "./x")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build, train the sample model, start everything, and make one governed call.
    Up(up::Arguments),
    /// List the processes of an instance.
    Status {
        /// The directory that holds all data.
        #[arg(long, default_value = place::DATA)]
        data: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Stop an instance.
    Down {
        /// The directory that holds all data.
        #[arg(long, default_value = place::DATA)]
        data: PathBuf,
    },
    /// Run all tests, or the steps that are named.
    Test(check::Arguments),
    /// Measure.
    Bench(bench::Arguments),
    /// Count which way the programs go under load, which release builds are then optimised for.
    Guide,
    /// Break things on purpose for a while: faults at system calls, kills, ten thousand canaries.
    Chaos,
    /// Install the solver that proves what drafts of policy change, and print where it is.
    Solver,
    /// Make the generated files again.
    Regenerate,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Up(arguments) => up::run(&arguments),
        Command::Status { data, json } => instance::status(&data, json),
        Command::Down { data } => instance::down(&data),
        Command::Test(arguments) => check::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Guide => guided::run(),
        Command::Chaos => check::chaos(),
        Command::Solver => solver::run(),
        Command::Regenerate => regenerate::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("x: {error:#}");
            ExitCode::FAILURE
        }
    }
}
