use std::{sync::Arc, time::Duration};

use reeve_domain::Clock;
use reeve_prover::Solver;
use reeve_store::{StoreError, log, session};
use tokio::{
    sync::watch,
    task,
    time::{MissedTickBehavior, interval},
};

use crate::{
    Evidence, Indexer, Shipper, Webhook, prove_next, simulate_next, verification, watch_models,
};

/// How often the worker does what.
#[derive(Clone, Copy, Debug)]
pub struct Intervals {
    /// Looking for new leaves.
    pub index: Duration,
    /// The longest pause while the store is away.
    pub index_at_most: Duration,
    /// Verifying the logs from their first byte; less often where that takes long.
    pub verify: Duration,
    /// Looking for simulations and proofs that wait.
    pub simulate: Duration,
    /// Publishing the logs, where they are published.
    pub publish: Duration,
    /// Comparing what models answer with what they were trained on.
    pub watch: Duration,
    /// Removing sessions that have ended.
    pub expire_sessions: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            index: Duration::from_millis(100),
            index_at_most: Duration::from_secs(2),
            verify: Duration::from_secs(60),
            simulate: Duration::from_millis(200),
            publish: Duration::from_secs(10),
            watch: Duration::from_secs(60),
            expire_sessions: Duration::from_secs(60),
        }
    }
}

/// Logs are verified in at most one in so many parts of the time.
const VERIFYING: u32 = 20;

/// What the worker works with, besides the store and the logs.
pub struct Tools {
    /// What proves changes of policy.
    pub solver: Option<Solver>,
    /// What the logs are compared with.
    pub evidence: Evidence,
    /// Where the logs are published, if they are.
    pub shipper: Option<Shipper>,
    /// Where alerts about models are posted to, if they are.
    pub webhook: Option<Webhook>,
}

/// Works until `shutdown` becomes true or its sender is gone. A failure is logged once, when it
/// begins, and tried again; nothing is lost meanwhile, since the logs keep everything.
pub async fn run(
    indexer: Indexer,
    clock: Arc<dyn Clock>,
    intervals: Intervals,
    tools: Tools,
    shutdown: watch::Receiver<bool>,
) {
    let Tools { solver, evidence, shipper, webhook } = tools;
    // Apart from each other: verifying a long log must not hold up the index.
    tokio::join!(
        index(indexer.clone(), intervals, shutdown.clone()),
        verify(indexer.clone(), Arc::clone(&clock), intervals.verify, evidence, shutdown.clone()),
        publish(indexer.clone(), intervals.publish, shipper, shutdown.clone()),
        simulate(indexer.clone(), Arc::clone(&clock), intervals.simulate, shutdown.clone()),
        prove(indexer.clone(), Arc::clone(&clock), intervals.simulate, solver, shutdown.clone()),
        watch(indexer.clone(), Arc::clone(&clock), intervals.watch, webhook, shutdown.clone()),
        expire(indexer, clock, intervals.expire_sessions, shutdown),
    );
}

/// Returns when the worker shall stop.
async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error says that the sender is gone, and with it whoever wanted the worker.
    let gone = shutdown.wait_for(|stop| *stop).await.is_err();
    if gone {
        tracing::debug!("the worker's owner is gone");
    }
}

async fn index(indexer: Indexer, intervals: Intervals, mut shutdown: watch::Receiver<bool>) {
    let mut pause = intervals.index;
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            () = tokio::time::sleep(pause) => {}
        }
        let work = indexer.clone();
        match blocking(move || work.run_once()).await {
            Some(result) => {
                pause = match result {
                    Ok(_) => intervals.index,
                    Err(_) => pause.saturating_mul(2).min(intervals.index_at_most),
                };
                trouble.tell("indexing", result.map(|_| ()));
            }
            None => return,
        }
    }
}

async fn publish(
    indexer: Indexer,
    every: Duration,
    shipper: Option<Shipper>,
    mut shutdown: watch::Receiver<bool>,
) {
    let Some(mut shipper) = shipper else { return };
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            () = tokio::time::sleep(every) => {}
        }
        let store = indexer.store().clone();
        let Some(known) = blocking(move || store.read(log::list)).await else { return };
        let result = async {
            for log in known.map_err(|fault| fault.to_string())? {
                let dir = indexer.logs().iter().find(|(origin, _)| *origin == log.origin);
                let (Some((origin, dir)), Ok(key)) = (dir, log.vkey.parse()) else { continue };
                shipper.ship(origin, dir, &key).await.map_err(|failed| failed.to_string())?;
            }
            Ok::<(), String>(())
        };
        trouble.tell("publishing", result.await);
    }
}

async fn verify(
    indexer: Indexer,
    clock: Arc<dyn Clock>,
    every: Duration,
    evidence: Evidence,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut trouble = Trouble::default();
    let mut pause = Duration::ZERO;
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            () = tokio::time::sleep(pause) => {}
        }
        let (store, at) = (indexer.store().clone(), Arc::clone(&clock));
        let evidence = evidence.clone();
        let begun = clock.monotonic();
        match blocking(move || verification::verify_all(&store, &*at, &evidence)).await {
            Some(result) => trouble.tell("verification", result),
            None => return,
        }
        // A log grows, and is verified from its first byte.
        let took = clock.monotonic().saturating_sub(begun);
        pause = every.max(took.saturating_mul(VERIFYING));
    }
}

async fn simulate(
    indexer: Indexer,
    clock: Arc<dyn Clock>,
    every: Duration,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            () = tokio::time::sleep(every) => {}
        }
        let (store, clock) = (indexer.store().clone(), Arc::clone(&clock));
        match blocking(move || simulate_next(&store, &*clock)).await {
            Some(result) => trouble.tell("simulating", result.map(|_| ())),
            None => return,
        }
    }
}

async fn prove(
    indexer: Indexer,
    clock: Arc<dyn Clock>,
    every: Duration,
    solver: Option<Solver>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            () = tokio::time::sleep(every) => {}
        }
        let (store, clock) = (indexer.store().clone(), Arc::clone(&clock));
        let solver = solver.clone();
        match blocking(move || prove_next(&store, &*clock, solver.as_ref())).await {
            Some(result) => trouble.tell("proving", result.map(|_| ())),
            None => return,
        }
    }
}

async fn watch(
    indexer: Indexer,
    clock: Arc<dyn Clock>,
    every: Duration,
    webhook: Option<Webhook>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut trouble = Trouble::default();
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            () = tokio::time::sleep(every) => {}
        }
        let (store, clock, webhook) =
            (indexer.store().clone(), Arc::clone(&clock), webhook.clone());
        let looked = blocking(move || {
            let news = watch_models(&store, &*clock)?;
            for one in &news {
                let (model, measure) = (&one.model, &one.measure);
                tracing::warn!(%model, %measure, event = one.event, "an alert about a model");
                reeve_telemetry::metrics::model_alert(model, measure, one.event == "raised");
                if let Some(Err(error)) = webhook.as_ref().map(|webhook| webhook.post(one)) {
                    tracing::warn!(%error, alert = one.alert, "an alert could not be posted");
                }
            }
            Ok::<_, StoreError>(())
        });
        match looked.await {
            Some(result) => trouble.tell("watching models", result),
            None => return,
        }
    }
}

async fn expire(
    indexer: Indexer,
    clock: Arc<dyn Clock>,
    every: Duration,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut trouble = Trouble::default();
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stopped(&mut shutdown) => return,
            _ = ticks.tick() => {}
        }
        let (store, now) = (indexer.store().clone(), clock.now());
        let work = move || store.write(|c| session::delete_expired(c, now).map(|_| ()));
        match blocking::<Result<(), StoreError>>(work).await {
            Some(result) => trouble.tell("expiry of sessions", result),
            None => return,
        }
    }
}

/// Runs what blocks on a thread for it. `None` when the runtime is shutting down.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    match task::spawn_blocking(work).await {
        Ok(value) => Some(value),
        Err(why) if why.is_panic() => std::panic::resume_unwind(why.into_panic()),
        Err(_) => None,
    }
}

/// Logs a failure when it begins or changes, and when it is over.
#[derive(Default)]
struct Trouble(Option<String>);

impl Trouble {
    fn tell<E: std::fmt::Display>(&mut self, what: &str, result: Result<(), E>) {
        match result {
            Ok(()) => {
                if self.0.take().is_some() {
                    tracing::info!("{what} goes on");
                }
            }
            Err(why) => {
                let why = why.to_string();
                if self.0.as_ref() != Some(&why) {
                    tracing::warn!(reason = %why, "{what} failed and will be tried again");
                    self.0 = Some(why);
                }
            }
        }
    }
}
