//! One file a command.

mod api;
pub(crate) mod init;
pub(crate) mod key;
pub(crate) mod keyring;
pub(crate) mod ledger;
pub(crate) mod model;
mod operator_log;
pub(crate) mod policy;
pub(crate) mod privacy;
mod registration;
pub(crate) mod seed;
pub(crate) mod serve;
pub(crate) mod tenant;
pub(crate) mod user;

use std::{
    io::{self, Write as _},
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use reeve_config::Config;
use reeve_domain::SystemEntropy;
use reeve_ledger::{KekFile, KekProgram, KeyEncryption, Keyring};
use reeve_protocol::{activation::ActivationSigner, keys::read_signing_key};
use reeve_store::Store;

/// Prints a line for whoever called the command.
pub(crate) fn say(line: &str) -> anyhow::Result<()> {
    writeln!(io::stdout().lock(), "{line}").context("the output cannot be written")
}

/// Prints a line about what went wrong.
pub(crate) fn complain(line: &str) {
    // With nobody listening there is nobody to tell.
    drop(writeln!(io::stderr().lock(), "reeve: {line}"));
}

/// What signs policies that are put in force.
pub(crate) fn activation_signer(config: &Config) -> anyhow::Result<ActivationSigner> {
    Ok(ActivationSigner::new(read_signing_key(&config.keys.policy)?))
}

/// The store that the configuration names.
pub(crate) fn store(config: &Config) -> anyhow::Result<Store> {
    Store::connect(&config.store.url).context("the store cannot be used")
}

/// What wraps the keys of sealed payloads: a program that was named, else the file.
pub(crate) fn kek(config: &Config) -> anyhow::Result<Arc<dyn KeyEncryption>> {
    Ok(match config.keys.kms.split_first() {
        Some((program, arguments)) => {
            Arc::new(KekProgram::new(program.into(), arguments.to_vec())?)
        }
        None => {
            let path = &config.keys.kek;
            if let Some(dir) = path.parent() {
                std::fs::create_dir_all(dir)?;
            }
            Arc::new(KekFile::load_or_create(path, Arc::new(SystemEntropy))?)
        }
    })
}

/// The keys of the payloads beside the log in `dir`.
pub(crate) fn keyring(config: &Config, dir: &Path) -> anyhow::Result<Keyring> {
    Ok(Keyring::new(dir, kek(config)?, Arc::new(SystemEntropy)))
}
