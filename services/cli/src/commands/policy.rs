use std::{collections::BTreeMap, path::PathBuf};

use reeve_config::Config;
use reeve_domain::{Clock as _, SystemClock};
use reeve_policy::{Bundle, Engine};

use super::{operator_log, say};

/// Check and apply policy bundles.
#[derive(clap::Subcommand)]
pub(crate) enum PolicyCommand {
    /// Check a bundle's directory; one line for each thing that is wrong.
    Check {
        /// The directory with `bundle.toml` and Cedar files.
        dir: PathBuf,
    },
    /// Put a bundle in force; every gateway has it within a second.
    Apply {
        #[command(flatten)]
        config: crate::ConfigFile,
        /// The directory with `bundle.toml` and Cedar files.
        dir: PathBuf,
    },
}

impl PolicyCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Check { dir } => {
                let document = Bundle::from_dir(&dir)?.document();
                let engine = Engine::compile(&document)?;
                say(&format!("{} rules, {}", engine.rules().len(), document.digest))
            }
            Self::Apply { config, dir } => {
                let config = Config::load(config.config.as_deref())?;
                let document = Bundle::from_dir(&dir)?.document();
                Engine::compile(&document)?;
                let store = super::store(&config)?;
                let digest = document.digest.to_string();
                operator_log::record(&config, "policy.activate", &digest, None, BTreeMap::new())?;
                let now = SystemClock::default().now();
                let version = store.write(|c| {
                    reeve_store::policy::insert_bundle(c, &document, "operator", now)?;
                    reeve_store::policy::activate(c, &document.digest, "operator", None, now)
                })?;
                say(&format!("version {version} is in force: {digest}"))
            }
        }
    }
}
