use std::{
    ops::Deref,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use reeve_domain::{Clock, Code, Entropy};
use reeve_identity::Pepper;
use reeve_ledger::{Keyring, Ledger};
use reeve_limits::Limits;
use reeve_protocol::{activation::ActivationVerifier, warrant::WarrantSigner};
use reeve_store::Store;

use crate::{
    anonymous::AnonymousRefusals,
    idempotency::Answers,
    observations::Observations,
    pods::{Discovery, PodBoard, RetryBudget},
    snapshot::Snapshot,
};

/// What all workers of a gateway share.
pub struct Shared {
    /// The newest snapshot; none until the first could be read from the store or the disk.
    pub(crate) snapshot: ArcSwapOption<Snapshot>,
    pub(crate) ledger: Ledger,
    pub(crate) ledger_dir: PathBuf,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) limits: Limits,
    pub(crate) pods: PodBoard,
    pub(crate) retries: RetryBudget,
    pub(crate) discovery: Discovery,
    pub(crate) anonymous: AnonymousRefusals,
    /// What versions answered, counted.
    pub(crate) observations: Observations,
    /// Calls that a second version is being asked about.
    pub(crate) mirroring: AtomicUsize,
    /// Answers to calls that came with an idempotency key.
    pub(crate) answers: Answers,
    /// Read by the routes that show a tenant its past, never by a classified call.
    pub(crate) store: Store,
    pub(crate) pepper: Pepper,
    pub(crate) signer: WarrantSigner,
    pub(crate) activations: ActivationVerifier,
    /// The revision that could not be served from, so that it is not tried again and again.
    pub(crate) refused: AtomicI64,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) snapshot_file: PathBuf,
    pub(crate) body_limit: usize,
    pub(crate) deadline: Duration,
    pub(crate) pod_timeout: Duration,
    /// How often what was counted of answers is written down.
    pub(crate) observe_every: Duration,
}

impl Shared {
    pub(crate) fn snapshot(&self) -> Result<Arc<Snapshot>, Code> {
        self.snapshot.load_full().ok_or(Code::NotReady)
    }

    /// Whether there is a snapshot to serve from whose pods have been asked for their health, and a
    /// log to write to.
    pub(crate) fn is_ready(&self) -> bool {
        self.snapshot.load().is_some() && self.pods.were_probed() && self.ledger.is_available()
    }
}

/// One worker's view: what all share, and its own connections to the pods.
#[derive(Clone)]
pub struct Gate {
    shared: Arc<Shared>,
    pub(crate) client: awc::Client,
}

impl Gate {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let client = awc::Client::builder()
            .timeout(shared.pod_timeout)
            .disable_redirects()
            .no_default_headers()
            .finish();
        Self { shared, client }
    }
}

impl Deref for Gate {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.shared
    }
}
