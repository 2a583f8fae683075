//! The configuration: defaults, a file, the environment, in this order; and what is wrong with it.
//! Knows names and ranges, not what the values are for.

mod control;
mod gateway;
mod keys;
mod ledger;
mod registry;
mod store;
mod telemetry;
mod worker;

use std::path::{Path, PathBuf};

use figment::{
    Figment,
    providers::{Env, Format as _, Toml},
};
use serde::Deserialize;

pub use control::Control;
pub use gateway::{Gateway, Kubernetes};
pub use keys::Keys;
pub use ledger::{Ledger, Witness, WitnessAddress};
pub use registry::Registry;
pub use store::Store;
pub use telemetry::{LogFormat, Telemetry};
pub use worker::Worker;

const DEFAULTS: &str = include_str!("../default.toml");

/// All settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The one directory that holds all data.
    pub data_dir: PathBuf,
    /// Where tenants call.
    pub gateway: Gateway,
    /// The console and its API.
    pub control: Control,
    /// Indexing and verification.
    pub worker: Worker,
    /// Where models are kept.
    pub registry: Registry,
    /// Where rows are kept.
    pub store: Store,
    /// How logs are written.
    pub ledger: Ledger,
    /// The witness that this process is.
    pub witness: Witness,
    /// Secrets.
    pub keys: Keys,
    /// Logs, traces, metrics.
    pub telemetry: Telemetry,
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigRefused {
    /// A value is missing, unknown or of the wrong type.
    #[error("{0}")]
    Unreadable(Box<figment::Error>),
    /// The file is not there.
    #[error("there is no configuration file `{0}`; `reeve init` writes one")]
    Missing(PathBuf),
    /// A value is out of its range.
    #[error("`{key}` {problem}")]
    Value {
        /// Which.
        key: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

impl Config {
    /// Reads defaults, `file` if one is given, and the environment.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigRefused> {
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        if let Some(file) = file {
            if !file.is_file() {
                return Err(ConfigRefused::Missing(file.to_owned()));
            }
            figment = figment.merge(Toml::file_exact(file));
        }
        // Only names with a section: the programs and tests have variables of their own.
        let environment = Env::prefixed("REEVE_")
            .filter(|name| name == "data_dir" || name.as_str().contains("__"))
            .split("__");
        let mut config: Self = figment
            .merge(environment)
            .extract()
            .map_err(|fault| ConfigRefused::Unreadable(Box::new(fault)))?;
        config.resolve();
        config.validate()?;
        Ok(config)
    }

    fn resolve(&mut self) {
        let Self { data_dir, gateway, control, registry, store, keys, witness, .. } = self;
        for path in [
            &mut gateway.ledger_dir,
            &mut gateway.ledger_key,
            &mut gateway.snapshot_file,
            &mut control.ledger_dir,
            &mut control.ledger_key,
            &mut keys.pepper,
            &mut keys.warrant,
            &mut keys.policy,
            &mut keys.kek,
            &mut witness.key,
            &mut witness.dir,
        ] {
            *path = data_dir.join(&*path);
        }
        for path in &mut registry.model_keys {
            *path = data_dir.join(&*path);
        }
        if !registry.store.contains("://") {
            registry.store = data_dir.join(&registry.store).display().to_string();
        }
        store.resolve(data_dir);
    }

    /// Checks what types alone cannot say.
    pub fn validate(&self) -> Result<(), ConfigRefused> {
        let at_least_one = [
            ("gateway.body_limit_bytes", u64::try_from(self.gateway.body_limit_bytes).unwrap_or(1)),
            ("gateway.deadline_ms", self.gateway.deadline_ms),
            ("gateway.pod_timeout_ms", self.gateway.pod_timeout_ms),
            ("gateway.observe_every_s", self.gateway.observe_every_s),
            ("registry.upload_limit_bytes", self.registry.upload_limit_bytes),
            ("worker.watch_every_s", self.worker.watch_every_s),
            ("gateway.discover_ms", self.gateway.discover_ms),
            ("worker.index_ms", self.worker.index_ms),
            ("worker.verify_every_s", self.worker.verify_every_s),
            ("worker.publish_every_s", self.worker.publish_every_s),
            ("worker.solver_deadline_s", self.worker.solver_deadline_s),
            ("ledger.commit_deadline_ms", self.ledger.commit_deadline_ms),
        ];
        for (key, value) in at_least_one {
            if value == 0 {
                return Err(ConfigRefused::Value { key, problem: "must be at least 1".to_owned() });
            }
        }
        if self.gateway.origin == self.control.origin {
            let problem = "must differ from `gateway.origin`: every log has a name of its own";
            return Err(ConfigRefused::Value {
                key: "control.origin",
                problem: problem.to_owned(),
            });
        }
        self.gateway.validate()?;
        self.store.validate()
    }
}

#[cfg(test)]
mod tests {
    use figment::Jail;

    use super::*;

    fn in_file(text: &str) -> Result<Config, ConfigRefused> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("reeve.toml");
        std::fs::write(&file, text).unwrap();
        Config::load(Some(&file))
    }

    #[test]
    fn the_defaults_are_valid_and_paths_are_in_the_data_directory() {
        let config = Config::load(None).unwrap();
        assert_eq!(config.gateway.listen.to_string(), "127.0.0.1:8080");
        assert_eq!(config.gateway.ledger_dir, Path::new(".data/ledger/gateway-1"));
        assert_eq!(config.store.url, "sqlite:.data/store.sqlite");
        assert!(config.control.static_dir().is_none());
        assert!(config.telemetry.otlp_endpoint().is_none());
    }

    #[test]
    fn a_file_changes_what_it_names() {
        let config = in_file("data_dir = \"/srv\"\n[gateway]\nworkers = 3").unwrap();
        assert_eq!(config.gateway.workers, 3);
        assert_eq!(config.keys.pepper, Path::new("/srv/secrets/pepper"));
    }

    #[test]
    #[expect(clippy::result_large_err, reason = "figment's own test harness")]
    fn the_environment_comes_last() {
        Jail::expect_with(|jail| {
            jail.set_env("REEVE_GATEWAY__LISTEN", "0.0.0.0:9");
            jail.set_env("REEVE_REQUIRE_POSTGRES", "1");
            let config = Config::load(None).unwrap();
            assert_eq!(config.gateway.listen.to_string(), "0.0.0.0:9");
            Ok(())
        });
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("[gateway]\nlisten = \"nowhere\"", "gateway.listen"),
            ("[gateway]\ncolour = 1", "colour"),
            ("[gateway]\ngrpc_listen = \"8082\"", "`gateway.grpc_listen` must be an address"),
            ("[gateway]\ndeadline_ms = 0", "`gateway.deadline_ms` must be at least 1"),
            ("[store]\nurl = \"mysql://x\"", "`store.url` must begin with"),
            ("[gateway]\norigin = \"reeve.local/control\"", "control.origin"),
            ("[telemetry]\nformat = \"xml\"", "xml"),
        ] {
            let refused = in_file(text).unwrap_err().to_string();
            assert!(refused.contains(expected), "{text}: {refused}");
        }
        let missing = Config::load(Some(Path::new("/nowhere.toml"))).unwrap_err().to_string();
        assert!(missing.contains("reeve init"), "{missing}");
    }
}
