use std::collections::{BTreeMap, HashMap};

use reeve_config::Config;
use reeve_domain::SystemEntropy;
use reeve_ledger::KekFile;

use super::{operator_log, say};

/// Look after the keys of sealed payloads.
#[derive(clap::Subcommand)]
pub(crate) enum KeyringCommand {
    /// Show how many keys each key-encryption key wraps.
    Show(Show),
    /// Add a key-encryption key and wrap every key with it. No payload is written anew, and a
    /// server that runs goes on. With a key management program, only wraps anew.
    Rotate(Rotate),
}

/// Show the keys.
#[derive(clap::Args)]
pub(crate) struct Show {
    #[command(flatten)]
    config: crate::ConfigFile,
}

/// Change the key-encryption key.
#[derive(clap::Args)]
pub(crate) struct Rotate {
    #[command(flatten)]
    config: crate::ConfigFile,
    /// Take the old key-encryption keys out of the file afterwards: what backups hold of keys that
    /// they wrapped can be read no more.
    #[arg(long)]
    retire: bool,
}

impl KeyringCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Show(command) => show(&Config::load(command.config.config.as_deref())?),
            Self::Rotate(command) => {
                rotate(&Config::load(command.config.config.as_deref())?, command.retire)
            }
        }
    }
}

fn show(config: &Config) -> anyhow::Result<()> {
    let mut all: HashMap<String, u64> = HashMap::new();
    for (_, dir) in super::serve::directories(config) {
        for (kek, count) in super::keyring(config, &dir)?.count()? {
            let sum = all.entry(kek).or_default();
            *sum = sum.saturating_add(count);
        }
    }
    let current = super::kek(config)?.current()?;
    all.entry(current.clone()).or_default();
    let mut all: Vec<_> = all.into_iter().collect();
    all.sort();
    for (kek, count) in all {
        let mark = if kek == current { " (wraps now)" } else { "" };
        say(&format!("{kek}: {count} keys{mark}"))?;
    }
    Ok(())
}

fn rotate(config: &Config, retire: bool) -> anyhow::Result<()> {
    let of_file = config.keys.kms.is_empty();
    operator_log::record(config, "keyring.rotate", "all", None, BTreeMap::new())?;
    if of_file {
        super::kek(config)?;
        say(&KekFile::rotate(&config.keys.kek, &SystemEntropy)?)?;
    }
    for (origin, dir) in super::serve::directories(config) {
        let count = super::keyring(config, &dir)?.rewrap()?;
        say(&format!("{origin}: {count} keys were wrapped anew"))?;
    }
    if retire && of_file {
        let count = KekFile::retire_old(&config.keys.kek)?;
        say(&format!("{count} old key-encryption keys were taken out"))?;
    }
    Ok(())
}
