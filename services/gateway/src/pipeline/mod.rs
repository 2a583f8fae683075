//! A governed call, stage after stage. Each stage consumes the type that proves the stage before
//! it ran: what was not authenticated cannot be admitted, what was not recorded cannot be
//! forwarded, and what was not settled cannot be answered.

mod admit;
mod authenticate;
mod call;
mod decide;
mod forward;
mod inspect;
mod receive;
mod record;
mod redact;
mod refuse;
mod respond;
mod settle;

use actix_web::HttpResponse;

pub use admit::{Admitted, admit};
pub use authenticate::{Authenticated, authenticate};
pub use call::{Call, CallHead};
pub use decide::{Permit, decide};
pub use forward::{Answer, forward};
pub use inspect::{Seen, inspect};
pub use receive::{ClassifyRequest, Input, Received, receive};
pub use record::{Recorded, record};
pub use redact::{Clean, redact};
pub use refuse::{Refused, refuse};
pub use respond::{
    Classified, Governance, LabelScore, ModelUsed, ReceiptView, ResultView, UsageView, respond,
};
pub use settle::{Settled, settle};

use crate::Gate;

/// Runs one call from its head to its answer. A refusal becomes an answer only through
/// [`refuse`], which records it first.
pub async fn run(gate: &Gate, call: Call) -> HttpResponse {
    match attempt(gate, call).await {
        Ok(settled) => respond(settled),
        Err(refused) => refuse(gate, *refused).await,
    }
}

async fn attempt(gate: &Gate, call: Call) -> Result<Settled, Box<Refused>> {
    // Who calls is asked before a byte of the body is read: a stranger costs nothing.
    let caller = authenticate(gate, call)?;
    // The body decides how much is asked for, so it is read before limits are taken.
    let received = receive(gate, caller).await?;
    // All limits or none: what is reserved here comes back unless the call is settled.
    let admitted = admit(gate, received)?;
    // Policy decides by what is in the text, so the text is looked at first.
    let seen = inspect(gate, admitted)?;
    let permit = decide(gate, seen)?;
    // Redaction comes before the record, so that the record speaks of what really leaves.
    let clean = redact(gate, permit)?;
    // Durable before anything leaves; without a record there is nothing to forward.
    let entry = record(gate, clean).await?;
    // From here on the call has an intent, so whatever happens is an outcome, not a refusal.
    let answer = forward(gate, entry).await;
    // Durable before the answer leaves; if it cannot be recorded, it is not given.
    settle(gate, answer).await
}
