use reeve_config::Config;
use reeve_domain::TenantStatus;

use super::say;

/// List tenants.
#[derive(clap::Subcommand)]
pub(crate) enum TenantCommand {
    /// All tenants with plan and state.
    List {
        #[command(flatten)]
        config: crate::ConfigFile,
    },
}

impl TenantCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let Self::List { config } = self;
        let store = super::store(&Config::load(config.config.as_deref())?)?;
        let mut after = None;
        loop {
            let page = store.read(|c| reeve_store::tenant::list(c, after.as_ref(), 200))?;
            for tenant in &page {
                let state = match tenant.status {
                    TenantStatus::Active => "active",
                    TenantStatus::Suspended => "suspended",
                };
                say(&format!(
                    "{}  {}  {state}  {}",
                    tenant.facts.id, tenant.plan, tenant.display_name
                ))?;
            }
            match page.last() {
                Some(last) => after = Some(last.facts.id.clone()),
                None => return Ok(()),
            }
        }
    }
}
