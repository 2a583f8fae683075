use std::{
    collections::BTreeMap,
    net::TcpListener,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use actix_web::{rt, web};
use anyhow::Context as _;
use ed25519_dalek::SigningKey;
use futures_util::future::{BoxFuture, FutureExt as _, select_all};
use reeve_config::{Config, LogFormat, WitnessAddress};
use reeve_control::{ControlOptions, LogDirs, ModelOptions};
use reeve_domain::{Clock, Entropy, Origin, SystemClock, SystemEntropy};
use reeve_gateway::{Discovery, Gateway, GatewayOptions, KubernetesApi};
use reeve_identity::Pepper;
use reeve_ledger::{Ledger, Options, VerifierKey, Witness, load_or_create_key, seen_by_witness};
use reeve_protocol::{
    activation::ActivationVerifier,
    keys::{read_signing_key, read_verifying_key},
    order::OrderSigner,
    signature::Vouchers,
    warrant::WarrantSigner,
};
use reeve_registry::Registry;
use reeve_store::Store;
use reeve_telemetry::{Format, TelemetryOptions};
use reeve_witness::{Errand, Host, Peer};
use reeve_worker::{Evidence, Indexer, Intervals, Shipper, Tools, Webhook};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// A part of the platform that this process plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Role {
    Gateway,
    Control,
    Worker,
}

/// Serve tenants, the console, or both, and index the logs.
#[derive(clap::Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    config: crate::ConfigFile,
    /// What this process does.
    #[arg(long, value_delimiter = ',', default_values = ["gateway", "control", "worker"])]
    roles: Vec<Role>,
}

/// What the roles share.
struct Parts {
    config: Config,
    store: Store,
    pepper: Pepper,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Serve {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let config = Config::load(self.config.config.as_deref())?;
        let telemetry = &config.telemetry;
        let _guard = reeve_telemetry::init(&TelemetryOptions {
            service: "reeve",
            format: match telemetry.format {
                LogFormat::Text => Format::Text,
                LogFormat::Json => Format::Json,
            },
            level: telemetry.level.clone(),
            otlp_endpoint: telemetry.otlp_endpoint(),
        })?;
        let parts = Parts {
            store: super::store(&config)?,
            pepper: Pepper::load_or_create(&config.keys.pepper, &SystemEntropy)?,
            clock: Arc::new(SystemClock::default()),
            entropy: Arc::new(SystemEntropy),
            config,
        };
        actix_web::rt::System::new().block_on(serve(parts, &self.roles))
    }
}

async fn serve(parts: Parts, roles: &[Role]) -> anyhow::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let mut running: Vec<BoxFuture<'static, (&'static str, anyhow::Result<()>)>> = Vec::new();
    let mut handles = Vec::new();
    let mut logs: Vec<(Origin, PathBuf, VerifierKey)> = Vec::new();
    let config = &parts.config;
    prepare(&parts).await;
    let witness = witness(&parts)?;
    let peers = peers(config)?;

    if roles.contains(&Role::Gateway) {
        let section = &config.gateway;
        let (ledger, key) =
            open(&parts, &section.origin, &section.ledger_dir, &section.ledger_key)?;
        logs.push((section.origin.clone(), section.ledger_dir.clone(), key));
        let dir = section.ledger_dir.clone();
        follow(ledger.clone(), &section.origin, dir, peers.clone(), config).await?;
        let gateway = Gateway::start(gateway_options(&parts, ledger, witness.clone())?).await?;
        handles.push(gateway.handle());
        let task = rt::spawn(gateway.run());
        running.push(ended("gateway", task).boxed());
    }
    if roles.contains(&Role::Control) {
        let section = &config.control;
        let (ledger, key) =
            open(&parts, &section.origin, &section.ledger_dir, &section.ledger_key)?;
        logs.push((section.origin.clone(), section.ledger_dir.clone(), key));
        let dir = section.ledger_dir.clone();
        follow(ledger.clone(), &section.origin, dir, peers.clone(), config).await?;
        let server = control(&parts, ledger, witness.clone())?;
        handles.push(server.handle());
        tracing::info!(address = %section.listen, "the control plane listens");
        running.push(ended("control", rt::spawn(server)).boxed());
    }
    logs.extend(operators(config));
    rt::spawn(register(parts.store.clone(), logs));
    if roles.contains(&Role::Worker) {
        let section = &config.worker;
        let indexer = Indexer::new(parts.store.clone(), directories(config));
        let intervals = Intervals {
            index: Duration::from_millis(section.index_ms),
            verify: Duration::from_secs(section.verify_every_s),
            publish: Duration::from_secs(section.publish_every_s),
            watch: Duration::from_secs(section.watch_every_s),
            ..Intervals::default()
        };
        let deadline = Duration::from_secs(section.solver_deadline_s);
        let publish = Some(section.publish.as_str()).filter(|publish| !publish.is_empty());
        let tools = Tools {
            solver: reeve_worker::solver(&section.solver, deadline),
            evidence: Evidence {
                witness: config.witness.dir.clone(),
                control: config.control.ledger_dir.clone(),
            },
            shipper: publish.map(Shipper::new).transpose()?,
            webhook: Webhook::to(&section.alert_webhook),
        };
        let clock = Arc::clone(&parts.clock);
        let work = reeve_worker::run(indexer, clock, intervals, tools, stopping);
        let task = rt::spawn(work.map(Ok::<(), std::io::Error>));
        running.push(ended("worker", task).boxed());
    }
    anyhow::ensure!(!running.is_empty(), "no role to play: name some with `--roles`");

    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let first = select_all(running);
    tokio::pin!(first);
    let early = tokio::select! {
        (ended, _, rest) = &mut first => Some((ended, rest)),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    let rest = match early {
        Some(((role, result), _)) => {
            result.with_context(|| format!("the {role} failed"))?;
            anyhow::bail!("the {role} ended by itself");
        }
        None => first,
    };
    tracing::info!("stopping: finishing the calls under way");
    // Tenants and people first; the worker goes on indexing what they leave.
    futures_util::future::join_all(handles.iter().map(|handle| handle.stop(true))).await;
    rt::time::sleep(Duration::from_millis(config.worker.index_ms.saturating_mul(2))).await;
    stop.send_replace(true);
    let (_, _, others) = rest.await;
    let all = futures_util::future::join_all(others);
    if rt::time::timeout(Duration::from_secs(10), all).await.is_err() {
        tracing::warn!("a role did not stop in time");
    }
    tracing::info!("stopped");
    Ok(())
}

/// Brings the store's tables up to date, if the store is there; a gateway serves without it.
async fn prepare(parts: &Parts) {
    let store = parts.store.clone();
    match web::block(move || store.migrate()).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::warn!(error = %fault, "the store cannot be prepared now"),
        Err(fault) => tracing::warn!(error = %fault, "preparing the store was cut off"),
    }
}

async fn ended<E>(
    role: &'static str,
    task: rt::task::JoinHandle<Result<(), E>>,
) -> (&'static str, anyhow::Result<()>)
where
    anyhow::Error: From<E>,
{
    let result = match task.await {
        Ok(result) => result.map_err(anyhow::Error::from),
        Err(fault) => Err(fault.into()),
    };
    (role, result)
}

fn open(
    parts: &Parts,
    origin: &Origin,
    dir: &Path,
    key: &Path,
) -> anyhow::Result<(Ledger, VerifierKey)> {
    if let Some(parent) = key.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let key: SigningKey = load_or_create_key(key, parts.entropy.as_ref())?;
    let verifier = VerifierKey::new(origin.clone(), key.verifying_key());
    let section = &parts.config.ledger;
    let options = Options {
        dir: dir.to_owned(),
        origin: origin.clone(),
        commit_deadline: Duration::from_millis(section.commit_deadline_ms),
        headroom_bytes: section.headroom_bytes,
        segment_bytes: reeve_ledger::SEGMENT_BYTES,
    };
    let (ledger, recovery) = Ledger::open(options, key, Arc::clone(&parts.clock))?;
    tracing::info!(
        log = %origin,
        size = recovery.size,
        discarded_bytes = recovery.discarded_bytes,
        "a log is open"
    );
    Ok((ledger, verifier))
}

fn gateway_options(
    parts: &Parts,
    ledger: Ledger,
    witness: Option<web::Data<Host>>,
) -> anyhow::Result<GatewayOptions> {
    let section = &parts.config.gateway;
    let keys = &parts.config.keys;
    let key = read_signing_key(&keys.warrant)?;
    let policy = read_verifying_key(&keys.policy.with_extension("pub"))?;
    Ok(GatewayOptions {
        listen: section.listen,
        grpc_listen: section.grpc(),
        workers: match section.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        },
        ledger,
        keyring: super::keyring(&parts.config, &section.ledger_dir)?,
        ledger_dir: section.ledger_dir.clone(),
        witness,
        store: parts.store.clone(),
        pepper: parts.pepper.clone(),
        signer: WarrantSigner::new(key, section.origin.as_str(), &*parts.entropy),
        activations: ActivationVerifier::new(policy),
        snapshot_file: section.snapshot_file.clone(),
        body_limit: section.body_limit_bytes,
        deadline: Duration::from_millis(section.deadline_ms),
        pod_timeout: Duration::from_millis(section.pod_timeout_ms),
        observe_every: Duration::from_secs(section.observe_every_s),
        discovery: Discovery {
            every: Duration::from_millis(section.discover_ms),
            kubernetes: KubernetesApi {
                url: section.kubernetes.api.clone(),
                token: section.kubernetes.token.clone(),
                authority: section.kubernetes.authority.clone(),
            },
        },
        clock: Arc::clone(&parts.clock),
        entropy: Arc::clone(&parts.entropy),
    })
}

fn control(
    parts: &Parts,
    ledger: Ledger,
    witness: Option<web::Data<Host>>,
) -> anyhow::Result<actix_web::dev::Server> {
    let section = &parts.config.control;
    let listener = TcpListener::bind(section.listen)
        .with_context(|| format!("cannot listen on {}", section.listen))?;
    let files: BTreeMap<Origin, PathBuf> = directories(&parts.config).into_iter().collect();
    Ok(reeve_control::server(ControlOptions {
        listener,
        workers: section.workers.max(1),
        store: parts.store.clone(),
        log: ledger,
        origin: section.origin.clone(),
        witness_keys: witness_keys(&parts.config, witness.as_ref()),
        files: Arc::new(LogDirs { dirs: files, witness: parts.config.witness.dir.clone() }),
        witness,
        pepper: parts.pepper.clone(),
        signer: super::activation_signer(&parts.config)?,
        models: models(&parts.config)?,
        clock: Arc::clone(&parts.clock),
        entropy: Arc::clone(&parts.entropy),
        static_dir: section.static_dir(),
        secure_cookie: section.secure_cookie,
    })?)
}

/// Where models are kept, and what signs what pods are told to load: the key that signs policies, which
/// gateways do not have.
fn models(config: &Config) -> anyhow::Result<ModelOptions> {
    let section = &config.registry;
    let orders =
        OrderSigner::new(read_signing_key(&config.keys.policy)?, config.control.origin.as_str());
    Ok(ModelOptions {
        registry: Registry::open(&section.store)?,
        vouchers: Vouchers::read(&section.model_keys)?,
        upload_limit: section.upload_limit_bytes,
        unload_after: Duration::from_millis(section.unload_after_ms),
        orders: Arc::new(orders),
    })
}

/// The log of what operators did at the command line, which no server writes, with the key that lies
/// beside it.
fn operators(config: &Config) -> Option<(Origin, PathBuf, VerifierKey)> {
    let origin = Origin::new("reeve.local/operator").ok()?;
    let dir = config.data_dir.join("ledger/operator");
    let key = std::fs::read_to_string(dir.join("log.pub")).ok()?.trim().parse().ok()?;
    Some((origin, dir, key))
}

/// The witness that this process is, if it was given a key.
fn witness(parts: &Parts) -> anyhow::Result<Option<web::Data<Host>>> {
    let section = &parts.config.witness;
    if !section.key.exists() {
        return Ok(None);
    }
    let key = load_or_create_key(&section.key, parts.entropy.as_ref())?;
    let witness = Witness::open(&section.dir, section.name.clone(), key)?;
    let (store, clock) = (parts.store.clone(), Arc::clone(&parts.clock));
    Ok(Some(web::Data::new(Host { witness, store, clock })))
}

/// The keys of all witnesses that this process knows, itself included.
fn witness_keys(config: &Config, own: Option<&web::Data<Host>>) -> Vec<String> {
    let own = own.map(|host| host.witness.public().to_string());
    let peers = config.ledger.witnesses.iter().map(|witness| witness.key.clone());
    own.into_iter().chain(peers).collect::<std::collections::BTreeSet<_>>().into_iter().collect()
}

fn peers(config: &Config) -> anyhow::Result<Vec<Peer>> {
    let peer = |witness: &WitnessAddress| {
        let key = witness.key.parse().with_context(|| format!("witness `{}`", witness.url))?;
        Ok(Peer { url: witness.url.clone(), key })
    };
    config.ledger.witnesses.iter().map(peer).collect()
}

/// Asks the witnesses whether the log was rolled back, before anything is written to it, and goes
/// on taking its checkpoints to them. Witnesses that are away are asked as soon as they are there.
async fn follow(
    ledger: Ledger,
    origin: &Origin,
    dir: PathBuf,
    peers: Vec<Peer>,
    config: &Config,
) -> anyhow::Result<()> {
    // What this machine's own witness has seen need not be asked over the network.
    if let Some(seen) = seen_by_witness(&config.witness.dir, origin)
        && seen.size > ledger.size()
    {
        anyhow::bail!(
            "the log `{origin}` was rolled back or replaced: the witness has seen {} entries, {} are here",
            seen.size,
            ledger.size()
        );
    }
    let mut errand = Errand::new(dir, peers);
    errand.round().await?;
    rt::spawn(async move {
        let rolled_back = errand.run().await;
        tracing::error!(error = %rolled_back, "nothing is recorded any more");
        ledger.condemn();
    });
    Ok(())
}

/// The logs of this installation on this machine.
pub(crate) fn directories(config: &Config) -> Vec<(Origin, PathBuf)> {
    let mut logs = vec![
        (config.gateway.origin.clone(), config.gateway.ledger_dir.clone()),
        (config.control.origin.clone(), config.control.ledger_dir.clone()),
    ];
    let operator = config.data_dir.join("ledger/operator");
    if let (Ok(origin), true) = (Origin::new("reeve.local/operator"), operator.is_dir()) {
        logs.push((origin, operator));
    }
    logs
}

/// Tells the store the public keys of the logs, as soon as it can be reached: what verifies them
/// later must not take the key that lies beside them on trust.
async fn register(store: Store, logs: Vec<(Origin, PathBuf, VerifierKey)>) {
    loop {
        let (store, logs) = (store.clone(), logs.clone());
        let done = web::block(move || {
            store.write(|c| {
                for (origin, dir, key) in &logs {
                    let dir = dir.display().to_string();
                    reeve_store::log::register(c, origin, &key.to_string(), &dir)?;
                }
                Ok::<_, reeve_store::StoreError>(())
            })
        })
        .await;
        if matches!(done, Ok(Ok(()))) {
            return;
        }
        rt::time::sleep(Duration::from_secs(2)).await;
    }
}
