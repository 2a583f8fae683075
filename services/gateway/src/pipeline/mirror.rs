//! Asking a second version besides, without effect: after the answer is settled, in the region that
//! processed the call, with what was sent there. What it says is compared and recorded; nobody
//! waits for it.

use std::sync::{Arc, atomic::Ordering};

use actix_web::{rt, web::Bytes};
use reeve_domain::{
    Code, Comparison, Decision, DecisionId, DecisionInput, ModelVersion, PodId, Record, Region,
    TenantId,
};
use reeve_protocol::{
    plain,
    text::{TextRequest, TextResponse},
};

use super::{
    ask::{Warranted, claims, warrant},
    forward::{ANSWER_LIMIT_PER_TEXT, Inferred, with_known_labels},
    redact::Clean,
};
use crate::{
    Gate,
    pods::{self, Errand, Missed, Speaks, send},
    snapshot::Snapshot,
};

/// Calls that are compared at once; others are not compared.
const MOST_AT_ONCE: usize = 64;

/// A version to be asked besides, and where policy permits it.
pub(super) struct Mirrored {
    pub(super) version: Arc<ModelVersion>,
    permitted: Vec<Region>,
}

/// What a second version is asked, and what it is compared with.
pub(super) struct Besides {
    snapshot: Arc<Snapshot>,
    tenant: TenantId,
    decision: DecisionId,
    answered: Arc<ModelVersion>,
    mirror: Arc<ModelVersion>,
    region: Region,
    /// For pods of Reeve, and for others of the protocol.
    bodies: [Bytes; 2],
    /// The best label of each text, and its probability.
    best: Vec<(String, f32)>,
}

/// Asks policy whether a second version may have the texts as well: as its own resource, and with
/// the same obligations, since the texts are made for those once.
pub(super) fn permitted(
    snapshot: &Snapshot,
    input: &DecisionInput,
    decision: &Decision,
    version: &Arc<ModelVersion>,
) -> Option<Mirrored> {
    let candidates = snapshot.open_regions(&version.facts.digest);
    let input = DecisionInput { model: version.facts.clone(), candidates, ..input.clone() };
    let besides = snapshot.engine.decide(&input);
    let same = besides.is_allowed() && besides.obligations == decision.obligations;
    same.then(|| Mirrored { version: Arc::clone(version), permitted: besides.permitted })
}

/// What to ask, if the call has a second version that may be asked where it was processed.
pub(super) fn besides(clean: &Clean, got: &Inferred) -> Option<Besides> {
    let mirrored = clean.mirror.as_ref()?;
    if !mirrored.permitted.contains(&got.region) {
        return None;
    }
    let texts: Vec<&str> = clean.texts.iter().map(|text| text.as_str()).collect();
    let request = TextRequest { texts, top_k: 1 };
    let own = request.asking_for(&TextResponse::OUTPUTS);
    let bodies = [Bytes::from(own), Bytes::from(plain::request(&request))];
    Some(Besides {
        snapshot: Arc::clone(&clean.from.snapshot),
        tenant: clean.from.tenant.facts.id.clone(),
        decision: clean.from.head.id,
        answered: Arc::clone(&clean.model),
        mirror: Arc::clone(&mirrored.version),
        region: got.region.clone(),
        bodies,
        best: best(&got.response),
    })
}

fn best(response: &TextResponse) -> Vec<(String, f32)> {
    response.results.iter().map(|labels| labels.first().cloned().unwrap_or_default()).collect()
}

/// Asks and compares beside the calls, unless too many are being compared.
pub(super) fn ask_besides(gate: &Gate, besides: Besides) {
    if gate.mirroring.fetch_add(1, Ordering::AcqRel) >= MOST_AT_ONCE {
        gate.mirroring.fetch_sub(1, Ordering::AcqRel);
        reeve_telemetry::metrics::comparison("skipped");
        return;
    }
    let gate = gate.clone();
    rt::spawn(async move {
        let record = Record::Comparison(Box::new(compare(&gate, besides).await));
        if let Err(error) = super::record::append(&gate, &record).await {
            tracing::error!(%error, "a comparison could not be recorded");
        }
        gate.mirroring.fetch_sub(1, Ordering::AcqRel);
    });
}

async fn compare(gate: &Gate, besides: Besides) -> Comparison {
    let started = gate.clock.monotonic();
    let (pod, answer) = ask(gate, &besides).await;
    let took = gate.clock.monotonic().saturating_sub(started);
    let (differing, widest, code) = match &answer {
        Ok(response) => {
            let (differing, widest) = difference(&besides.best, &best(response));
            (differing, widest, None)
        }
        Err(code) => (0, 0, Some(*code)),
    };
    let outcome = match (code, differing) {
        (Some(_), _) => "failed",
        (None, 0) => "same",
        (None, _) => "differs",
    };
    reeve_telemetry::metrics::comparison(outcome);
    Comparison {
        decision_id: besides.decision,
        at: gate.clock.now(),
        tenant: besides.tenant,
        model: besides.answered.facts.digest,
        mirror: besides.mirror.facts.digest,
        region: besides.region,
        pod,
        code,
        items: u64::try_from(besides.best.len()).unwrap_or(u64::MAX),
        differing,
        widest_permille: widest,
        took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    }
}

async fn ask(gate: &Gate, besides: &Besides) -> (Option<PodId>, Result<TextResponse, Code>) {
    let facts = &besides.mirror.facts;
    let here = std::slice::from_ref(&besides.region);
    let (pods, now) = (&besides.snapshot.pods, gate.clock.monotonic());
    let entropy = gate.entropy.as_ref();
    let Some(chosen) = pods::choose(pods, &facts.digest, here, &|_| true, &[], now, entropy) else {
        return (None, Err(Code::NoPodInPermittedRegion));
    };
    let (items, labels) = (besides.best.len(), &besides.mirror.labels);
    let [own, other] = &besides.bodies;
    let errand = Errand {
        model: facts.name.as_str(),
        decision: besides.decision.to_string(),
        plain_too: true,
        body: &|speaks| match speaks {
            Speaks::Reeve => Some(own.clone()),
            Speaks::Plain => Some(other.clone()),
        },
        read: &|speaks, bytes| match speaks {
            Speaks::Reeve => TextResponse::parse(bytes, items)
                .and_then(|answer| with_known_labels(answer, labels, 1)),
            Speaks::Plain => plain::parse(bytes, items, 1, labels),
        },
        most: ANSWER_LIMIT_PER_TEXT.saturating_mul(items.max(1)),
    };
    let tenant = besides.snapshot.tenants.get(&besides.tenant);
    let call = Warranted {
        decision: besides.decision,
        tenant: &besides.tenant,
        model: &facts.digest,
        plan: tenant.and_then(|tenant| besides.snapshot.engine.plan(&tenant.plan)),
    };
    let claims = claims(gate, &call, &besides.region, gate.pod_timeout);
    let warrant = warrant(gate, &chosen.member, &claims);
    let busy = chosen.member.begin(now);
    let answer = send(gate, &chosen, &errand, warrant, gate.pod_timeout).await;
    if answer.is_ok() {
        busy.succeeded(gate.clock.monotonic());
    }
    let answer = answer.map_err(|missed| match missed {
        Missed::NotReached => Code::NoPodInPermittedRegion,
        Missed::NoRoom | Missed::NoShare => Code::Overloaded,
        Missed::Lost | Missed::Refused | Missed::Unknown => Code::PodFailed,
        Missed::Overslept => Code::DeadlineExceeded,
        Missed::Failed(code) => code,
    });
    (Some(chosen.state.pod.id.clone()), answer)
}

/// How many texts have another best label, and the widest difference of the best labels'
/// probabilities in thousandths.
fn difference(one: &[(String, f32)], other: &[(String, f32)]) -> (u64, u16) {
    let pairs = || one.iter().zip(other);
    let differing = pairs().filter(|(a, b)| a.0 != b.0).count();
    let widest = pairs().map(|(a, b)| (a.1 - b.1).abs()).fold(0.0, f32::max);
    // By steps and not by a cast: a probability's difference is at most 1.
    let permille = (0..1000_u16).filter(|step| widest * 1000.0 > f32::from(*step)).count();
    (u64::try_from(differing).unwrap_or(u64::MAX), u16::try_from(permille).unwrap_or(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_probabilities_are_compared() {
        let of = |labels: &[(&str, f32)]| {
            labels.iter().map(|(label, p)| ((*label).to_owned(), *p)).collect::<Vec<_>>()
        };
        let one = of(&[("a", 0.9), ("b", 0.5)]);
        assert_eq!(difference(&one, &one), (0, 0));
        assert_eq!(difference(&one, &of(&[("a", 0.65), ("c", 0.5)])), (1, 250));
        assert_eq!(difference(&of(&[("a", 1.0)]), &of(&[("b", 0.0)])), (1, 1000));
    }
}
