//! The `reeve` command: the server with its roles, and what its operator does.

mod commands;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Governed model serving: policy before the call, a record before the answer.
#[derive(Parser)]
#[command(name = "reeve", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve tenants, the console, or both, and index the logs.
    Serve(commands::serve::Serve),
    /// Prepare a data directory: configuration and secrets.
    Init(commands::init::Init),
    /// Fill a new store: policy, model, pods, two demonstration tenants, a console user.
    Seed(commands::seed::Seed),
    /// Check logs and receipts offline.
    #[command(subcommand)]
    Ledger(commands::ledger::LedgerCommand),
    #[command(subcommand)]
    Keyring(commands::keyring::KeyringCommand),
    /// Create, list and revoke API keys.
    #[command(subcommand)]
    Key(commands::key::KeyCommand),
    /// List tenants.
    #[command(subcommand)]
    Tenant(commands::tenant::TenantCommand),
    #[command(subcommand)]
    User(commands::user::UserCommand),
    /// Register models and the pods that serve them.
    #[command(subcommand)]
    Model(commands::model::ModelCommand),
    /// Check and apply policy bundles.
    #[command(subcommand)]
    Policy(commands::policy::PolicyCommand),
    /// Find personal data in your own text.
    #[command(subcommand)]
    Privacy(commands::privacy::PrivacyCommand),
}

/// Where a command finds its configuration.
#[derive(clap::Args)]
struct ConfigFile {
    /// The configuration file; without it the defaults and the environment count.
    #[arg(long)]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Serve(command) => command.run(),
        Command::Init(command) => command.run(),
        Command::Seed(command) => command.run(),
        Command::Ledger(command) => return command.run(),
        Command::Key(command) => command.run(),
        Command::Keyring(command) => command.run(),
        Command::Tenant(command) => command.run(),
        Command::User(command) => command.run(),
        Command::Model(command) => command.run(),
        Command::Policy(command) => command.run(),
        Command::Privacy(command) => command.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            commands::complain(&format!("{fault:#}"));
            ExitCode::FAILURE
        }
    }
}
