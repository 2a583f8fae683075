//! Asking pods, whatever for: a healthy process in a permitted region, another if it does not
//! answer or takes too long, under a warrant for this call.

use std::{sync::Arc, time::Duration};

use actix_web::rt;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use reeve_domain::{Code, DecisionId, Digest, ModelFacts, PodId, Recipient, Region, TenantId};
use reeve_policy::{Plan, Urgency};
use reeve_protocol::warrant::{Claims, Priority, USUAL_WEIGHT};

use super::{forward::Failure, redact::Clean, transfer};
use crate::{
    Gate,
    pods::{self, Chosen, Errand, InFlight, Member, Missed, Speaks, send},
};

/// How many processes are asked before the call fails. Inference changes nothing, so asking another
/// is safe.
const ATTEMPTS: usize = 3;

/// How many may break off in the middle of a call: a text that kills pods must not kill them all.
const MOST_LOST: usize = 2;

/// A warrant outlives the call's deadline by this much, for clocks that differ.
const WARRANT_LEEWAY: Duration = Duration::from_secs(5);

/// A pod's answer, and whose it is.
pub(super) struct Answered<T> {
    pub(super) region: Region,
    pub(super) pod: PodId,
    pub(super) response: T,
}

/// One call's way through the pods.
struct Course<'a, 'e, T> {
    errand: &'a Errand<'e, T>,
    gate: &'a Gate,
    clean: &'a Clean,
    model: &'a ModelFacts,
    tried: Vec<Arc<Member>>,
    /// Where the connection broke.
    lost: Vec<Arc<Member>>,
    failure: Failure,
}

/// Asks a process that serves `model` about a call's texts.
pub(super) async fn ask<T>(
    gate: &Gate,
    clean: &Clean,
    model: &ModelFacts,
    errand: &Errand<'_, T>,
) -> Result<Answered<T>, Failure> {
    let plan = clean.from.snapshot.engine.plan(&clean.from.tenant.plan);
    let failure = Failure { code: Code::NoPodInPermittedRegion, asked: None };
    let mut course =
        Course { errand, gate, clean, model, tried: Vec::new(), lost: Vec::new(), failure };
    gate.retries.deposit();
    let mut hedge_after = plan.and_then(Plan::hedge_after);
    let mut under_way = FuturesUnordered::new();
    loop {
        if under_way.is_empty() {
            let Some(chosen) = course.next().await else { return Err(course.failure) };
            under_way.push(attempt(gate, clean, model, plan, errand, chosen));
        }
        let done = match hedge_after {
            None => under_way.next().await,
            Some(after) => match rt::time::timeout(after, under_way.next()).await {
                Ok(done) => done,
                Err(_) => {
                    // Whichever answers first is heard; the other's connection is closed.
                    hedge_after = None;
                    if let Some(slow) = course.tried.last() {
                        slow.took(after, gate.clock.monotonic());
                    }
                    if gate.retries.withdraw(gate.clock.monotonic())
                        && let Some(chosen) = course.next().await
                    {
                        reeve_telemetry::metrics::pod_hedged(&chosen.state.pod.region);
                        under_way.push(attempt(gate, clean, model, plan, errand, chosen));
                    }
                    continue;
                }
            },
        };
        let Some((chosen, busy, result)) = done else { continue };
        let (region, pod) = (chosen.state.pod.region.clone(), chosen.state.pod.id.clone());
        match result {
            Ok(response) => {
                busy.succeeded(gate.clock.monotonic());
                reeve_telemetry::metrics::pod_request(&pod, &region, "ok");
                return Ok(Answered { region, pod, response });
            }
            Err(missed) => {
                let again = course.note(&chosen, busy, &missed);
                if !again && under_way.is_empty() {
                    return Err(course.failure);
                }
            }
        }
    }
}

impl<T> Course<'_, '_, T> {
    /// The next process to ask; none, with the reason in `failure`, if there is none or no time.
    async fn next(&mut self) -> Option<Chosen> {
        let Self { gate, clean, .. } = self;
        while self.tried.len() < ATTEMPTS {
            let snapshot = &clean.from.snapshot;
            let (permitted, now) = (&clean.decision.permitted, gate.clock.monotonic());
            let digest = &self.model.digest;
            let entropy = gate.entropy.as_ref();
            let wanted = |speaks| speaks == Speaks::Reeve || self.errand.plain_too;
            let choose = |tried: &[Arc<Member>]| {
                pods::choose(&snapshot.pods, digest, permitted, &wanted, tried, now, entropy)
            };
            // One whose connection broke is asked again where there is no other.
            let chosen = choose(&self.tried).or_else(|| {
                let is_lost = |m: &&Arc<Member>| self.lost.iter().any(|l| Arc::ptr_eq(l, m));
                let but: Vec<_> = self.tried.iter().filter(|m| !is_lost(m)).cloned().collect();
                choose(&but)
            })?;
            if left(gate, clean).is_zero() {
                self.failure.code = Code::DeadlineExceeded;
                return None;
            }
            self.tried.push(Arc::clone(&chosen.member));
            match transfer::claim(gate, clean, &chosen.state.pod.region).await {
                Ok(()) => {
                    let (region, pod) = (&chosen.state.pod.region, &chosen.state.pod.id);
                    let to = Recipient { region: region.clone(), pod: pod.clone() };
                    clean.sent_to.borrow_mut().insert(to);
                    return Some(chosen);
                }
                // It may be no transfer where another pod is.
                Err(code) => self.failure.code = code,
            }
        }
        None
    }

    /// Notes why a process gave no answer; tells whether another may be asked for this call.
    fn note(&mut self, chosen: &Chosen, busy: InFlight, missed: &Missed) -> bool {
        let (gate, now) = (self.gate, self.gate.clock.monotonic());
        let (pod, region, member) =
            (&chosen.state.pod.id, &chosen.state.pod.region, &chosen.member);
        let (code, outcome) = match missed {
            Missed::NotReached => (None, "unreachable"),
            Missed::NoRoom | Missed::NoShare => (Some(Code::Overloaded), Code::Overloaded.as_str()),
            Missed::Lost | Missed::Refused | Missed::Unknown => {
                (Some(Code::PodFailed), Code::PodFailed.as_str())
            }
            Missed::Failed(code) => (Some(*code), code.as_str()),
            Missed::Overslept => (Some(Code::DeadlineExceeded), Code::DeadlineExceeded.as_str()),
        };
        reeve_telemetry::metrics::pod_request(pod, region, outcome);
        if let Some(code) = code {
            let asked = Some((region.clone(), pod.clone()));
            self.failure = Failure { code, asked };
        }
        match missed {
            Missed::NotReached => {
                // The same as if it had been known to be down, until a probe says otherwise.
                if member.note(false) {
                    tracing::warn!(%pod, process = member.url, "a pod cannot be reached");
                }
                if self.lost.iter().any(|lost| Arc::ptr_eq(lost, member)) {
                    // It got the call and is gone since.
                    self.failure.code = Code::NoPodInPermittedRegion;
                } else {
                    let to = Recipient { region: region.clone(), pod: pod.clone() };
                    self.clean.sent_to.borrow_mut().remove(&to);
                }
                gate.pods.look_again();
                busy.failed(now);
                true
            }
            Missed::Lost => {
                // It may have been the connection alone, kept open for too long.
                busy.failed(now);
                gate.pods.look_again();
                self.lost.push(Arc::clone(member));
                self.lost.len() < MOST_LOST
            }
            Missed::NoRoom => {
                member.had_no_room(now);
                gate.pods.look_again();
                true
            }
            // Others are served there as before.
            Missed::NoShare | Missed::Overslept => gate.retries.withdraw(now),
            Missed::Failed(_) => {
                if busy.failed(now) {
                    tracing::warn!(%pod, process = member.url, "a pod fails and is spared");
                }
                gate.retries.withdraw(now)
            }
            Missed::Refused | Missed::Unknown => false,
        }
    }
}

fn left(gate: &Gate, clean: &Clean) -> Duration {
    let spent = gate.clock.monotonic().saturating_sub(clean.from.head.started);
    let deadline = clean.from.head.patience.map_or(gate.deadline, |wait| wait.min(gate.deadline));
    deadline.saturating_sub(spent)
}

async fn attempt<T>(
    gate: &Gate,
    clean: &Clean,
    model: &ModelFacts,
    plan: Option<&Plan>,
    errand: &Errand<'_, T>,
    chosen: Chosen,
) -> (Chosen, InFlight, Result<T, Missed>) {
    let busy = chosen.member.begin(gate.clock.monotonic());
    let left = left(gate, clean);
    let (decision, tenant) = (clean.from.head.id, &clean.from.tenant.facts.id);
    let call = Warranted { decision, tenant, model: &model.digest, plan };
    let claims = claims(gate, &call, &chosen.state.pod.region, left);
    let wait = left.min(gate.pod_timeout);
    let mut result =
        send(gate, &chosen, errand, warrant(gate, &chosen.member, &claims), wait).await;
    if matches!(result, Err(Missed::Unknown)) && chosen.member.known().is_some() {
        chosen.member.forget();
        result = send(gate, &chosen, errand, warrant(gate, &chosen.member, &claims), wait).await;
    }
    (chosen, busy, result)
}

/// What a warrant is for.
pub(super) struct Warranted<'a> {
    pub(super) decision: DecisionId,
    pub(super) tenant: &'a TenantId,
    pub(super) model: &'a Digest,
    pub(super) plan: Option<&'a Plan>,
}

/// The warrant for a process: sealed where it knows this gateway, else signed.
pub(super) fn warrant(gate: &Gate, member: &Member, claims: &Claims) -> String {
    match member.known() {
        Some(known) => gate.signer.seal(&known, claims),
        None => gate.signer.sign(claims),
    }
}

/// What the warrant says with which a process in a region is asked for at most `left`.
pub(super) fn claims(gate: &Gate, call: &Warranted<'_>, region: &Region, left: Duration) -> Claims {
    let issued = gate.clock.now();
    let plan = call.plan;
    Claims {
        iss: String::new(),
        dec: call.decision,
        tenant: call.tenant.clone(),
        model: *call.model,
        region: region.clone(),
        iat: issued.as_seconds(),
        exp: issued.after(left.saturating_add(WARRANT_LEEWAY)).as_seconds(),
        weight: plan.and_then(|plan| plan.weight).map_or(USUAL_WEIGHT, u16::from),
        priority: match plan.map(|plan| plan.urgency) {
            Some(Urgency::Batch) => Priority::Batch,
            _ => Priority::Interactive,
        },
    }
}
