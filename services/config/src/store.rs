use std::path::Path;

use serde::Deserialize;

use crate::ConfigRefused;

/// `[store]`: where rows are kept.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    /// `sqlite:PATH` or `postgres://…`. May hold a password.
    pub url: String,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = self.url.split(':').next().unwrap_or_default();
        write!(f, "Store({scheme}:…)")
    }
}

impl Store {
    pub(crate) fn resolve(&mut self, data_dir: &Path) {
        if let Some(path) = self.url.strip_prefix("sqlite:") {
            self.url = format!("sqlite:{}", data_dir.join(path).display());
        }
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigRefused> {
        let known = ["sqlite:", "postgres://", "postgresql://"];
        if known.iter().any(|scheme| self.url.starts_with(scheme)) {
            return Ok(());
        }
        let problem = "must begin with `sqlite:` or `postgres://`".to_owned();
        Err(ConfigRefused::Value { key: "store.url", problem })
    }
}
