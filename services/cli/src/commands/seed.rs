use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use anyhow::Context as _;
use reeve_config::Config;
use reeve_domain::{
    ApiKey, BundleDocument, Clock as _, Entropy as _, KeyId, LegalFacts, PlanName, Region, Scope,
    SystemClock, SystemEntropy, Tenant, TenantFacts, TenantId, TenantStatus, Timestamp, UserId,
};
use reeve_identity::{ApiKeySecret, Pepper, Role};
use reeve_protocol::{activation::ActivationSigner, model::BundleSummary};
use reeve_store::Store;
use serde::Serialize;

use super::{
    operator_log,
    registration::{OnFile, PodArgument, register},
    say,
    user::create,
};

/// Fill a new store so that a call can be made. What exists is kept; secrets are printed only when
/// they are made.
#[derive(clap::Args)]
pub(crate) struct Seed {
    #[command(flatten)]
    config: crate::ConfigFile,
    /// The model bundle that the pods serve.
    #[arg(long)]
    bundle: PathBuf,
    /// A pod: `NAME=REGION=URL`.
    #[arg(long = "pod", required = true)]
    pods: Vec<PodArgument>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Seeded {
    tenants: Vec<SeededTenant>,
    console: SeededUser,
    reviewer: SeededUser,
}

#[derive(Serialize)]
struct SeededTenant {
    name: String,
    region: String,
    /// None if the tenant was there before.
    key: Option<String>,
}

#[derive(Serialize)]
struct SeededUser {
    user: String,
    /// None if the user was there before.
    password: Option<String>,
}

impl Seed {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let config = Config::load(self.config.config.as_deref())?;
        let store = super::store(&config)?;
        store.migrate().context("the store cannot be prepared")?;
        let pepper = Pepper::load_or_create(&config.keys.pepper, &SystemEntropy)?;
        let now = SystemClock::default().now();
        operator_log::record(&config, "store.seed", "demonstration", None, BTreeMap::new())?;
        policy(&store, &super::activation_signer(&config)?, now)?;
        register(&store, &BundleSummary::read(&self.bundle)?, &self.pods, OnFile::default())?;
        let eu = [("jurisdiction", "EU"), ("privacy", "redact")];
        let us = [("jurisdiction", "US")];
        let tenants = vec![
            tenant(&store, &pepper, now, "acme-eu", "Acme (EU)", "eu-west", &eu)?,
            tenant(&store, &pepper, now, "globex-us", "Globex (US)", "us-east", &us)?,
        ];
        let all = [Role::Operator, Role::Auditor, Role::PolicyAuthor, Role::PolicyApprover];
        // Nobody approves what they wrote, so there are two.
        let two = [Role::PolicyApprover, Role::Auditor];
        let seeded = Seeded {
            tenants,
            console: user(&store, now, "admin", "Administrator", &all)?,
            reviewer: user(&store, now, "reviewer", "Reviewer", &two)?,
        };
        if self.json {
            return say(&serde_json::to_string(&seeded)?);
        }
        for tenant in &seeded.tenants {
            let key = tenant.key.as_deref().unwrap_or("(made before)");
            say(&format!("{} in {}: {key}", tenant.name, tenant.region))?;
        }
        for user in [&seeded.console, &seeded.reviewer] {
            let password = user.password.as_deref().unwrap_or("(made before)");
            say(&format!("console user {}: {password}", user.user))?;
        }
        Ok(())
    }
}

fn policy(store: &Store, signer: &ActivationSigner, now: Timestamp) -> anyhow::Result<()> {
    let document = match store.read(reeve_store::policy::active)? {
        Some(active) if !active.statement.is_empty() => return Ok(()),
        // From a time when nothing was signed.
        Some(active) => BundleDocument { digest: active.digest, document: active.document },
        None => reeve_policy::default_bundle().document(),
    };
    let sign = signer.of(document.digest, "operator", now);
    store.write(|c| {
        reeve_store::policy::insert_bundle(c, &document, "operator", now)?;
        reeve_store::policy::activate(c, &document.digest, "operator", None, now, &sign)
    })?;
    Ok(())
}

fn tenant(
    store: &Store,
    pepper: &Pepper,
    now: Timestamp,
    name: &str,
    display_name: &str,
    region: &str,
    labels: &[(&str, &str)],
) -> anyhow::Result<SeededTenant> {
    let id = TenantId::new(name)?;
    let mut seeded = SeededTenant { name: name.to_owned(), region: region.to_owned(), key: None };
    if store.read(|c| reeve_store::tenant::get(c, &id))?.is_some() {
        return Ok(seeded);
    }
    let tenant = Tenant {
        facts: TenantFacts {
            id: id.clone(),
            residency: BTreeSet::from([Region::new(region)?]),
            purposes: BTreeSet::new(),
            labels: labels
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
            legal: LegalFacts::default(),
        },
        display_name: display_name.to_owned(),
        plan: PlanName::new("standard")?,
        status: TenantStatus::Active,
        created_at: now,
    };
    let scopes = ["classify", "read"].map(str::to_owned);
    let (key, secret) = new_key(pepper, now, &id, "demonstration", &scopes)?;
    store.write(|c| {
        reeve_store::tenant::insert(c, &tenant)?;
        reeve_store::api_key::insert(c, &key)
    })?;
    seeded.key = Some(secret.reveal().to_owned());
    Ok(seeded)
}

/// A new key of a tenant, and the secret that is shown once.
pub(crate) fn new_key(
    pepper: &Pepper,
    now: Timestamp,
    tenant: &TenantId,
    name: &str,
    scopes: &[String],
) -> anyhow::Result<(ApiKey, ApiKeySecret)> {
    let secret = ApiKeySecret::generate(&SystemEntropy);
    let key = ApiKey {
        id: KeyId::new(format!("key_{}", SystemEntropy.uuid(now).simple()))?,
        tenant: tenant.clone(),
        name: name.to_owned(),
        prefix: secret.prefix().to_owned(),
        hash: pepper.hash(secret.reveal()),
        scopes: scopes.iter().map(Scope::new).collect::<Result<_, _>>()?,
        created_at: now,
        expires_at: None,
        revoked_at: None,
        holder: None,
    };
    Ok((key, secret))
}

fn user(
    store: &Store,
    now: Timestamp,
    name: &str,
    display_name: &str,
    roles: &[Role],
) -> anyhow::Result<SeededUser> {
    let id = UserId::new(name)?;
    let there = store.read(|c| reeve_store::user::get(c, &id))?.is_some();
    let password = if there { None } else { Some(create(store, &id, display_name, roles, now)?) };
    Ok(SeededUser { user: id.to_string(), password })
}
