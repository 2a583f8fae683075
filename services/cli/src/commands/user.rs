use std::collections::BTreeMap;

use anyhow::ensure;
use reeve_config::Config;
use reeve_domain::{Clock as _, SystemClock, SystemEntropy, Timestamp, UserId};
use reeve_identity::{ApiKeySecret, Role, password};
use reeve_store::{Store, user::User};

use super::{operator_log, say};

/// Make and list people who sign in to the console.
#[derive(clap::Subcommand)]
pub(crate) enum UserCommand {
    /// Make a person; the password is printed once.
    Create {
        #[command(flatten)]
        config: crate::ConfigFile,
        /// The name to sign in with.
        user: UserId,
        /// The name for people.
        #[arg(long)]
        display_name: Option<String>,
        /// What the person may do: `operator`, `policy-author`, `policy-approver`, `auditor`,
        /// `tenant-admin`.
        #[arg(long = "role", required = true)]
        roles: Vec<Role>,
    },
    /// All people with their roles.
    List {
        #[command(flatten)]
        config: crate::ConfigFile,
    },
}

impl UserCommand {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create { config, user, display_name, roles } => {
                let config = Config::load(config.config.as_deref())?;
                let store = super::store(&config)?;
                let name = display_name.unwrap_or_else(|| user.to_string());
                let all: Vec<_> = roles.iter().map(|role| role.as_str()).collect();
                let details = BTreeMap::from([("roles".to_owned(), all.join(","))]);
                let there = store.read(|c| reeve_store::user::get(c, &user))?.is_some();
                ensure!(!there, "there is a `{user}` already");
                operator_log::record(&config, "user.create", user.as_str(), None, details)?;
                let now = SystemClock::default().now();
                let password = create(&store, &user, &name, &roles, now)?;
                say(&format!("{user}: {password}"))
            }
            Self::List { config } => {
                let store = super::store(&Config::load(config.config.as_deref())?)?;
                for user in store.read(reeve_store::user::list)? {
                    let state = if user.disabled { "  disabled" } else { "" };
                    let roles: Vec<_> = user.roles.into_iter().collect();
                    say(&format!("{}  {}{state}", user.id, roles.join(",")))?;
                }
                Ok(())
            }
        }
    }
}

/// Adds a person, and gives the password.
pub(crate) fn create(
    store: &Store,
    id: &UserId,
    display_name: &str,
    roles: &[Role],
    now: Timestamp,
) -> anyhow::Result<String> {
    // A key's secret part is a good password: random, and of letters and digits only.
    let secret = ApiKeySecret::generate(&SystemEntropy);
    let password: String = secret.reveal().chars().rev().take(20).collect();
    let user = User {
        id: id.clone(),
        display_name: display_name.to_owned(),
        password_hash: password::hash(&password, &SystemEntropy)?,
        roles: roles.iter().map(ToString::to_string).collect(),
        created_at: now,
        disabled: false,
    };
    store.write(|c| reeve_store::user::insert(c, &user))?;
    Ok(password)
}
