//! What runs beside the calls: following the store, probing pods, recording anonymous refusals.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use actix_web::{rt, web};
use awc::error::SendRequestError;
use reeve_domain::{Directory, Record};
use reeve_protocol::agreement::{INTRODUCTION_HEADER, POD_KEY_HEADER};
use reeve_store::StoreError;

use crate::{
    gate::{Gate, Shared},
    observations,
    pods::{Member, PodState, overslept},
    snapshot::{self, Snapshot, SnapshotRefused},
};

/// How often the store's revision is looked at: revocation and activation reach every gateway
/// within one second.
const FOLLOW_EVERY: Duration = Duration::from_millis(200);
const PROBE_EVERY: Duration = Duration::from_millis(500);
const PROBE_AT_MOST_EVERY: Duration = Duration::from_millis(20);
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
const FLUSH_EVERY: Duration = Duration::from_secs(1);

pub(crate) fn start(gate: &Gate, shared: &Arc<Shared>) {
    rt::spawn(follow(Arc::clone(shared)));
    rt::spawn(probe(gate.clone()));
    rt::spawn(flush(Arc::clone(shared)));
    rt::spawn(observe(Arc::clone(shared)));
}

/// Reads the store once; serves from the disk's snapshot when the store is away and nothing is
/// served yet.
pub(crate) async fn first_snapshot(shared: &Arc<Shared>) {
    let mut silent = false;
    catch_up(shared, &mut silent).await;
    if shared.snapshot.load().is_none() {
        match snapshot::recall(&shared.snapshot_file) {
            Ok(directory) => {
                tracing::warn!(
                    revision = directory.revision,
                    "the store is away: serving from the snapshot on disk"
                );
                let snapshot = build(shared, &directory);
                install(shared, directory.revision, snapshot);
            }
            Err(refused) => tracing::warn!(error = %refused, "no snapshot to serve from yet"),
        }
    }
}

async fn follow(shared: Arc<Shared>) {
    let mut away = false;
    loop {
        rt::time::sleep(FOLLOW_EVERY).await;
        catch_up(&shared, &mut away).await;
    }
}

async fn catch_up(shared: &Arc<Shared>, away: &mut bool) {
    let work = Arc::clone(shared);
    // Reading the store and compiling policy both take their time, beside the calls.
    match web::block(move || newer(&work)).await {
        Ok(Ok(newer)) => {
            if std::mem::take(away) {
                tracing::info!("the store is back");
            }
            if let Some((directory, snapshot)) = newer
                && install(shared, directory.revision, snapshot)
            {
                keep(shared, directory).await;
            }
        }
        Ok(Err(refused)) => {
            if !std::mem::replace(away, true) {
                tracing::warn!(error = %refused, "the store cannot be read; serving on");
            }
        }
        Err(_) => tracing::error!("reading the store was cut off"),
    }
}

/// A directory that was read, and what was made of it.
type Read = (Directory, Result<Snapshot, SnapshotRefused>);

/// The directory and its snapshot, if the store has a newer one than is served from.
fn newer(shared: &Shared) -> Result<Option<Read>, StoreError> {
    let serving = shared.snapshot.load_full();
    let revision = shared.store.read(reeve_store::revision::current)?;
    let serves = serving.as_ref().is_some_and(|snapshot| snapshot.revision == revision);
    if serves || shared.refused.load(Ordering::Relaxed) == revision {
        return Ok(None);
    }
    let directory = shared.store.read(reeve_store::directory::load)?;
    let snapshot = build(shared, &directory);
    Ok(Some((directory, snapshot)))
}

fn build(shared: &Shared, directory: &Directory) -> Result<Snapshot, SnapshotRefused> {
    let before = shared.snapshot.load_full();
    let (before, now) = (before.as_deref(), shared.clock.now());
    Snapshot::build(directory, &shared.pods, &shared.activations, before, now)
}

/// Puts a snapshot in force, if it could be made; else the one before stays.
fn install(shared: &Shared, revision: i64, snapshot: Result<Snapshot, SnapshotRefused>) -> bool {
    match snapshot {
        Ok(snapshot) => {
            let plans = snapshot.tenants.values().filter_map(|tenant| {
                let plan = snapshot.engine.plan(&tenant.plan)?;
                Some((tenant.facts.id.clone(), crate::startup::limits_of(plan)))
            });
            shared.limits.configure(plans);
            reeve_telemetry::metrics::snapshot_revision(snapshot.revision);
            tracing::info!(
                revision = snapshot.revision,
                policy = %snapshot.engine.digest(),
                "a new snapshot is in force"
            );
            shared.snapshot.store(Some(Arc::new(snapshot)));
            shared.pods.look_again();
            true
        }
        Err(refused) => {
            tracing::error!(revision, error = %refused, "snapshot refused");
            shared.refused.store(revision, Ordering::Relaxed);
            false
        }
    }
}

async fn keep(shared: &Arc<Shared>, directory: Directory) {
    let file = shared.snapshot_file.clone();
    match web::block(move || snapshot::keep(&directory, &file)).await {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => tracing::warn!(error = %fault, "the snapshot cannot be kept on disk"),
        Err(_) => tracing::warn!("keeping the snapshot was cut off"),
    }
}

/// Looks for the processes behind pods and asks them for their health, again and again, and at once
/// where a call or a new snapshot wants it.
async fn probe(gate: Gate) {
    let mut looked: Option<Duration> = None;
    loop {
        let snapshot = gate.snapshot.load_full();
        let pods = snapshot.as_ref().map(|snapshot| snapshot.pods.clone()).unwrap_or_default();
        let now = gate.clock.monotonic();
        let due = |last: Duration| now.saturating_sub(last) >= gate.discovery.every;
        let is_new = |pod: &Arc<PodState>| pod.members().is_empty();
        if looked.is_none_or(due) || pods.iter().any(is_new) {
            futures_util::future::join_all(pods.iter().map(|pod| look(&gate, pod))).await;
            looked = Some(now);
        }
        let probes: Vec<_> = pods.iter().flat_map(|pod| probes(&gate, pod)).collect();
        if gate.pods.were_probed() {
            // One that does not answer holds up no other.
            probes.into_iter().for_each(|probe| drop(rt::spawn(probe)));
        } else {
            futures_util::future::join_all(probes).await;
            if snapshot.is_some() {
                gate.pods.note_probed();
            }
        }
        // Not sooner than after a moment, whoever wants it.
        rt::time::sleep(PROBE_AT_MOST_EVERY).await;
        drop(rt::time::timeout(PROBE_EVERY, gate.pods.wanted()).await);
    }
}

/// Finds the processes behind a pod whose address is a name.
async fn look(gate: &Gate, pod: &PodState) {
    let Some(address) = &pod.address else { return };
    match gate.discovery.find(&address.found).await {
        Ok(urls) => {
            if pod.found(&urls) {
                tracing::info!(pod = %pod.pod.id, processes = urls.len(), "a pod was looked for");
            }
        }
        Err(fault) => {
            tracing::warn!(pod = %pod.pod.id, error = %fault, "a pod cannot be looked for");
        }
    }
}

/// A probe for every process behind a pod that none is under way to.
fn probes(gate: &Gate, pod: &Arc<PodState>) -> Vec<impl Future<Output = ()> + use<>> {
    let free = pod.members().iter().filter(|member| member.begin_probe()).cloned().collect();
    let members: Vec<Arc<Member>> = free;
    let probe = |member: Arc<Member>| {
        let (gate, pod) = (gate.clone(), Arc::clone(pod));
        async move {
            let url = format!("{}/v2/health/ready", member.url);
            let sent = member.introduction();
            let ask = || {
                let mut request = gate.client.get(&url).timeout(PROBE_TIMEOUT);
                if let Some(sent) = &sent {
                    request = request.insert_header((INTRODUCTION_HEADER, sent.introduction()));
                }
                request.send()
            };
            let begun = gate.clock.monotonic();
            let answer = match ask().await {
                Err(SendRequestError::Timeout)
                    if overslept(gate.clock.monotonic().saturating_sub(begun), PROBE_TIMEOUT) =>
                {
                    member.end_probe();
                    return;
                }
                Err(SendRequestError::Connect(_) | SendRequestError::Timeout) => None,
                // The connection may have been kept open for too long: that says nothing of the pod.
                Err(_) => ask().await.ok(),
                Ok(answer) => Some(answer),
            };
            let answer = answer.filter(|answer| answer.status().is_success());
            let (id, region) = (&pod.pod.id, &pod.pod.region);
            if let Some(answer) = &answer {
                let key = answer.headers().get(POD_KEY_HEADER).and_then(|it| it.to_str().ok());
                let now = gate.clock.now();
                let introduce = |key: &str| gate.signer.introduce(key, region, now);
                member.told(key, sent, now, introduce);
            }
            let ready = answer.is_some();
            member.end_probe();
            if member.note(ready) {
                tracing::info!(pod = %id, %region, process = member.url, healthy = ready, "pod");
            }
            let any = pod.members().iter().any(|member| member.is_healthy());
            reeve_telemetry::metrics::pod_health(id, region, any);
        }
    };
    members.into_iter().map(probe).collect()
}

async fn flush(shared: Arc<Shared>) {
    loop {
        rt::time::sleep(FLUSH_EVERY).await;
        record_anonymous(&shared).await;
    }
}

async fn observe(shared: Arc<Shared>) {
    loop {
        rt::time::sleep(shared.observe_every).await;
        observations::record(&shared).await;
    }
}

/// Records what has been counted; keeps it for the next time if the log is not available.
pub(crate) async fn record_anonymous(shared: &Shared) {
    let Some(aggregate) = shared.anonymous.take() else { return };
    let record = Record::RefusalAggregate(aggregate.clone());
    let written = match serde_json::to_vec(&record) {
        Ok(bytes) => shared.ledger.append(bytes).await.is_ok(),
        Err(_) => false,
    };
    if !written {
        shared.anonymous.put_back(aggregate);
    }
}
