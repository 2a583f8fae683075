use std::{
    io,
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize},
    },
    time::Duration,
};

use actix_web::{
    App, HttpServer,
    dev::{Server, ServerHandle},
    web,
};
use arc_swap::ArcSwapOption;
use reeve_domain::{Clock, Entropy};
use reeve_identity::Pepper;
use reeve_ledger::{Keyring, Ledger};
use reeve_limits::Limits;
use reeve_protocol::{activation::ActivationVerifier, warrant::WarrantSigner};
use reeve_store::Store;
use reeve_witness::Host;

use crate::{
    anonymous::AnonymousRefusals,
    background,
    gate::{Gate, Shared},
    grpc::GrpcServer,
    idempotency::Answers,
    observations::{self, Observations},
    pods::{Discovery, PodBoard, RetryBudget},
    routes, startup,
};

/// What a gateway is made of. Everything with a life of its own is made by the caller.
pub struct GatewayOptions {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where to listen for gRPC, if anywhere.
    pub grpc_listen: Option<SocketAddr>,
    /// Worker threads.
    pub workers: usize,
    /// This gateway's log, open for writing.
    pub ledger: Ledger,
    /// The log's directory, for proofs and for what a crash left open.
    pub ledger_dir: PathBuf,
    /// The keys of the payloads beside the log.
    pub keyring: Keyring,
    /// The witness that this gateway is for other logs, if it is one.
    pub witness: Option<web::Data<Host>>,
    /// The store that tenants, keys and policy are read from.
    pub store: Store,
    /// Keyed hashing of keys, subjects and payloads.
    pub pepper: Pepper,
    /// Signs what pods check.
    pub signer: WarrantSigner,
    /// Checks that whoever may put a policy in force did.
    pub activations: ActivationVerifier,
    /// Where the last snapshot is kept for the time when the store is away.
    pub snapshot_file: PathBuf,
    /// The largest body that is read, in bytes.
    pub body_limit: usize,
    /// How long a call may take as a whole.
    pub deadline: Duration,
    /// How long one pod may take.
    pub pod_timeout: Duration,
    /// How often counts of answers are written down.
    pub observe_every: Duration,
    /// How the processes behind pods are found.
    pub discovery: Discovery,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Ids.
    pub entropy: Arc<dyn Entropy>,
}

/// A gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartFailed {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {fault}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        fault: io::Error,
    },
    /// The log cannot be read or written.
    #[error("{0}")]
    Ledger(String),
}

/// A gateway that listens.
pub struct Gateway {
    server: Server,
    grpc: Option<GrpcServer>,
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl Gateway {
    /// Reads the log's past, takes the first snapshot and begins to listen. Must be called inside
    /// an actix system.
    pub async fn start(options: GatewayOptions) -> Result<Self, StartFailed> {
        let month_start = options.clock.now().month_start();
        let dir = options.ledger_dir.clone();
        let past = web::block(move || startup::read_past(&dir, month_start))
            .await
            .map_err(|fault| StartFailed::Ledger(fault.to_string()))?
            .map_err(|fault| StartFailed::Ledger(fault.to_string()))?;
        startup::close_orphans(&options.ledger, &past, options.clock.as_ref())
            .await
            .map_err(|fault| StartFailed::Ledger(fault.to_string()))?;
        let limits = Limits::new(Arc::clone(&options.clock));
        startup::seed_month(&limits, &past, month_start);
        let listen = |fault| StartFailed::Listen { address: options.listen, fault };
        let listener = TcpListener::bind(options.listen).map_err(listen)?;
        let address = listener.local_addr().map_err(listen)?;
        let shared = Arc::new(Shared {
            snapshot: ArcSwapOption::empty(),
            ledger: options.ledger,
            ledger_dir: options.ledger_dir,
            keyring: Arc::new(options.keyring),
            limits,
            pods: PodBoard::default(),
            retries: RetryBudget::default(),
            discovery: options.discovery,
            anonymous: AnonymousRefusals::default(),
            observations: Observations::default(),
            mirroring: AtomicUsize::new(0),
            answers: Answers::default(),
            store: options.store,
            pepper: options.pepper,
            signer: options.signer,
            activations: options.activations,
            refused: AtomicI64::new(-1),
            clock: options.clock,
            entropy: options.entropy,
            snapshot_file: options.snapshot_file,
            body_limit: options.body_limit,
            deadline: options.deadline,
            pod_timeout: options.pod_timeout,
            observe_every: options.observe_every,
        });
        background::first_snapshot(&shared).await;
        background::start(&Gate::new(Arc::clone(&shared)), &shared);
        let grpc = match options.grpc_listen {
            Some(address) => Some(
                GrpcServer::start(address, options.workers, &shared)
                    .map_err(|fault| StartFailed::Listen { address, fault })?,
            ),
            None => None,
        };
        let of_worker = Arc::clone(&shared);
        let witness = options.witness;
        let server = HttpServer::new(move || {
            // Made by each thread that reads calls.
            reeve_threads::interrupt_nobody();
            App::new()
                .app_data(web::Data::new(Gate::new(Arc::clone(&of_worker))))
                .configure(reeve_witness::configure(witness.clone()))
                .configure(routes::configure)
        })
        .workers(options.workers.max(1))
        .client_request_timeout(Duration::from_secs(10))
        .shutdown_timeout(30)
        .disable_signals()
        .listen(listener)
        .map_err(listen)?
        .run();
        tracing::info!(%address, "the gateway listens");
        Ok(Self { server, grpc, shared, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for gRPC, if anywhere.
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc.as_ref().map(|grpc| grpc.address)
    }

    /// Stops it: `handle.stop(true)` waits for calls under way.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Serves until it is stopped, then records what is still only counted.
    pub async fn run(self) -> io::Result<()> {
        let ended = self.server.await;
        if let Some(grpc) = self.grpc {
            grpc.stop().await;
        }
        background::record_anonymous(&self.shared).await;
        observations::record(&self.shared).await;
        ended
    }
}
