//! What is printed for people, kept in `DIR/demo.json`: secrets are told only once by `reeve seed`.

use std::{
    fs::{self, File, Permissions},
    io::Write as _,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

/// `demo.json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Demo {
    pub(crate) gateway: String,
    pub(crate) control: String,
    pub(crate) tenants: Vec<DemoTenant>,
    pub(crate) console: Option<ConsoleUser>,
    /// Who approves what the other wrote.
    #[serde(default)]
    pub(crate) reviewer: Option<ConsoleUser>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DemoTenant {
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) key: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ConsoleUser {
    pub(crate) user: String,
    pub(crate) password: Option<String>,
}

impl ConsoleUser {
    /// With the password that was told before, if none is told now.
    fn or_kept(mut self, kept: Option<Self>) -> Self {
        let kept = kept.filter(|kept| kept.user == self.user);
        self.password = self.password.take().or(kept.and_then(|kept| kept.password));
        self
    }
}

/// What `reeve seed --json` prints.
#[derive(Debug, Deserialize)]
pub(crate) struct Seeded {
    tenants: Vec<DemoTenant>,
    console: ConsoleUser,
    reviewer: ConsoleUser,
}

impl Demo {
    /// What earlier runs kept.
    pub(crate) fn read(data: &Path) -> Self {
        let kept = fs::read(data.join("demo.json")).ok();
        kept.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Takes what seeding told, and keeps the secrets that it told before.
    pub(crate) fn merge(&mut self, seeded: Seeded) {
        let before = std::mem::replace(&mut self.tenants, seeded.tenants);
        for tenant in &mut self.tenants {
            let kept = before.iter().find(|kept| kept.name == tenant.name);
            tenant.key = tenant.key.take().or_else(|| kept.and_then(|kept| kept.key.clone()));
        }
        self.console = Some(seeded.console.or_kept(self.console.take()));
        self.reviewer = Some(seeded.reviewer.or_kept(self.reviewer.take()));
    }

    /// Keeps it, readable by the owner alone.
    pub(crate) fn write(&self, data: &Path) -> anyhow::Result<()> {
        let path = data.join("demo.json");
        let mut options = File::options();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)
            .with_context(|| format!("{}", path.display()))?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        Ok(())
    }

    /// The key of a tenant.
    pub(crate) fn key(&self, tenant: &str) -> anyhow::Result<&str> {
        let found = self.tenants.iter().find(|known| known.name == tenant);
        found.and_then(|tenant| tenant.key.as_deref()).with_context(|| {
            format!(
                "the key of `{tenant}` was shown once and demo.json does not have it: \
                 remove the data directory to begin again, or make a key in the console"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeded(key: Option<&str>, password: Option<&str>) -> Seeded {
        Seeded {
            tenants: vec![DemoTenant {
                name: "acme-eu".to_owned(),
                region: "eu-west".to_owned(),
                key: key.map(str::to_owned),
            }],
            console: ConsoleUser { user: "demo".to_owned(), password: password.map(str::to_owned) },
            reviewer: ConsoleUser { user: "two".to_owned(), password: None },
        }
    }

    #[test]
    fn secrets_of_the_first_run_outlive_the_second() {
        let mut demo = Demo::default();
        demo.merge(seeded(Some("rv_a"), Some("p")));
        demo.merge(seeded(None, None));
        assert_eq!(demo.key("acme-eu").unwrap(), "rv_a");
        assert_eq!(demo.console.clone().unwrap().password.as_deref(), Some("p"));
        demo.merge(seeded(Some("rv_b"), None));
        assert_eq!(demo.key("acme-eu").unwrap(), "rv_b");
        assert!(demo.key("globex-us").is_err());
    }
}
