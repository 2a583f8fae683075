//! A governed call, stage after stage. Each stage consumes the type that proves the stage before
//! it ran: what was not authenticated cannot be admitted, what was not recorded cannot be
//! forwarded, and what was not settled cannot be answered.
//!
//! What was recorded, and then rid of names, can be forwarded:
//!
//! ```
//! use reeve_gateway::{Gate, pipeline::{Answer, Recorded, forward, take_names_out}};
//! async fn as_it_should_be(gate: &Gate, entry: Recorded) -> Answer {
//!     forward(gate, take_names_out(gate, entry).await).await
//! }
//! ```
//!
//! What still holds names cannot, and does not compile:
//!
//! ```compile_fail,E0308
//! use reeve_gateway::{Gate, pipeline::{Answer, Recorded, forward}};
//! async fn with_names(gate: &Gate, entry: Recorded) -> Answer {
//!     forward(gate, entry).await
//! }
//! ```
//!
//! Nor can what was only redacted go on at all:
//!
//! ```compile_fail,E0308
//! use reeve_gateway::{Gate, pipeline::{Clean, Named, take_names_out}};
//! async fn unrecorded(gate: &Gate, clean: Box<Clean>) -> Named {
//!     take_names_out(gate, clean).await
//! }
//! ```
//!
//! Nor can the proof be made by hand:
//!
//! ```compile_fail,E0451
//! use reeve_gateway::pipeline::{Clean, Recorded};
//! fn forged(real: Recorded, clean: Box<Clean>) -> Recorded {
//!     Recorded { clean, ..real }
//! }
//! ```
//!
//! And what was not settled cannot be answered:
//!
//! ```compile_fail,E0308
//! use reeve_gateway::{Gate, pipeline::{Answer, respond}};
//! fn unsettled(gate: &Gate, answer: Answer) -> actix_web::HttpResponse {
//!     respond(gate, answer)
//! }
//! ```

mod admit;
mod ask;
mod authenticate;
mod call;
mod claim;
mod decide;
mod forward;
mod inspect;
mod mirror;
mod names;
mod receive;
mod record;
mod redact;
mod refuse;
mod respond;
mod seal;
mod settle;
mod transfer;

use actix_web::HttpResponse;
use tracing::Instrument as _;

pub use admit::{Admitted, admit};
pub use authenticate::{Authenticated, authenticate};
pub use call::{Call, CallHead};
pub use claim::{Claimed, claim};
pub use decide::{Permit, decide};
pub use forward::{Answer, forward};
pub use inspect::{Seen, inspect};
pub use names::{Named, take_names_out};
pub use receive::{Received, receive};
pub use record::{Recorded, record};
pub use redact::{Clean, redact};
pub use refuse::{Refused, refuse};
pub use respond::respond;
pub use settle::{Settled, ask_mirror, settle};

use crate::Gate;

/// Runs one call from its head to its answer. A refusal becomes an answer only through
/// [`refuse`], which records it first.
pub async fn run(gate: &Gate, call: Call) -> HttpResponse {
    let span = tracing::info_span!("call", decision = %call.head.id, route = call.head.route);
    if let Some(traceparent) = &call.head.traceparent {
        reeve_telemetry::trace::join(&span, traceparent);
    }
    let answered = async {
        match attempt(gate, call).await {
            Ok(answer) => answer,
            Err(refused) => refuse(gate, *refused).await,
        }
    };
    answered.instrument(span).await
}

async fn attempt(gate: &Gate, call: Call) -> Result<HttpResponse, Box<Refused>> {
    // Who calls is asked before a byte of the body is read: a stranger costs nothing.
    let caller = authenticate(gate, call)?;
    // The body decides how much is asked for, so it is read before limits are taken.
    let received = receive(gate, caller).await?;
    // A call that was answered before is answered the same, without inference or charge.
    let claimed = match claim(gate, received)? {
        Claimed::Again(answer) => return Ok(answer),
        Claimed::New(claimed) => claimed,
    };
    // All limits or none: what is reserved here comes back unless the call is settled.
    let admitted = admit(gate, claimed)?;
    // Policy decides by what is in the text, so the text is looked at first.
    let seen = inspect(gate, admitted)?;
    let permit = decide(gate, seen).await?;
    // Redaction comes before the record, so that the record speaks of what really leaves.
    let clean = redact(gate, permit)?;
    // Durable before anything leaves; without a record there is nothing to forward.
    let entry = record(gate, clean).await?;
    // From here on the call has an intent, so whatever happens is an outcome, not a refusal.
    // Names have no form of their own: where policy wants them out, a model finds them first.
    let named = take_names_out(gate, entry).await;
    let answer = forward(gate, named).await;
    // Durable before the answer leaves; if it cannot be recorded, it is not given.
    let settled = settle(gate, answer).await?;
    // Without effect, so after everything that has one.
    Ok(respond(gate, ask_mirror(gate, settled)))
}
