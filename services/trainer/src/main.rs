//! `reeve-train`: makes classifier bundles and judges them.

mod card;
mod data;
mod evaluate;
mod fit;
mod import;
mod judge;
mod lines;
mod report;
mod sample;
mod sign;
mod tag;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// Trains, imports and judges Reeve's classifiers.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Threads that one operator may use. More than one makes training depend on their number.
    #[arg(long, global = true, default_value_t = 1)]
    threads: i32,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a classifier on labelled texts.
    Fit(Box<fit::Arguments>),
    /// Make a bundle of weights or a module that PyTorch saved.
    Import(Box<import::Arguments>),
    /// Judge a bundle by labelled texts.
    Evaluate(evaluate::Arguments),
    /// Print the labels of texts.
    Classify(evaluate::ClassifyArguments),
    /// Vouch for a bundle with a key.
    Sign(sign::Sign),
    /// Check a bundle and who vouches for it.
    Verify(sign::Verify),
    /// Networks that find names and addresses.
    #[command(subcommand)]
    Tag(tag::Command),
    /// Write the sample corpus of customer-support messages, in English and Chinese.
    Sample {
        /// The CSV file to write.
        #[arg(long)]
        out: PathBuf,
        /// Another seed, another corpus.
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "the command's output")]
fn main() -> ExitCode {
    let arguments = Arguments::parse();
    reeve_torch::set_threads(arguments.threads);
    let done = match arguments.command {
        Command::Fit(arguments) => fit::run(&arguments),
        Command::Import(arguments) => import::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Classify(arguments) => evaluate::classify(&arguments),
        Command::Sign(arguments) => sign::sign(&arguments),
        Command::Verify(arguments) => sign::verify(&arguments),
        Command::Tag(command) => tag::run(&command),
        Command::Sample { out, seed } => sample::write(&out, seed)
            .map(|rows| format!("{rows} texts written to {}", out.display())),
    };
    match done {
        Ok(message) => {
            println!("{message}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("reeve-train: {error:#}");
            ExitCode::FAILURE
        }
    }
}
