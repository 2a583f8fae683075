//! One request to one process.

use std::{io::ErrorKind, time::Duration};

use actix_web::web::Bytes;
use reeve_domain::Code;
use reeve_protocol::{
    text::TextMalformed,
    warrant::{DEADLINE_HEADER, WARRANT_HEADER},
};

use super::{Chosen, Speaks};
use crate::Gate;

/// Reads the answer of one who speaks so.
pub(crate) type Read<'a, T> = dyn Fn(Speaks, &[u8]) -> Result<T, TextMalformed> + 'a;

/// What a process is asked, whichever it is.
pub(crate) struct Errand<'a, T> {
    /// The model's name.
    pub(crate) model: &'a str,
    /// The call's id.
    pub(crate) decision: String,
    /// Whether those can be asked this who speak nothing but the protocol.
    pub(crate) plain_too: bool,
    /// The body, for those who speak so; none if they cannot be asked this.
    pub(crate) body: &'a dyn Fn(Speaks) -> Option<Bytes>,
    /// Reads an answer.
    pub(crate) read: &'a Read<'a, T>,
    /// An answer is never larger than this, in bytes.
    pub(crate) most: usize,
}

/// Why a process gave no answer.
#[derive(Debug)]
pub(crate) enum Missed {
    /// It never got the call.
    NotReached,
    /// The connection broke while the call was there.
    Lost,
    /// It took no call: it stops or has no room.
    NoRoom,
    /// It has no more room for this tenant.
    NoShare,
    /// It failed; another may not.
    Failed(Code),
    /// It does not know the key that the warrant was sealed with.
    Unknown,
    /// It found fault with the call itself, as any other would.
    Refused,
    /// The time was over while this gateway stood still, halted or starved: that says nothing of
    /// the process.
    Overslept,
}

/// Who finds that a time was over by so much longer stood still meanwhile.
const STOOD_STILL: Duration = Duration::from_secs(1);

/// Whether one that wanted to wait for `wait`, and took so long, stood still meanwhile.
pub(crate) const fn overslept(took: Duration, wait: Duration) -> bool {
    took.saturating_sub(wait).as_nanos() > STOOD_STILL.as_nanos()
}

/// Sends a question and reads the answer, within `wait`.
pub(crate) async fn send<T>(
    gate: &Gate,
    to: &Chosen,
    errand: &Errand<'_, T>,
    warrant: String,
    wait: Duration,
) -> Result<T, Missed> {
    let begun = gate.clock.monotonic();
    let answer = exchange(gate, to, errand, warrant, wait).await;
    let took = || gate.clock.monotonic().saturating_sub(begun);
    match answer {
        Err(Missed::Failed(Code::DeadlineExceeded)) if overslept(took(), wait) => {
            Err(Missed::Overslept)
        }
        answer => answer,
    }
}

async fn exchange<T>(
    gate: &Gate,
    to: &Chosen,
    errand: &Errand<'_, T>,
    warrant: String,
    wait: Duration,
) -> Result<T, Missed> {
    let Some(body) = (errand.body)(to.speaks) else { return Err(Missed::Refused) };
    let mut request = gate
        .client
        .post(format!("{}/v2/models/{}/infer", to.member.url, errand.model))
        .timeout(wait)
        .insert_header(("Content-Type", "application/json"));
    if to.speaks == Speaks::Reeve {
        request = request
            .insert_header((WARRANT_HEADER, warrant))
            .insert_header((DEADLINE_HEADER, wait.as_millis().to_string()))
            .insert_header(("Reeve-Decision", errand.decision.as_str()));
    }
    if let Some(traceparent) = reeve_telemetry::trace::outgoing(&tracing::Span::current()) {
        request = request.insert_header(("traceparent", traceparent));
    }
    let mut answer = request.send_body(body).await.map_err(|fault| match fault {
        awc::error::SendRequestError::Connect(_) => Missed::NotReached,
        awc::error::SendRequestError::Timeout => Missed::Failed(Code::DeadlineExceeded),
        _ => Missed::Lost,
    })?;
    let pod = &to.state.pod.id;
    match answer.status().as_u16() {
        200 => {}
        401 => return Err(Missed::Unknown),
        429 => return Err(Missed::NoShare),
        503 => return Err(Missed::NoRoom),
        status => {
            tracing::error!(%pod, status, "a pod refused a call");
            return Err(match status {
                400 | 403 | 413 | 422 => Missed::Refused,
                504 => Missed::Failed(Code::DeadlineExceeded),
                _ => Missed::Failed(Code::PodFailed),
            });
        }
    }
    let bytes = answer.body().limit(errand.most).await.map_err(|fault| match fault {
        awc::error::PayloadError::Overflow => Missed::Failed(Code::PodFailed),
        awc::error::PayloadError::Io(fault) if fault.kind() == ErrorKind::TimedOut => {
            Missed::Failed(Code::DeadlineExceeded)
        }
        _ => Missed::Lost,
    })?;
    (errand.read)(to.speaks, &bytes).map_err(|fault| {
        tracing::error!(%pod, error = %fault, "a pod's answer cannot be read");
        Missed::Failed(Code::PodFailed)
    })
}
