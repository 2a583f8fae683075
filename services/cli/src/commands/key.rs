use std::collections::BTreeMap;

use anyhow::Context as _;
use reeve_config::Config;
use reeve_domain::{Clock as _, KeyId, SystemClock, SystemEntropy, TenantId};
use reeve_identity::Pepper;

use super::{operator_log, say, seed::new_key};

/// Create, list and revoke API keys.
#[derive(clap::Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it once.
    Create {
        #[command(flatten)]
        config: crate::ConfigFile,
        /// Whose.
        #[arg(long)]
        tenant: TenantId,
        /// The name for people.
        #[arg(long)]
        name: String,
        /// What it may be used for.
        #[arg(long = "scope", default_values = ["classify", "read"])]
        scopes: Vec<String>,
    },
    /// List a tenant's keys.
    List {
        #[command(flatten)]
        config: crate::ConfigFile,
        /// Whose.
        #[arg(long)]
        tenant: TenantId,
    },
    /// Revoke a key; every gateway refuses it within a second.
    Revoke {
        #[command(flatten)]
        config: crate::ConfigFile,
        /// The key's id.
        id: KeyId,
    },
}

impl KeyCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let now = SystemClock::default().now();
        match self {
            Self::Create { config, tenant, name, scopes } => {
                let config = Config::load(config.config.as_deref())?;
                let store = super::store(&config)?;
                store
                    .read(|c| reeve_store::tenant::get(c, &tenant))?
                    .with_context(|| format!("there is no tenant `{tenant}`"))?;
                let pepper = Pepper::load_or_create(&config.keys.pepper, &SystemEntropy)?;
                let (key, secret) = new_key(&pepper, now, &tenant, &name, &scopes)?;
                let details = BTreeMap::from([("scopes".to_owned(), scopes.join(" "))]);
                operator_log::record(
                    &config,
                    "key.create",
                    key.id.as_str(),
                    Some(tenant),
                    details,
                )?;
                store.write(|c| reeve_store::api_key::insert(c, &key))?;
                say(&format!("{}\n{}", key.id, secret.reveal()))
            }
            Self::List { config, tenant } => {
                let config = Config::load(config.config.as_deref())?;
                let store = super::store(&config)?;
                for key in store.read(|c| reeve_store::api_key::list(c, &tenant))? {
                    let state = if key.revoked_at.is_some() { "revoked" } else { "active" };
                    say(&format!("{}  rv_{}…  {state}  {}", key.id, key.prefix, key.name))?;
                }
                Ok(())
            }
            Self::Revoke { config, id } => {
                let config = Config::load(config.config.as_deref())?;
                let store = super::store(&config)?;
                let key = store
                    .read(|c| reeve_store::api_key::get(c, &id))?
                    .with_context(|| format!("there is no key `{id}`"))?;
                let tenant = Some(key.tenant);
                operator_log::record(&config, "key.revoke", id.as_str(), tenant, BTreeMap::new())?;
                store.write(|c| reeve_store::api_key::revoke(c, &id, now))?;
                say(&format!("{id} is revoked"))
            }
        }
    }
}
