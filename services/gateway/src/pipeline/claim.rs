use actix_web::HttpResponse;
use reeve_domain::Code;

use super::{receive::Received, refuse::Refused};
use crate::{
    Gate,
    idempotency::{self, Claim},
};

/// What [`claim`] found.
pub enum Claimed {
    /// A call that has to be made.
    New(Box<Unanswered>),
    /// The answer that the same call had before.
    Again(HttpResponse),
}

/// A call that was not answered before, with its claim on its idempotency key if it has one.
pub struct Unanswered {
    pub(super) call: Received,
    pub(super) claim: Option<Claim>,
}

/// Looks whether the same call, by its `Idempotency-Key`, was answered before or is under way.
pub fn claim(gate: &Gate, call: Received) -> Result<Claimed, Box<Refused>> {
    let key = call.from.head.idempotency_key.clone();
    let (Some(key), Some(request)) = (key, call.request) else {
        return Ok(Claimed::New(Box::new(Unanswered { call, claim: None })));
    };
    let tenant = call.from.tenant.facts.id.clone();
    match gate.answers.claim(tenant, key, request, call.from.head.at) {
        idempotency::Claimed::Mine(claim) => {
            Ok(Claimed::New(Box::new(Unanswered { call, claim: Some(claim) })))
        }
        idempotency::Claimed::Answered(kept) => Ok(Claimed::Again(kept.again())),
        idempotency::Claimed::UnderWay => Err(call
            .from
            .refused(Code::Conflict)
            .detail("a call with this idempotency key is under way")),
        idempotency::Claimed::Other => Err(call.from.refused(Code::IdempotencyKeyReused)),
    }
}
