use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::Context as _;
use reeve_domain::{
    ApiKey, Clock as _, Entropy as _, KeyId, LegalFacts, ModelFacts, ModelName, ModelVersion,
    PlanName, Pod, PodId, Record, Region, Scope, SystemClock, SystemEntropy, Tenant, TenantFacts,
    TenantId, TenantStatus, Timestamp,
};
use reeve_identity::{ApiKeySecret, Pepper, SessionToken};
use reeve_ledger::{Reader, WitnessKey, load_or_create_key};
use reeve_policy::Bundle;
use reeve_protocol::activation::ActivationSigner;
use reeve_store::{Store, access_token::AccessToken, model::VersionRow, testing::PostgresServer};
use tempfile::TempDir;

use crate::{
    bucket::Bucket,
    client::Client,
    model::{names_bundle, sample_bundle},
    program::{Program, binary, free_port, wait_until},
};

/// Which store the world runs on.
pub enum Engine {
    /// A file in the world's directory.
    Sqlite,
    /// A PostgreSQL server of the test's own.
    Postgres(PostgresServer),
}

/// What differs from one world to another.
pub struct WorldOptions {
    /// The store.
    pub engine: Engine,
    /// The policy bundle that is active at the start.
    pub bundle: Bundle,
    /// More sections or keys of the configuration, as TOML.
    pub configuration: String,
    /// More keys of `[gateway]`, as TOML.
    pub gateway: String,
    /// Whether the control plane is a witness for the logs.
    pub witness: bool,
    /// Where models are kept, if not in a directory.
    pub bucket: Option<Bucket>,
}

impl Default for WorldOptions {
    fn default() -> Self {
        Self {
            engine: Engine::Sqlite,
            bundle: reeve_policy::default_bundle(),
            configuration: String::new(),
            gateway: String::new(),
            witness: false,
            bucket: None,
        }
    }
}

/// A tenant and a working API key of it.
pub struct TestTenant {
    /// The tenant's id.
    pub id: TenantId,
    /// The key's public name.
    pub key: KeyId,
    /// The key.
    pub secret: String,
}

/// What differs from one tenant to another.
#[derive(Clone, Copy)]
pub struct TenantKind<'a> {
    /// The only region where it may be processed.
    pub region: &'a str,
    /// The law that it is under.
    pub jurisdiction: &'a str,
    /// Whether its texts are redacted.
    pub redact: bool,
    /// Its plan.
    pub plan: &'a str,
}

impl TenantKind<'_> {
    /// As `acme-eu` is.
    pub const EUROPEAN: Self =
        Self { region: "eu-west", jurisdiction: "EU", redact: true, plan: "standard" };
    /// As `globex-us` is.
    pub const AMERICAN: Self =
        Self { region: "us-east", jurisdiction: "US", redact: false, plan: "standard" };
}

/// A whole Reeve: store, ledger, two pods in two regions, and `reeve serve` with all roles.
///
/// Tenant `acme-eu` may be processed in `eu-west` alone and is redacted; `globex-us` may be
/// processed in `us-east` alone.
pub struct World {
    dir: TempDir,
    /// The store, opened beside the programs.
    pub store: Store,
    /// The store's server, where it has one.
    pub engine: Engine,
    pub(crate) bucket: Option<Bucket>,
    /// Keyed hashing, as the gateway does it.
    pub pepper: Pepper,
    /// `reeve serve`.
    pub reeve: Program,
    /// The pods by region.
    pub pods: BTreeMap<String, Program>,
    /// The European tenant.
    pub eu: TestTenant,
    /// The American tenant.
    pub us: TestTenant,
    gateway_port: u16,
    grpc_port: u16,
    control_port: u16,
    pub(crate) pod_ports: BTreeMap<String, u16>,
}

/// The password of people that are added.
pub const PASSWORD: &str = "correct horse battery";
const REGIONS: [&str; 2] = ["eu-west", "us-east"];

impl World {
    /// Starts everything with the defaults and waits until it serves.
    pub fn start() -> anyhow::Result<Self> {
        Self::start_with(WorldOptions::default())
    }

    /// Starts everything and waits until it serves.
    pub fn start_with(options: WorldOptions) -> anyhow::Result<Self> {
        let bundle = sample_bundle()?;
        let dir = tempfile::Builder::new().prefix("reeve-test-").tempdir()?;
        let root = dir.path();
        for part in ["secrets", "logs", "ledger", "inputs"] {
            fs::create_dir_all(root.join(part))?;
        }
        let entropy = SystemEntropy;
        let now = SystemClock::default().now();
        let pepper = Pepper::load_or_create(&root.join("secrets/pepper"), &entropy)?;
        for name in ["secrets/warrant", "secrets/policy"] {
            let file = root.join(name);
            let (private, public) = (file.with_extension("key"), file.with_extension("pub"));
            reeve_protocol::keys::write_key_pair(&private, &public, &entropy)?;
        }
        let url = match &options.engine {
            Engine::Sqlite => format!("sqlite:{}", root.join("store.sqlite").display()),
            Engine::Postgres(server) => server.url().to_owned(),
        };
        let (gateway_port, grpc_port, control_port) = (free_port()?, free_port()?, free_port()?);
        let mut pod_ports = BTreeMap::new();
        for region in REGIONS {
            pod_ports.insert(region.to_owned(), free_port()?);
        }
        let store = Store::connect(&url)?;
        store.migrate()?;
        let eu = seed_tenant(&store, &pepper, now, "acme-eu", &TenantKind::EUROPEAN)?;
        let us = seed_tenant(&store, &pepper, now, "globex-us", &TenantKind::AMERICAN)?;
        seed_model(&store, &bundle, "pod", &pod_ports)?;
        activate(root, &store, &options.bundle)?;
        let mut more = options.configuration;
        if options.witness {
            let key = load_or_create_key(&root.join("secrets/witness.pem"), &entropy)?;
            let name = reeve_domain::Origin::new("reeve.local/witness")?;
            let key = WitnessKey::new(name, key.verifying_key());
            let url = format!("http://127.0.0.1:{control_port}/witness");
            let witnesses =
                format!("[ledger]\nwitnesses = [{{ url = {url:?}, key = \"{key}\" }}]\n");
            fs::write(root.join("witnesses.toml"), &witnesses)?;
            more.push_str(&witnesses);
        }
        let ports = [gateway_port, grpc_port, control_port];
        let file = configuration(root, &url, ports, &options.gateway, &more);
        fs::write(root.join("reeve.toml"), file)?;
        let mut pods = BTreeMap::new();
        for (region, port) in &pod_ports {
            pods.insert(
                region.clone(),
                start_pod(root, options.bucket.as_ref(), &bundle, region, region, *port)?,
            );
        }
        let reeve = start_reeve(root, options.bucket.as_ref())?;
        let mut world = Self {
            dir,
            store,
            engine: options.engine,
            bucket: options.bucket,
            pepper,
            reeve,
            pods,
            eu,
            us,
            gateway_port,
            grpc_port,
            control_port,
            pod_ports,
        };
        world.wait_ready()?;
        world.wait_pods()?;
        Ok(world)
    }

    /// The directory that holds all data.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The gateway's log.
    pub fn log_dir(&self) -> PathBuf {
        self.path().join("ledger/gateway-1")
    }

    /// The gateway's address.
    pub fn gateway(&self) -> String {
        format!("http://127.0.0.1:{}", self.gateway_port)
    }

    /// The gateway's address for gRPC, without a scheme.
    pub fn grpc(&self) -> String {
        format!("127.0.0.1:{}", self.grpc_port)
    }

    /// The control plane's address.
    pub fn control(&self) -> String {
        format!("http://127.0.0.1:{}", self.control_port)
    }

    /// A caller with a tenant's key.
    pub fn client(&self, tenant: &TestTenant) -> Client {
        Client::new(&self.gateway(), Some(&tenant.secret))
    }

    /// A caller without credential.
    pub fn stranger(&self) -> Client {
        Client::new(&self.gateway(), None)
    }

    /// A caller of a region's pod, past the gateway.
    pub fn pod_client(&self, region: &str) -> anyhow::Result<Client> {
        let port = self.pod_ports.get(region).context("no such region")?;
        Ok(Client::new(&format!("http://127.0.0.1:{port}"), None))
    }

    /// The texts that a region's pod has received so far, as it wrote them down itself.
    pub fn pod_inputs(&self, region: &str) -> anyhow::Result<String> {
        let file = self.path().join("inputs").join(region);
        if file.exists() { Ok(fs::read_to_string(file)?) } else { Ok(String::new()) }
    }

    /// Every record of the gateway's log that is committed now.
    pub fn records(&self) -> anyhow::Result<Vec<Record>> {
        let mut records = Vec::new();
        for entry in Reader::open(&self.log_dir())?.entries(0) {
            records.push(serde_json::from_slice(&entry?.1)?);
        }
        Ok(records)
    }

    /// Starts `reeve serve` again after it was stopped or killed.
    pub fn restart(&mut self) -> anyhow::Result<()> {
        self.reeve = start_reeve(self.path(), self.bucket.as_ref())?;
        self.wait_ready()
    }

    /// Starts a pod again after it was stopped or killed.
    pub fn restart_pod(&mut self, region: &str) -> anyhow::Result<()> {
        let port = *self.pod_ports.get(region).context("no such region")?;
        let pod =
            start_pod(self.path(), self.bucket.as_ref(), &sample_bundle()?, region, region, port)?;
        self.pods.insert(region.to_owned(), pod);
        self.wait_pods()
    }

    /// Starts a pod that finds names in a region, and registers it and its model `names`. What it
    /// receives is in the inputs of `names-REGION`.
    pub fn start_name_pod(&mut self, region: &str) -> anyhow::Result<Program> {
        let (bundle, port) = (names_bundle()?, free_port()?);
        let name = format!("names-{region}");
        let mut pod = start_pod(self.path(), self.bucket.as_ref(), &bundle, &name, region, port)?;
        let client = Client::new(&format!("http://127.0.0.1:{port}"), None);
        wait_until("the pod for names is ready", Duration::from_secs(60), || {
            anyhow::ensure!(pod.runs(), "the pod ended:\n{}", pod.output());
            Ok(client.get("/v2/health/ready").is_ok_and(|answer| answer.status == 200))
        })?;
        seed_model(&self.store, &bundle, "names", &[(region.to_owned(), port)].into())?;
        Ok(pod)
    }

    /// Puts another tenant into the store, with a key, and waits until the gateway knows it.
    pub fn new_tenant(&self, id: &str, kind: &TenantKind<'_>) -> anyhow::Result<TestTenant> {
        let now = SystemClock::default().now();
        let tenant = seed_tenant(&self.store, &self.pepper, now, id, kind)?;
        let client = self.client(&tenant);
        wait_until("the tenant is known", Duration::from_secs(5), || {
            Ok(client.get("/v1/models")?.status == 200)
        })?;
        Ok(tenant)
    }

    /// Puts another key of a tenant into the store.
    pub fn new_key(&self, tenant: &TenantId, scopes: &[&str]) -> anyhow::Result<TestTenant> {
        seed_key(&self.store, &self.pepper, SystemClock::default().now(), tenant, scopes)
    }

    /// A client of another gateway.
    pub fn client_at(&self, url: &str, tenant: &TestTenant) -> Client {
        Client::new(url, Some(tenant.secret.as_str()))
    }

    /// Starts one more gateway on the same store, with a log of its own.
    pub fn start_gateway(&self, number: u16) -> anyhow::Result<(Program, String)> {
        let (root, port) = (self.path(), free_port()?);
        let name = format!("gateway-{number}");
        let file = root.join(format!("{name}.toml"));
        let url = match &self.engine {
            Engine::Sqlite => format!("sqlite:{}", root.join("store.sqlite").display()),
            Engine::Postgres(server) => server.url().to_owned(),
        };
        fs::write(
            &file,
            format!(
                "data_dir = {root:?}\n[gateway]\nlisten = \"127.0.0.1:{port}\"\nworkers = 1\n\
                 origin = \"reeve.local/{name}\"\nledger_dir = \"ledger/{name}\"\n\
                 ledger_key = \"secrets/{name}.pem\"\nsnapshot_file = \"{name}.json\"\n\
                 [store]\nurl = {url:?}\n\
                 {}",
                fs::read_to_string(root.join("witnesses.toml")).unwrap_or_default()
            ),
        )?;
        let mut command = Command::new(binary("reeve")?);
        command.arg("serve").arg("--roles").arg("gateway").arg("--config").arg(&file);
        let mut program = Program::start(&name, command, &root.join(format!("logs/{name}.log")))?;
        let base = format!("http://127.0.0.1:{port}");
        let client = self.client_at(&base, &self.us);
        wait_until("the other gateway serves", Duration::from_secs(30), || {
            anyhow::ensure!(program.runs(), "the gateway ended:\n{}", program.output());
            Ok(client.classify("hello").is_ok_and(|answer| answer.status == 200))
        })?;
        Ok((program, base))
    }

    /// Adds a person who may sign in to the console with [`PASSWORD`].
    pub fn add_person(&self, name: &str, roles: &[&str]) -> anyhow::Result<()> {
        let user = reeve_store::user::User {
            id: reeve_domain::UserId::new(name)?,
            display_name: name.to_owned(),
            password_hash: reeve_identity::password::hash(PASSWORD, &SystemEntropy)?,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
            created_at: SystemClock::default().now(),
            disabled: false,
        };
        self.store.write(|c| reeve_store::user::insert(c, &user))?;
        Ok(())
    }

    /// A token with which a person's programs call the control plane.
    pub fn token(&self, person: &str) -> anyhow::Result<String> {
        let now = SystemClock::default().now();
        let secret = SessionToken::generate(&SystemEntropy);
        let token = AccessToken {
            id: format!("tok_{}", SystemEntropy.uuid(now).simple()),
            user: reeve_domain::UserId::new(person)?,
            name: "test".to_owned(),
            hash: secret.digest(),
            created_at: now,
            expires_at: now.after(Duration::from_secs(3600)),
        };
        self.store.write(|c| reeve_store::access_token::insert(c, &token))?;
        Ok(secret.reveal().to_owned())
    }

    /// Activates a policy bundle, as the control plane would.
    pub fn activate(&self, bundle: &Bundle) -> anyhow::Result<()> {
        activate(self.dir.path(), &self.store, bundle)
    }

    /// Waits until the worker has indexed the whole of the gateway's log.
    pub fn wait_indexed(&self) -> anyhow::Result<()> {
        let origin = reeve_domain::Origin::new("reeve.local/gateway-1")?;
        wait_until("the worker has indexed the log", Duration::from_secs(20), || {
            let size = Reader::open(&self.log_dir())?.size();
            Ok(self.store.read(|c| reeve_store::audit::cursor(c, &origin))? == size)
        })?;
        Ok(())
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let client = self.stranger();
        let output = wait_until("the gateway is ready", Duration::from_secs(60), || {
            anyhow::ensure!(self.reeve.runs(), "`reeve serve` ended:\n{}", self.reeve.output());
            Ok(client.get("/health/ready").is_ok_and(|answer| answer.status == 200))
        });
        output.map(drop).with_context(|| self.reeve.output())
    }

    fn wait_pods(&mut self) -> anyhow::Result<()> {
        for (region, port) in &self.pod_ports {
            let client = Client::new(&format!("http://127.0.0.1:{port}"), None);
            let Some(pod) = self.pods.get_mut(region) else { continue };
            wait_until("the pods are ready", Duration::from_secs(60), || {
                anyhow::ensure!(pod.runs(), "the pod ended:\n{}", pod.output());
                Ok(client.get("/v2/health/ready").is_ok_and(|answer| answer.status == 200))
            })?;
        }
        // The gateway has probed them too once a call of each tenant is answered.
        for tenant in [&self.eu, &self.us] {
            let client = self.client(tenant);
            wait_until("the gateway knows the pods", Duration::from_secs(20), || {
                Ok(client.classify("hello")?.status != 503)
            })?;
        }
        Ok(())
    }
}

fn configuration(
    root: &Path,
    url: &str,
    [gateway, grpc, control]: [u16; 3],
    keys: &str,
    more: &str,
) -> String {
    format!(
        "data_dir = {root:?}\n\
         [gateway]\nlisten = \"127.0.0.1:{gateway}\"\nworkers = 2\n\
         grpc_listen = \"127.0.0.1:{grpc}\"\n{keys}\
         [control]\nlisten = \"127.0.0.1:{control}\"\n\
         [store]\nurl = {url:?}\n{more}\n"
    )
}

fn start_reeve(root: &Path, bucket: Option<&Bucket>) -> anyhow::Result<Program> {
    let mut command = Command::new(binary("reeve")?);
    command.envs(bucket.into_iter().flat_map(Bucket::environment));
    command.arg("serve").arg("--config").arg(root.join("reeve.toml"));
    Program::start("reeve", command, &root.join("logs/reeve.log"))
}

/// `name`: of its log and of the file of its inputs.
pub(crate) fn start_pod(
    root: &Path,
    bucket: Option<&Bucket>,
    bundle: &Path,
    name: &str,
    region: &str,
    port: u16,
) -> anyhow::Result<Program> {
    let mut command = Command::new(binary("reeve-pod")?);
    command
        .args(["--region", region, "--listen", &format!("127.0.0.1:{port}"), "--workers", "1"])
        .arg("--bundle")
        .arg(bundle)
        .arg("--warrant-key")
        .arg(root.join("secrets/warrant.pub"))
        .arg("--order-key")
        .arg(root.join("secrets/policy.pub"))
        .arg("--store")
        .arg(bucket.map_or_else(|| root.join("registry"), |bucket| bucket.address().into()))
        .envs(bucket.into_iter().flat_map(Bucket::environment))
        .arg("--cache")
        .arg(root.join("cache").join(name))
        .arg("--record-inputs")
        .arg(root.join("inputs").join(name));
    Program::start(&format!("pod {name}"), command, &root.join(format!("logs/pod-{name}.log")))
}

fn seed_tenant(
    store: &Store,
    pepper: &Pepper,
    now: Timestamp,
    id: &str,
    kind: &TenantKind<'_>,
) -> anyhow::Result<TestTenant> {
    let mut labels = BTreeMap::from([("jurisdiction".to_owned(), kind.jurisdiction.to_owned())]);
    if kind.redact {
        labels.insert("privacy".to_owned(), "redact".to_owned());
    }
    let tenant = Tenant {
        facts: TenantFacts {
            id: TenantId::new(id)?,
            residency: BTreeSet::from([Region::new(kind.region)?]),
            purposes: BTreeSet::new(),
            labels,
            legal: LegalFacts::default(),
        },
        display_name: id.to_owned(),
        plan: PlanName::new(kind.plan)?,
        status: TenantStatus::Active,
        created_at: now,
    };
    store.write(|c| reeve_store::tenant::insert(c, &tenant))?;
    seed_key(store, pepper, now, &tenant.facts.id, &["classify", "read"])
}

fn seed_key(
    store: &Store,
    pepper: &Pepper,
    now: Timestamp,
    tenant: &TenantId,
    scopes: &[&str],
) -> anyhow::Result<TestTenant> {
    let secret = ApiKeySecret::generate(&SystemEntropy);
    let key = ApiKey {
        id: KeyId::new(format!("key_{}", SystemEntropy.uuid(now).simple()))?,
        tenant: tenant.clone(),
        name: "test".to_owned(),
        prefix: secret.prefix().to_owned(),
        hash: pepper.hash(secret.reveal()),
        scopes: scopes.iter().map(Scope::new).collect::<Result<_, _>>()?,
        created_at: now,
        expires_at: None,
        revoked_at: None,
        holder: None,
    };
    store.write(|c| reeve_store::api_key::insert(c, &key))?;
    Ok(TestTenant { id: tenant.clone(), key: key.id, secret: secret.reveal().to_owned() })
}

fn seed_model(
    store: &Store,
    bundle: &Path,
    prefix: &str,
    ports: &BTreeMap<String, u16>,
) -> anyhow::Result<()> {
    let trained = reeve_protocol::model::BundleSummary::read(bundle)?;
    let facts = ModelFacts {
        name: ModelName::new(&trained.name)?,
        version: trained.version,
        digest: trained.digest,
        generative: trained.generative,
        risk_class: trained.risk_class,
        conformity: false,
        instructions: false,
    };
    let digest = facts.digest;
    let now = SystemClock::default().now();
    let row = VersionRow {
        card: trained.card,
        ..VersionRow::registered(ModelVersion::approved(facts, trained.labels), now)
    };
    let mut pods = Vec::new();
    for (region, port) in ports {
        pods.push(Pod {
            id: PodId::new(format!("{prefix}-{region}"))?,
            region: Region::new(region)?,
            url: format!("http://127.0.0.1:{port}"),
            models: vec![digest],
            draining: false,
        });
    }
    store.write(|c| {
        reeve_store::model::register(c, &row)?;
        for pod in &pods {
            reeve_store::pod::upsert(c, pod)?;
        }
        Ok::<_, reeve_store::StoreError>(())
    })?;
    Ok(())
}

fn activate(root: &Path, store: &Store, bundle: &Bundle) -> anyhow::Result<()> {
    let key = reeve_protocol::keys::read_signing_key(&root.join("secrets/policy.key"))?;
    let (document, now) = (bundle.document(), SystemClock::default().now());
    let sign = ActivationSigner::new(key).of(document.digest, "test", now);
    store.write(|c| {
        reeve_store::policy::insert_bundle(c, &document, "test", now)?;
        reeve_store::policy::activate(c, &document.digest, "test", None, now, &sign)
    })?;
    Ok(())
}
