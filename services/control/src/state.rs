use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex},
    time::Duration,
};

use actix_web::web;
use reeve_domain::{
    Actor, Clock, Code, ControlEvent, Digest, Entropy, Origin, Record, TenantId, Timestamp,
};
use reeve_identity::Pepper;
use reeve_ledger::Ledger;
use reeve_protocol::activation::ActivationSigner;
use reeve_store::{Connection, Store, StoreError};

use crate::{
    files::LogDirs,
    problem::Refused,
    server::{ControlOptions, ModelOptions},
    throttle::Throttle,
};

/// A session that nobody used for so long is over.
const IDLE: Duration = Duration::from_secs(60 * 60);
/// More sessions than this are not remembered at once.
const REMEMBERED: usize = 10_000;

/// What every handler works with.
pub(crate) struct Control {
    pub(crate) store: Store,
    pub(crate) log: Ledger,
    pub(crate) origin: Origin,
    pub(crate) witness_keys: Vec<String>,
    pub(crate) files: Arc<LogDirs>,
    pub(crate) pepper: Pepper,
    /// Signs policies that are put in force.
    pub(crate) signer: ActivationSigner,
    /// Where models are kept, and how they come to the pods.
    pub(crate) models: ModelOptions,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) secure_cookie: bool,
    pub(crate) throttle: Throttle,
    seen: Mutex<HashMap<Digest, Timestamp>>,
}

/// What is about to be done, to be recorded first.
pub(crate) struct Deed {
    pub(crate) actor: Actor,
    pub(crate) action: &'static str,
    pub(crate) target: String,
    pub(crate) tenant: Option<TenantId>,
    pub(crate) details: BTreeMap<String, String>,
}

impl Control {
    pub(crate) fn new(options: &ControlOptions) -> Self {
        Self {
            store: options.store.clone(),
            log: options.log.clone(),
            origin: options.origin.clone(),
            witness_keys: options.witness_keys.clone(),
            files: Arc::clone(&options.files),
            pepper: options.pepper.clone(),
            signer: options.signer.clone(),
            models: options.models.clone(),
            clock: Arc::clone(&options.clock),
            entropy: Arc::clone(&options.entropy),
            secure_cookie: options.secure_cookie,
            throttle: Throttle::new(Arc::clone(&options.clock)),
            seen: Mutex::default(),
        }
    }

    /// Runs `work` on a thread that may block, in a transaction that only reads.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refused> {
        let store = self.store.clone();
        Ok(block(move || store.read(work)).await??)
    }

    /// Runs `work` on a thread that may block, in a transaction that is committed if it succeeds.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refused> {
        let store = self.store.clone();
        Ok(block(move || store.write(work)).await??)
    }

    /// Records what is about to be done, or was refused with `code`. Whoever calls must not go on
    /// if this fails.
    pub(crate) async fn record(&self, deed: &Deed, code: Option<Code>) -> Result<(), Refused> {
        self.record_at(deed, code).await.map(drop)
    }

    /// The same; gives the record's place in the control plane's log.
    pub(crate) async fn record_at(&self, deed: &Deed, code: Option<Code>) -> Result<u64, Refused> {
        let event = ControlEvent {
            at: self.clock.now(),
            actor: deed.actor.clone(),
            action: deed.action.to_owned(),
            target: deed.target.clone(),
            tenant: deed.tenant.clone(),
            code,
            details: deed.details.clone(),
        };
        let entry = serde_json::to_vec(&Record::Control(Box::new(event)))
            .map_err(|why| Refused::internal(&why))?;
        match self.log.append(entry).await {
            Ok(receipt) => Ok(receipt.index),
            Err(reason) => {
                tracing::error!(%reason, "the control plane's log takes no record");
                Err(Refused::from(Code::AuditUnavailable).until(1))
            }
        }
    }

    /// Records `deed`, then makes its change. A change that then fails is recorded as refused, so
    /// that the log never claims what did not happen.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        deed: &Deed,
        work: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Refused> {
        self.record(deed, None).await?;
        match self.write(work).await {
            Ok(done) => Ok(done),
            Err(refused) => {
                self.record(deed, Some(refused.code())).await?;
                Err(refused)
            }
        }
    }

    /// Notes that a session is used. False if it was left alone for too long. After a restart
    /// every session begins its idle time anew.
    pub(crate) fn touch(&self, session: Digest) -> bool {
        let now = self.clock.now();
        let mut seen = self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let last = seen.get(&session).copied();
        if last.is_some_and(|last| now.since(last) > IDLE) {
            return false;
        }
        if last.is_none() && seen.len() >= REMEMBERED {
            seen.retain(|_, last| now.since(*last) <= IDLE);
        }
        seen.insert(session, now);
        true
    }

    pub(crate) fn forget(&self, session: &Digest) {
        self.seen.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).remove(session);
    }
}

/// Runs what blocks on a thread where it may.
pub(crate) async fn block<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    web::block(work).await.map_err(|why| Refused::internal(&why))
}
